/**
 * The kernel's program and the router, with real clients in another network: whoever answers is who the router says, by the ids that the
 * clients were given, and stays so while they move. Row 117; `test/ffi/steering.test.ts` holds both against each other by numbers.
 */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { makeNodeKeys, startSecrets, steeringKeys } from "../../src/control/node-keys.ts";
import { routeDatagram, slotsOfBank, type SteeringPlan } from "../../src/quic/steer.ts";
import { runAioquic } from "../interop/aioquic.ts";
import { runQuicGo } from "../interop/quicgo.ts";
import { clusterKeyFile } from "../support/cluster.ts";
import { BOTH_MISSING } from "./both-clients.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

const WORKERS = 4;
const CONNECTIONS = 24;
const MOVES = 3;
const REQUESTS = 2;
/** As short as a datagram with a short header is here. */
const DATAGRAM_BYTES = 60;
const AIOQUIC_MOVE = [
  { do: "change_connection_id" },
  { do: "rebind" },
  { do: "request", path: "/small", count: REQUESTS },
] as const;
const ask = { do: "request", path: "/small", count: REQUESTS } as const;

describe.skipIf(BOTH_MISSING !== null)(BOTH_MISSING ?? "the kernel's program", () => {
  test.each(["plain", "quic-lb"] as const)(
    "finds the worker that the router finds (%s ids)",
    async (connection_ids) => {
      const keyFile = clusterKeyFile({ current: 23 });
      const cluster = { key_file: keyFile, node_id: "01", connection_ids };
      const { network, proxy } = await startPlacedProxy(WORKERS, { extra: { cluster } });
      const { host, port } = proxy;
      const { clientHosts: local_hosts } = network;
      const local_host = must(local_hosts[0], "the client has addresses");
      const [aioquic, quicGo] = await Promise.all([
        runAioquic(
          {
            host,
            port,
            local_host,
            connections: CONNECTIONS,
            steps: [ask, ...Array.from({ length: MOVES }, () => AIOQUIC_MOVE).flat()],
          },
          network.client,
        ),
        runQuicGo(
          {
            ...{ host, port, local_hosts, connections: CONNECTIONS },
            steps: [
              ask,
              ...local_hosts.slice(1, MOVES + 1).flatMap((next) => [{ do: "migrate", local_host: next }, ask] as const),
            ],
          },
          network.client,
        ),
      ]);
      const counted = await stoppedCounts(proxy);
      expect(counted).toMatchObject({ requests: 2 * CONNECTIONS * (MOVES + 1) * REQUESTS });
      const requests = proxy.logs().filter(({ msg }) => msg === "request");
      const byClient = new Map(requests.map(({ client, worker }) => [client, worker]));
      // A request that comes right after a move may be logged with the address before it.
      const answeredAt = (clients: readonly string[]): unknown[] => [
        ...new Set(clients.map((client) => byClient.get(client)).filter((worker) => worker !== undefined)),
      ];
      const plan = planOf(keyFile, connection_ids);
      const workers = new Set<unknown>();
      let compared = 0;
      const ports = aioquic.flatMap(({ local_ports }) => local_ports);
      for (const { bulks, local_ports, server_ids } of aioquic) {
        expect(bulks.map(({ statuses }) => statuses)).toEqual(Array(MOVES + 1).fill({ "200": REQUESTS }));
        expect(server_ids.length).toBeGreaterThan(MOVES);
        // Ports that were given up may be another connection's later.
        const own = local_ports.filter((local) => ports.indexOf(local) === ports.lastIndexOf(local));
        const answered = answeredAt(own.map((local) => `${local_host}:${local}`));
        const ways = [...new Set(server_ids.map((id) => routeOf(plan, id)))];
        expect(ways.length).toBe(1);
        // Where all of its ports became others', its lines cannot be told from theirs.
        if (answered.length > 0) expect(ways).toEqual(answered.map(Number));
        compared += answered.length;
        workers.add(ways[0]);
      }
      expect(compared).toBeGreaterThan(0);
      for (const { requests, locals, error } of quicGo) {
        expect([error, requests.map(({ statuses }) => statuses)]).toEqual([
          "",
          Array(MOVES + 1).fill({ "200": REQUESTS }),
        ]);
        expect(answeredAt(locals).length).toBe(1);
      }
      expect(workers.size).toBe(WORKERS);
    },
  );
});

/** How that node steers while nothing is renewed. */
function planOf(keyFile: string, ids: "plain" | "quic-lb"): SteeringPlan {
  const quicLb = ids === "plain" ? null : { encrypted: true, nonceBytes: 8 };
  const cluster = { keyFile, nodeId: "01", quicLb };
  const keys = steeringKeys(makeNodeKeys(startSecrets(cluster), cluster));
  return { ...keys, active: slotsOfBank(0, WORKERS, WORKERS), draining: null, standIns: [] };
}

/** The slot of a datagram with a short header to this id. */
function routeOf(plan: SteeringPlan, id: string): number {
  const datagram = new Uint8Array(DATAGRAM_BYTES);
  datagram.set([0x40, ...Uint8Array.fromHex(id)]);
  return routeDatagram(plan, datagram, 0, datagram.length);
}
