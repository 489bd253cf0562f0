/** Connection ids that load balancers read: what is on the wire, and that workers are found by them all the same. */
import { describe, expect, test } from "bun:test";
import { hkdfSync } from "node:crypto";
import { must } from "../../src/core/assert.ts";
import { aes128 } from "../../src/control/ciphers.ts";
import { QuicLbCodec, type QuicLbConfig } from "../../src/quic/quic-lb.ts";
import {
  AIOQUIC_MISSING,
  type AioquicConnection,
  aioquicPython,
  type AioquicStep,
  runAioquic,
  runAioquicOnce,
  startAioquic,
} from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { clusterKeyFile, secretHex } from "../support/cluster.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { answered, CONNECTIONS, servesAnew, startWorkers, workerByPort, workersOf } from "./worker-proxies.ts";

const KEY = 9;
const NODE = "0a0b";
const MOVES = 10;
const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;

/** Each form: what the configuration says, what a balancer is told, and how long ids are. */
const FORMS = {
  encrypted: { keys: {}, cipher: aes128(balancerKey()), nonceBytes: 8, idBytes: 17 },
  "in the open": {
    ...{ keys: { quic_lb_encrypted: false, quic_lb_nonce_bytes: 4 }, cipher: null },
    ...{ nonceBytes: 4, idBytes: 13 },
  },
} as const;

describe.each(Object.entries(FORMS))("ids for load balancers, %s,", (_, { keys, cipher, nonceBytes, idBytes }) => {
  const balancer = new QuicLbCodec({ configId: KEY % 7, serverIdBytes: 2, nonceBytes, cipher } satisfies QuicLbConfig);
  const startNode = async (extra: Readonly<Record<string, unknown>> = {}): Promise<RunningProxy> => {
    const backend = await startBackend({ protocol: "http1" });
    const ids = { key_file: clusterKeyFile({ current: KEY }), node_id: NODE, connection_ids: "quic-lb", ...keys };
    return startWorkers(2, backend.address, { extra: { cluster: ids, ...extra } });
  };
  const nodesIn = (connections: readonly AioquicConnection[]): Set<string> => {
    const ids = connections.flatMap(({ server_ids }) => server_ids.map((id) => Uint8Array.fromHex(id)));
    // The handshake's and the spare ones of every connection.
    expect(ids.length).toBeGreaterThanOrEqual(2 * connections.length);
    expect(ids.filter(({ length }) => length !== idBytes)).toEqual([]);
    expect(new Set(ids.map((id) => id.toHex())).size).toBe(ids.length);
    return new Set(ids.map((id) => balancer.read(id, 0, id.length)?.subarray(0, 2).toHex() ?? "none"));
  };

  test.skipIf(LACK !== null)(LACK ?? "name the node, those of Retries too, and lead to both workers", async () => {
    const proxy = await startNode({ performance: { retry: "always", shutdown_drain_timeout_ms: 10_000 } });
    const steps: AioquicStep[] = [{ do: "request", path: "/small", count: 5 }];
    const connections = await runAioquic({ port: proxy.port, connections: CONNECTIONS, events: false, steps });
    expect(answered(connections)).toBe(5 * CONNECTIONS);
    expect(connections.filter(({ retried }) => !retried)).toEqual([]);
    expect(nodesIn(connections)).toEqual(new Set([NODE]));
    expect(new Set(workerByPort(proxy.logs()).values())).toEqual(new Set([0, 1]));
    await stoppedLine(proxy.process);
    expect(await logLine(proxy, { msg: "counted" })).not.toHaveProperty("datagrams_unknown_id");
  });

  test.skipIf(LACK !== null)(LACK ?? "find their worker when clients move with fresh ones, in bodies too", async () => {
    const proxy = await startNode();
    const bytes = 4_000_000;
    const move: AioquicStep[] = [{ do: "rebind" }, { do: "change_connection_id" }, { do: "ping" }];
    const steps: AioquicStep[] = [{ do: "start", id: "d", path: `/bytes/${bytes}` }];
    for (let i = 1; i <= MOVES; i++)
      steps.push({ do: "wait_bytes", id: "d", bytes: (i * bytes) / (MOVES + 2) }, ...move);
    steps.push({ do: "wait" }, { do: "request", id: "last", path: "/small" });
    const windows = { max_stream_data: 200_000, max_data: 200_000 };
    const connections = await runAioquic({ port: proxy.port, ...windows, connections: 4, steps });
    for (const { exchanges, local_ports } of connections) {
      expect(exchanges.map(({ status, ended }) => [status, ended])).toEqual([
        [200, true],
        [200, true],
      ]);
      expect(exchanges[0]?.body_bytes).toBe(bytes);
      expect(local_ports.length).toBe(MOVES + 1);
    }
    expect(nodesIn(connections)).toEqual(new Set([NODE]));
    await stoppedLine(proxy.process);
    expect(await logLine(proxy, { msg: "counted" })).not.toHaveProperty("datagrams_unknown_id");
  });

  test.skipIf(LACK !== null)(LACK ?? "are answered with a reset when their worker has died", async () => {
    const proxy = await startNode();
    const steps: AioquicStep[] = [{ do: "request", path: "/small" }, { do: "say", text: "ready" }, { do: "cue" }];
    const run = startAioquic({ port: proxy.port, steps: [...steps, { do: "start" }, { do: "wait_closed" }] });
    await run.event("said");
    const slot = Number((await logLine(proxy, { msg: "request" }))["worker"]);
    const pid = must(workersOf(proxy)[`h3-worker-${slot}`], "the worker is there");
    process.kill(pid, "SIGKILL");
    await servesAnew(proxy, slot, pid);
    run.cue();
    const [connection] = await run.connections;
    expect(connection?.closed?.by).toBe("reset");
    const again = await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", id: "a", path: "/small" }] });
    expect(again.exchanges[0]?.status).toBe(200);
  });
});

/** What the manual tells operators to derive for their balancers. */
function balancerKey(): Uint8Array {
  const secret = Uint8Array.fromHex(secretHex(KEY));
  return new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), "spooky 1 load balancer\0", 16));
}
