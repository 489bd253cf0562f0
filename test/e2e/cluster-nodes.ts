/** Nodes of a cluster whose keys change. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AioquicConnection, type AioquicPlan, runAioquicOnce } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { clusterKeyFile, clusterKeys, type KeyRole } from "../support/cluster.ts";
import type { NetworkPlace } from "../support/netns.ts";
import type { ProxyOptions, RunningProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { startWorkers, workersOf } from "./worker-proxies.ts";

type Keys = Partial<Readonly<Record<KeyRole, number>>>;

/** Where nodes and those who ask them are. */
export interface NodeSite {
  start(options: Partial<ProxyOptions>): Promise<RunningProxy>;
  readonly client?: NetworkPlace;
  readonly plan?: Partial<AioquicPlan>;
}

/** On the loopback address. */
const HERE: NodeSite = {
  start: async (options) => startWorkers(2, (await startBackend({ protocol: "http1" })).address, options),
};

/**
 * From key 6 to key 7, one node after the other, each by two reloads. Tickets and tokens of both are taken wherever a node has got meanwhile,
 * and no longer once the key before is taken away.
 */
export async function changeKeys(one: ClusterNode, other: ClusterNode): Promise<void> {
  const nodes = [one, other];
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
}

/** A node with two workers that asks all its clients by Retry. */
export class ClusterNode {
  readonly #proxy: RunningProxy;
  readonly #site: NodeSite;
  readonly #keyFile: string;
  readonly #folder = tempFolder("rotation");
  #generation = 1;
  #tickets = 0;

  static async start(
    nodeId: string,
    keys: Keys = { current: 6 },
    { port = 0, site = HERE }: { readonly port?: number; readonly site?: NodeSite } = {},
  ): Promise<ClusterNode> {
    const keyFile = clusterKeyFile(keys);
    const cluster = { key_file: keyFile, node_id: nodeId };
    const performance = { retry: "always", shutdown_drain_timeout_ms: 10_000, goaway_spread_ms: 300 };
    const proxy = await site.start({ port, extra: { workers: 2, cluster, performance } });
    return new ClusterNode(proxy, keyFile, site);
  }

  private constructor(proxy: RunningProxy, keyFile: string, site: NodeSite) {
    this.#proxy = proxy;
    this.#keyFile = keyFile;
    this.#site = site;
  }

  get host(): string {
    return this.#proxy.host;
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

  /** Stops it: it has taken tokens, refused none, and reset nobody. */
  async expectNoneRefused(): Promise<void> {
    expect((await stoppedLine(this.#proxy.process)).code).toBe(0);
    const counted = await logLine(this.#proxy, { msg: "counted" });
    expect(counted).not.toHaveProperty("resets_sent");
    expect(JSON.stringify(counted)).not.toContain("tokens_refused");
    expect(Number(counted["tokens_valid"])).toBeGreaterThan(10);
  }

  async #ask(plan: Pick<AioquicPlan, "ticket_from" | "ticket_to">): Promise<AioquicConnection> {
    const steps = [{ do: "request", path: "/small" }, { do: "wait_tickets" }] as const;
    const { host, port } = this;
    const connection = await runAioquicOnce({ ...this.#site.plan, host, port, ...plan, steps }, this.#site.client);
    expect(connection.exchanges[0]?.status).toBe(200);
    return connection;
  }
}
