/**
 * Nodes of a cluster behind a balancer that knows nothing of QUIC, in networks of their own, and nodes whose keys change under load. Rows 111
 * to 115.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { changeKeys, ClusterNode, type NodeSite } from "../e2e/cluster-nodes.ts";
import { runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { runQuicGo, startQuicGo } from "../interop/quicgo.ts";
import { clusterKeyFile } from "../support/cluster.ts";
import { waitUntil } from "../support/net.ts";
import { BEFORE, BEHIND, NEAR_HOST, OUTER_HOSTS, startNetwork } from "../support/netns.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, type ProxyOptions, type RunningProxy, runnerCommand } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { startUdpBalancer, UDP_BALANCER_LACK } from "../support/udp-balancer.ts";
import { BOTH_MISSING, bothAreServed, localOf, startBothLoads } from "./both-clients.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

const LACK = BOTH_MISSING ?? UDP_BALANCER_LACK;
const network = LACK === null ? await startNetwork() : null;
const ONCE = [{ do: "request", path: "/small" }] as const;
const ANSWERED_ONCE = [{ id: "", sent: 1, statuses: { "200": 1 }, failed: 0, errors: [] }];
/** In the middle nobody else has ports. */
let nextPort = 4433;

/** Two nodes with one key, and what is known of each. */
async function startNodes(performance: Readonly<Record<string, unknown>> = {}): Promise<readonly TestNode[]> {
  const key_file = clusterKeyFile({ current: 4 });
  return Promise.all(["01", "02"].map((node_id) => TestNode.start({ key_file, node_id }, performance)));
}

class TestNode {
  static async start(cluster: object, performance: Readonly<Record<string, unknown>>): Promise<TestNode> {
    const socket = join(tempFolder("control"), "control.sock");
    const extra = { cluster, performance, control: { socket } };
    const { proxy } = await startPlacedProxy(2, { address: BEHIND, supervisor: "auto", extra }, network);
    return new TestNode(proxy, socket);
  }

  readonly proxy: RunningProxy;
  readonly #socket: string;

  private constructor(proxy: RunningProxy, socket: string) {
    this.proxy = proxy;
    this.#socket = socket;
  }

  get address(): string {
    return `${this.proxy.host}:${this.proxy.port}`;
  }

  /** Resolves when it has got datagrams of connections that it does not know. */
  async hasSeenStrangers(): Promise<void> {
    const command = [...runnerCommand(defaultRunner()), "status", "--json", "--control", this.#socket];
    await waitUntil(async () => {
      const { counters } = JSON.parse((await runProcess({ command })).stdout);
      return Number(counters["datagrams_unknown_id"] ?? 0) > 0;
    });
  }
}

/** The balancer before them on the line to the clients; its sessions go to the first node, to the second, and so on. */
async function startBalancer(nodes: readonly TestNode[], host: string, from?: string): Promise<number> {
  const at = { place: must(network, "there is one").middle, host, port: nextPort++ };
  const { port } = await startUdpBalancer({
    nodes: nodes.map(({ address }) => address),
    ...(from === undefined ? {} : { from }),
    at,
  });
  return port;
}

/**
 * Before them as well, and so that a client comes under one address whatever its port, and goes on with another session (the second node's)
 * as soon as the first node has answered something.
 */
async function startTurn(nodes: readonly TestNode[]): Promise<{ readonly host: string; readonly port: number }> {
  const port = await startBalancer(nodes, "127.0.0.1", `${OUTER_HOSTS[0]}:${nextPort}`);
  const line = { seed: 111, farHosts: ["127.0.0.1"], serverHost: "127.0.0.1", forgetsAfterAnswers: 1 };
  return must(network, "there is one").translator(port, line);
}

describe.skipIf(LACK !== null)(LACK ?? "two nodes behind nginx's stream proxy", () => {
  test("take each other's Retry tokens", async () => {
    const net = must(network, "there is one");
    const nodes = await startNodes({ retry: "always" });
    const aioquicWay = await startTurn(nodes);
    const aioquic = await runAioquicOnce({ ...pick(aioquicWay), local_host: BEFORE, steps: ONCE }, net.client);
    expect(aioquic).toMatchObject({ connected: true, retried: true, closed: null });
    expect(aioquic.exchanges[0]?.status).toBe(200);
    const quicGoWay = await startTurn(nodes);
    const [quicGo] = await runQuicGo({ ...pick(quicGoWay), local_hosts: [BEFORE], steps: ONCE }, net.client);
    expect(quicGo).toMatchObject({ error: "", closed: "", requests: ANSWERED_ONCE });
    expect(quicGo?.frames["retry_received"]).toBeGreaterThan(0);
    const [first, second] = await Promise.all(nodes.map(({ proxy }) => stoppedCounts(proxy)));
    expect(Number(first?.["retries_sent"])).toBeGreaterThanOrEqual(2);
    expect(first).not.toHaveProperty("connections_accepted");
    expect(second).toMatchObject({ connections_established: 2, requests: 2 });
    expect(Number(second?.["tokens_valid"])).toBeGreaterThanOrEqual(2);
  });

  test("resume each other's sessions", async () => {
    const net = must(network, "there is one");
    const nodes = await startNodes();
    const port = await startBalancer(nodes, NEAR_HOST);
    const ticket = join(tempFolder("ticket"), "ticket");
    const plan = { host: NEAR_HOST, port, local_host: BEFORE } as const;
    const first = [...ONCE, { do: "wait_tickets" }] as const;
    expect((await runAioquicOnce({ ...plan, ticket_to: ticket, steps: first }, net.client)).resumed).toBe(false);
    const later = await runAioquicOnce({ ...plan, ticket_from: ticket, steps: ONCE }, net.client);
    expect([later.resumed, later.exchanges[0]?.status]).toEqual([true, 200]);
    const reached = { host: NEAR_HOST, port, local_hosts: [BEFORE], ticket_path: "/small" };
    const [quicGo] = await runQuicGo({ ...reached, steps: ONCE }, net.client);
    expect(quicGo).toMatchObject({ error: "", closed: "", resumed: true, requests: ANSWERED_ONCE });
    const counts = await Promise.all(nodes.map(({ proxy }) => stoppedCounts(proxy)));
    // Both clients began at the first node and went on at the second.
    expect(counts.map((count) => [count["connections_established"], count["connections_resumed"]])).toEqual([
      [2, undefined],
      [2, 2],
    ]);
  });
});

describe.skipIf(LACK !== null)(LACK ?? "two nodes behind nginx's stream proxy", () => {
  test("never reset a client of the other one that strays to them, and it goes on where it was", async () => {
    const net = must(network, "there is one");
    const nodes = await startNodes();
    const [one, other] = [must(nodes[0], "there are two"), must(nodes[1], "there are two")];
    const port = await startBalancer(nodes, NEAR_HOST);
    const aioquic = startAioquic(
      {
        ...{ host: NEAR_HOST, port, local_host: BEFORE },
        steps: [
          ...ONCE,
          // From here on it is at the node that does not know it, until it moves once more.
          { do: "rebind" },
          { do: "start", id: "astray", path: "/bytes/200000" },
          { do: "say", text: "astray" },
          { do: "cue" },
          { do: "rebind" },
          { do: "ping" },
          { do: "wait" },
          ...ONCE,
        ],
      },
      net.client,
    );
    await aioquic.event("said");
    await other.hasSeenStrangers();
    aioquic.cue();
    const [connection] = await aioquic.connections;
    expect(connection?.closed).toBeNull();
    expect(connection?.exchanges.map(({ status, ended }) => [status, ended])).toEqual(Array(3).fill([200, true]));
    const strays = [{ do: "rebind" }, { do: "say", text: "astray" }, { do: "cue" }, { do: "rebind" }] as const;
    const reached = { host: NEAR_HOST, port, local_hosts: [BEFORE], keep_alive_ms: 50 };
    const quicGo = await startQuicGo({ ...reached, steps: [...ONCE, ...strays, ...ONCE] }, net.client);
    await quicGo.said("astray");
    await one.hasSeenStrangers();
    quicGo.cue();
    const [client] = await quicGo.connections;
    expect(client).toMatchObject({ error: "", closed: "", requests: [...ANSWERED_ONCE, ...ANSWERED_ONCE] });
    for (const { proxy } of nodes) {
      const counted = await stoppedCounts(proxy);
      expect(counted).toMatchObject({ connections_established: 1 });
      expect(counted).not.toHaveProperty("resets_sent");
    }
  });
});

describe.skipIf(LACK !== null)(LACK ?? "nodes of one cluster", () => {
  test("are not two with one id, and the one that is there serves on", async () => {
    const net = must(network, "there is one");
    const cluster = { key_file: clusterKeyFile({ current: 41 }), node_id: "01" };
    const { proxy } = await startPlacedProxy(2, { extra: { cluster } }, net);
    await bothAreServed(proxy, net);
    await expect(startPlacedProxy(2, { extra: { cluster } }, net)).rejects.toThrow(
      "another process on this machine is node 01 of the cluster",
    );
    await bothAreServed(proxy, net);
    expect(await stoppedCounts(proxy)).toMatchObject({ connections_established: 4 });
  });

  test("change their keys under load of both clients: nothing fails, nobody is reset, no token is refused", async () => {
    const net = must(network, "there is one");
    const site: NodeSite = {
      start: async (options: Partial<ProxyOptions>) => (await startPlacedProxy(2, options, net)).proxy,
      client: net.client,
      plan: localOf(must(net.serverHosts[0], "it has addresses"), net),
    };
    const start = (id: string): Promise<ClusterNode> => ClusterNode.start(id, { current: 6 }, { site });
    const [one, other] = await Promise.all([start("01"), start("02")]);
    const nodes = [one, other];
    const loads = await Promise.all(nodes.map(({ host, port }) => startBothLoads({ host, port }, net)));
    await changeKeys(one, other);
    for (const load of loads) expect((await load.expectNoLoss()).connections).toBeGreaterThan(10);
    for (const node of nodes) await node.expectNoneRefused();
  });
});

function pick({ host, port }: { readonly host: string; readonly port: number }): { host: string; port: number } {
  return { host, port };
}
