/** Two nodes with one cluster key behind a balancer that knows nothing of QUIC: what one has begun the other goes on with, or keeps out of. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { type TestBackend, startBackend } from "../support/backends.ts";
import { clusterKeyFile } from "../support/cluster.ts";
import { patternSha256 } from "../support/pattern.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { startUdpBalancer, UDP_BALANCER_LACK } from "../support/udp-balancer.ts";
import { startUdpSwitch } from "../support/udp-switch.ts";
import { type LogLine, logLine, stoppedLine } from "./log-lines.ts";

const LACK = aioquicPython === null ? AIOQUIC_MISSING : UDP_BALANCER_LACK;
/** The balancer's own address towards the nodes. */
const FROM_IP = "127.0.0.77";
const BODY_BYTES = 2_000_000;
const INVALID_TOKEN = 0x0b;
/** Packets that a client sends into the wrong node before it comes back to its own. */
const ASTRAY = 8;

describe.skipIf(LACK !== null)(LACK ?? "two nodes behind nginx's stream proxy", () => {
  test("serve all clients, who go to them in turn", async () => {
    const { nodes, port } = await startCluster();
    for (let i = 0; i < 4; i++) {
      const { exchanges } = await runAioquicOnce({ port, steps: [{ do: "request", path: "/small" }] });
      expect(exchanges[0]?.status).toBe(200);
    }
    const counts = await Promise.all(nodes.map(counted));
    expect(counts.map((count) => count["connections_established"])).toEqual([2, 2]);
  });

  test("take each other's Retry tokens", async () => {
    const { nodes, port } = await startCluster({ retry: "always", oneAddress: true });
    const way = await startUdpSwitch([port, port], { moveAtFirstAnswer: true });
    const steps = [{ do: "request", path: "/small" }] as const;
    const connection = await runAioquicOnce({ port: way.port, steps });
    expect(connection).toMatchObject({ connected: true, retried: true, closed: null });
    expect(connection.exchanges[0]?.status).toBe(200);
    const [first, second] = await Promise.all(nodes.map(counted));
    expect(first).toMatchObject({ retries_sent: 1 });
    expect(first).not.toHaveProperty("connections_accepted");
    expect(second).toMatchObject({ tokens_valid: 1, connections_established: 1 });
    expect(second).not.toHaveProperty("retries_sent");
  });

  test("refuse the tokens of a node with other keys, or of another client's port", async () => {
    for (const [other, oneAddress, fault] of [
      [5, true, "forged"],
      [4, false, "other-address"],
    ] as const) {
      const { nodes, port } = await startCluster({ retry: "always", oneAddress, keys: [4, other] });
      const way = await startUdpSwitch([port, port], { moveAtFirstAnswer: true });
      const connection = await runAioquicOnce({ port: way.port, steps: [] });
      const closed = { by: "peer", code: INVALID_TOKEN, application: false };
      expect(connection).toMatchObject({ connected: false, retried: true, closed });
      const [, second] = await Promise.all(nodes.map(counted));
      expect(JSON.stringify(second)).toContain(fault);
    }
  });

  test("resume each other's sessions", async () => {
    const { nodes, port } = await startCluster();
    const ticket = join(tempFolder("two-nodes"), "ticket");
    const first = [{ do: "request", path: "/small" }, { do: "wait_tickets" }] as const;
    expect((await runAioquicOnce({ port, ticket_to: ticket, steps: first })).resumed).toBe(false);
    for (let i = 0; i < 3; i++) {
      const steps = [{ do: "request", path: "/small" }] as const;
      const { resumed, exchanges } = await runAioquicOnce({ port, ticket_from: ticket, steps });
      expect([resumed, exchanges[0]?.status]).toEqual([true, 200]);
    }
    const counts = await Promise.all(nodes.map(counted));
    expect(counts.map((count) => count["connections_resumed"])).toEqual([1, 2]);
  });
});

describe.skipIf(LACK !== null)(LACK ?? "a client that strays to the wrong node", () => {
  test.each(["plain", "quic-lb"])("hears nothing there and goes on where it was (%s ids)", async (ids) => {
    const { nodes, port, backends } = await startCluster({ ids });
    const way = await startUdpSwitch([port, port]);
    const run = startAioquic({
      port: way.port,
      steps: [
        { do: "start", id: "held", path: "/hold" },
        { do: "start", id: "down", path: `/bytes/${BODY_BYTES}?seed=d` },
        { do: "wait", id: "down" },
        ...([{ do: "say", text: "here" }, { do: "cue" }] as const),
        // These meet the node that does not know the connection.
        { do: "start", id: "astray", path: `/bytes/${BODY_BYTES}?seed=d` },
        ...Array.from({ length: ASTRAY }, () => ({ do: "ping" }) as const),
        ...([
          { do: "wait", id: "astray" },
          { do: "wait", id: "held" },
        ] as const),
        ...([{ do: "request", id: "after", path: "/small" }] as const),
      ],
    });
    await run.event("said");
    way.use(1);
    run.cue();
    await way.hasSent(1, ASTRAY);
    way.use(0);
    const [backend] = backends;
    backend?.release();
    const [connection] = await run.connections;
    expect(connection?.closed).toBeNull();
    for (const id of ["down", "astray"]) {
      const exchange = connection === undefined ? null : exchangeOf(connection, id);
      expect(exchange).toMatchObject({ status: 200, ended: true, sha256: patternSha256("d", BODY_BYTES) });
    }
    expect(connection?.exchanges.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    // Nothing has come back from the wrong node, which has seen what went there.
    expect(way.returned[1]).toBe(0);
    const [first, second] = await Promise.all(nodes.map(counted));
    expect(first).toMatchObject({ connections_established: 1 });
    expect(second).not.toHaveProperty("connections_accepted");
    expect(second).not.toHaveProperty("resets_sent");
    expect(Number(second?.["datagrams_unknown_id"])).toBeGreaterThanOrEqual(ASTRAY);
  });
});

interface Cluster {
  readonly nodes: readonly RunningProxy[];
  readonly backends: readonly TestBackend[];
  /** The balancer's. */
  readonly port: number;
}

interface ClusterOptions {
  readonly retry?: string;
  /** Nodes see all sessions of the balancer under one address and port. For one client at a time. */
  readonly oneAddress?: boolean;
  readonly keys?: readonly [number, number];
  readonly ids?: string;
}

/** Two nodes and the balancer before them. */
async function startCluster({
  retry = "auto",
  oneAddress = false,
  keys = [4, 4],
  ids = "plain",
}: ClusterOptions = {}): Promise<Cluster> {
  const backends: TestBackend[] = [];
  const nodes: RunningProxy[] = [];
  for (const [i, key] of keys.entries()) {
    const backend = await startBackend({ protocol: "http1" });
    backends.push(backend);
    const cluster = { key_file: clusterKeyFile({ current: key }), node_id: `0${i + 1}`, connection_ids: ids };
    const extra = { workers: i + 1, cluster, performance: { retry } };
    nodes.push(await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }], extra }));
  }
  const from = oneAddress ? { from: `${FROM_IP}:${await freePort(FROM_IP)}` } : {};
  const { port } = await startUdpBalancer({ nodes: nodes.map((node) => `127.0.0.1:${node.port}`), ...from });
  return { nodes, backends, port };
}

/** Nobody else has a use for this address, so a port that is free stays so. */
async function freePort(hostname: string): Promise<number> {
  const socket = await Bun.udpSocket({ hostname, port: 0 });
  const { port } = socket;
  socket.close();
  return port;
}

async function counted(node: RunningProxy): Promise<LogLine> {
  expect((await stoppedLine(node.process)).code).toBe(0);
  return logLine(node, { msg: "counted" });
}
