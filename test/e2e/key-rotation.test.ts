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
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { type LogLine, logLine, stoppedLine } from "./log-lines.ts";
import { startWorkers, workersOf } from "./worker-proxies.ts";

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

  // One that has forgotten the key would be believed no reset.
  test.each([
    ["reset", { previous: 6, current: 7 }],
    ["timeout", { current: 7 }],
  ] as const)("at a restart, after which clients of the process before end by a %s", async (by, keys) => {
    const node = await ClusterNode.start("01");
    const asked = [{ do: "request", path: "/small" }, { do: "say", text: "here" }, { do: "cue" }] as const;
    const steps = [...asked, { do: "start", path: "/small" }, { do: "wait_closed" }] as const;
    const run = startAioquic({ port: node.port, idle_timeout_ms: 3000, steps });
    await run.event("said");
    await node.kill();
    await ClusterNode.start("01", keys, node.port);
    run.cue();
    expect((await run.connections)[0]?.closed?.by).toBe(by);
  });
});

describe.skipIf(LACK !== null)(LACK ?? "a node whose keys change", () => {
  test("is nobody else on this machine meanwhile", async () => {
    const keys = clusterKeyFile({ current: 31 });
    const backend = await startBackend({ protocol: "http1" });
    const startNode = (file: string, extra: Readonly<Record<string, unknown>>): Promise<RunningProxy> =>
      startProxy({
        pools: [{ prefix: "/", backends: [backend.address] }],
        extra: { cluster: { key_file: file, node_id: "01" }, ...extra },
      });
    const first = await startNode(keys, { supervisor: "off" });
    const next = clusterKeyFile({ previous: 31, current: 32 });
    for (const extra of [{ workers: 2 }, { supervisor: "off" }])
      await expect(startNode(next, extra)).rejects.toThrow("another process on this machine is node 01 of the cluster");
    await stoppedLine(first.process);
    const second = await startNode(next, { workers: 2 });
    // The program that takes its place is the node, too.
    second.process.signal("SIGUSR2");
    await logLine(second, { msg: "the supervisor goes on as another program" });
    await expect(startNode(keys, { workers: 2 })).rejects.toThrow("another process on this machine is node 01");
    await stoppedLine(second.process);
  });
});

function loadOf(port: number): Parameters<typeof startQuicGo>[0] {
  return { port, steps: [{ do: "load", path: "/small", rate: RATE, renew_every: RENEW_EVERY }] };
}

/** A node with two workers, and what is asked of it here. */
class ClusterNode {
  readonly #proxy: RunningProxy;
  readonly #keyFile: string;
  readonly #folder = tempFolder("rotation");
  #generation = 1;
  #tickets = 0;

  static async start(nodeId: string, keys: Keys = { current: 6 }, port = 0): Promise<ClusterNode> {
    const backend = await startBackend({ protocol: "http1" });
    const keyFile = clusterKeyFile(keys);
    const cluster = { key_file: keyFile, node_id: nodeId };
    const performance = { retry: "always", shutdown_drain_timeout_ms: 10_000 };
    return new ClusterNode(await startWorkers(2, backend.address, { port, extra: { cluster, performance } }), keyFile);
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

  /** All its processes at once, so that none says goodbye to a client. */
  async kill(): Promise<void> {
    const { process: supervisor } = this.#proxy;
    const workers = Object.values(workersOf(this.#proxy));
    // The supervisor first: it would start others.
    for (const pid of [supervisor.pid, ...workers]) process.kill(pid, "SIGKILL");
    await supervisor.ended;
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
