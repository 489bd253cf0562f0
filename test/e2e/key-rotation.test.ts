/** Keys of a cluster change one node after the other, under load: nobody loses anything, and what an older key made is good for a while. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AIOQUIC_MISSING,
  type AioquicConnection,
  type AioquicPlan,
  aioquicPython,
  runAioquicOnce,
  startAioquic,
} from "../interop/aioquic.ts";
import { QUICGO_MISSING, quicGoProgram, startQuicGo } from "../interop/quicgo.ts";
import { startBackend } from "../support/backends.ts";
import { clusterKeyFile, clusterKeys, type KeyRole } from "../support/cluster.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { startUdpSwitch } from "../support/udp-switch.ts";
import { type LogLine, logLine, stoppedLine } from "./log-lines.ts";
import { startWorkers } from "./worker-proxies.ts";

const LACK = aioquicPython === null ? AIOQUIC_MISSING : quicGoProgram === null ? QUICGO_MISSING : null;
/** Requests a second at each node, and after how many of them a client comes anew. */
const RATE = 100;
const RENEW_EVERY = 4;

type Keys = Partial<Readonly<Record<KeyRole, number>>>;

describe.skipIf(LACK !== null)(LACK ?? "the keys of two nodes change", () => {
  test("by reloads under load: no request fails, no client is reset, tickets and tokens of both keys are taken meanwhile", async () => {
    const nodes = [await ClusterNode.start("01"), await ClusterNode.start("02")] as const;
    const [one, other] = nodes;
    const loads = await Promise.all(nodes.map(({ port }) => startQuicGo(loadOf(port))));

    const old = await one.ticket();
    await Promise.all(nodes.map((node) => node.reload({ current: 6, next: 7 })));
    await one.reload({ previous: 6, current: 7 });
    const fresh = await one.ticket();
    // One node is ahead of the other, in both directions.
    expect([await one.resumes(old), await other.resumes(old)]).toEqual([true, true]);
    expect([await one.resumes(fresh), await other.resumes(fresh)]).toEqual([true, true]);
    await other.reload({ previous: 6, current: 7 });
    expect([await one.resumes(old), await other.resumes(old)]).toEqual([true, true]);
    await Promise.all(nodes.map((node) => node.reload({ current: 7 })));
    expect([await one.resumes(old), await other.resumes(old)]).toEqual([false, false]);
    expect([await one.resumes(fresh), await other.resumes(fresh)]).toEqual([true, true]);

    const ended = (await Promise.all(loads.map((load) => load.finish()))).flat().flatMap((client) => client.loads);
    expect(ended.map(({ failed, errors, stateless_resets }) => [failed, errors, stateless_resets])).toEqual([
      [0, [], 0],
      [0, [], 0],
    ]);
    for (const { statuses, sent, connections } of ended) {
      expect(statuses).toEqual({ 200: sent });
      expect(connections).toBeGreaterThan(10);
    }
    for (const node of nodes) {
      const counted = await node.counted();
      expect(counted).not.toHaveProperty("resets_sent");
      expect(JSON.stringify(counted)).not.toContain("tokens_refused");
      expect(Number(counted["tokens_valid"])).toBeGreaterThan(10);
    }
  });

  test("at a restart: packets of connections that the process before had are answered with the resets of its key", async () => {
    const node = await ClusterNode.start("01");
    const next = await ClusterNode.start("01", { previous: 6, current: 7 });
    const after = await ClusterNode.start("01", { current: 7 });
    // A restart as its clients see it: their packets go to another process.
    expect(await endOfClientBetween(node, next)).toBe("reset");
    // One that has forgotten the key would be believed no reset.
    expect(await endOfClientBetween(node, after)).toBe("timeout");
  });
});

function loadOf(port: number): Parameters<typeof startQuicGo>[0] {
  return { port, steps: [{ do: "load", path: "/small", rate: RATE, renew_every: RENEW_EVERY }] };
}

/** How the connection of a client ends that is with the first node when its packets begin to go to the second. */
async function endOfClientBetween(first: ClusterNode, second: ClusterNode): Promise<string | undefined> {
  const way = await startUdpSwitch([first.port, second.port]);
  const asked = [{ do: "request", path: "/small" }, { do: "say", text: "here" }, { do: "cue" }] as const;
  const steps = [...asked, { do: "start", path: "/small" }, { do: "wait_closed" }] as const;
  const run = startAioquic({ port: way.port, idle_timeout_ms: 1500, steps });
  await run.event("said");
  way.use(1);
  run.cue();
  return (await run.connections)[0]?.closed?.by;
}

/** A node with two workers, and what is asked of it here. */
class ClusterNode {
  readonly #proxy: RunningProxy;
  readonly #keyFile: string;
  readonly #folder = tempFolder("rotation");
  #generation = 1;
  #tickets = 0;

  static async start(nodeId: string, keys: Keys = { current: 6 }): Promise<ClusterNode> {
    const backend = await startBackend({ protocol: "http1" });
    const keyFile = clusterKeyFile(keys);
    const cluster = { key_file: keyFile, node_id: nodeId };
    const performance = { retry: "always", shutdown_drain_timeout_ms: 10_000 };
    return new ClusterNode(await startWorkers(2, backend.address, { extra: { cluster, performance } }), keyFile);
  }

  private constructor(proxy: RunningProxy, keyFile: string) {
    this.#proxy = proxy;
    this.#keyFile = keyFile;
  }

  get port(): number {
    return this.#proxy.port;
  }

  /** Puts other keys in its file and reloads; resolves when the new workers serve and the ones before are gone. */
  async reload(keys: Keys): Promise<void> {
    writeFileSync(this.#keyFile, clusterKeys(keys));
    this.#proxy.process.signal("SIGHUP");
    const before = this.#generation++;
    await logLine(this.#proxy, { msg: "crew has taken over", generation: this.#generation });
    await logLine(this.#proxy, { msg: "crew is gone", generation: before });
  }

  /** A file with a ticket of this node. */
  async ticket(): Promise<string> {
    const file = join(this.#folder, String(this.#tickets++));
    expect((await this.#ask({ ticket_to: file })).resumed).toBe(false);
    return file;
  }

  async resumes(ticket: string): Promise<boolean> {
    return (await this.#ask({ ticket_from: ticket })).resumed;
  }

  /** Stops it; what it has counted. */
  async counted(): Promise<LogLine> {
    expect((await stoppedLine(this.#proxy.process)).code).toBe(0);
    return logLine(this.#proxy, { msg: "counted" });
  }

  async #ask(plan: Pick<AioquicPlan, "ticket_from" | "ticket_to">): Promise<AioquicConnection> {
    const steps = [{ do: "request", path: "/small" }, { do: "wait_tickets" }] as const;
    const connection = await runAioquicOnce({ port: this.port, ...plan, steps });
    expect(connection.exchanges[0]?.status).toBe(200);
    return connection;
  }
}
