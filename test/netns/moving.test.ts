/** Clients that move, in networks of their own: by their translator or by themselves, on one, two and four workers. Rows 68 and 69. */
import { describe, expect, test } from "bun:test";
import { QUICGO_MISSING, quicGoProgram, runQuicGo } from "../interop/quicgo.ts";
import { NETWORKS_MISSING } from "../support/netns.ts";
import { hasRunner } from "../support/proxy.ts";
import { patternSha256 } from "../support/pattern.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

const MOVES = 10;
const BODY_BYTES = 6_000_000;
const DOWNLOAD = { path: `/bytes/${BODY_BYTES}?seed=n`, bytes: BODY_BYTES } as const;
const BODY_SHA256 = patternSha256("n", BODY_BYTES);
/** Keeps a response from running ahead of the moves. */
const WINDOW = 200_000;
/** A client that only listens is not heard on its new port, whoever serves it. */
const KEEP_ALIVE_MS = 50;
const WORKERS = [1, 2, 4] as const;
const hasNone = NETWORKS_MISSING !== null || quicGoProgram === null || !hasRunner("binary");
const quicGoLack = NETWORKS_MISSING ?? (quicGoProgram === null ? QUICGO_MISSING : null);

describe.skipIf(quicGoLack !== null)(quicGoLack ?? "quic-go, which probes paths before it uses them,", () => {
  test.each(WORKERS)(
    "migrates ten times between requests to %d workers, with a fresh id each time",
    async (workers) => {
      const { network, proxy } = await startPlacedProxy(workers);
      const { clientHosts } = network;
      const steps = Array.from({ length: MOVES }, (_, i) => [
        { do: "migrate", local_host: clientHosts[i + 1] ?? "" } as const,
        { do: "request", path: "/small", count: 5 } as const,
      ]).flat();
      const plan = { host: proxy.host, port: proxy.port, local_hosts: clientHosts.slice(0, 1), connections: 6, steps };
      const connections = await runQuicGo(plan, network.client);
      for (const connection of connections) {
        expect(connection).toMatchObject({ error: "", closed: "" });
        expect(connection.requests.map(({ sent, statuses }) => [sent, statuses["200"]])).toEqual(
          Array.from({ length: MOVES }, () => [5, 5]),
        );
        expect(connection.locals.length).toBe(MOVES + 1);
        const { frames } = connection;
        // The server challenges each path that it is moved to, and tops up what ids are used.
        expect(frames["path_challenge_received"]).toBeGreaterThanOrEqual(MOVES);
        expect(frames["path_response_sent"]).toBeGreaterThanOrEqual(MOVES);
        expect(frames["ids_used"]).toBeGreaterThanOrEqual(MOVES + 1);
        expect(frames["retire_connection_id_sent"]).toBeGreaterThanOrEqual(MOVES);
        expect(frames["new_connection_id_received"]).toBeGreaterThanOrEqual(MOVES);
        expect(frames["stateless_resets"]).toBeUndefined();
      }
      const counted = await stoppedCounts(proxy);
      expect(counted).toMatchObject({ requests: 6 * MOVES * 5, migrations: 6 * MOVES, connections_accepted: 6 });
    },
  );

  test.each(WORKERS.flatMap((workers) => [["migrate", workers] as const, ["rebind", workers] as const]))(
    "gets the whole of a response in the middle of which it moves ten times (%s), from %d workers",
    async (way, workers) => {
      const { network, proxy } = await startPlacedProxy(workers);
      const steps = [{ do: "download", ...DOWNLOAD, moves: MOVES, way } as const];
      const limits = { window: WINDOW, keep_alive_ms: KEEP_ALIVE_MS, connections: 3 };
      const plan = { host: proxy.host, port: proxy.port, local_hosts: network.clientHosts, ...limits, steps };
      const connections = await runQuicGo(plan, network.client);
      for (const connection of connections) {
        expect(connection).toMatchObject({ error: "", closed: "" });
        const whole = { status: 200, bytes: BODY_BYTES, sha256: BODY_SHA256, moves: MOVES, error: "" };
        expect(connection.downloads).toEqual([{ id: "", ...whole }]);
        expect(connection.locals.length).toBe(MOVES + 1);
      }
      expect(await stoppedCounts(proxy)).toMatchObject({ requests: 3, connections_accepted: 3 });
    },
  );
});

describe.skipIf(hasNone)("quic-go, before the executable (dist/spooky, ./scripts/build makes it),", () => {
  test("gets the whole of a response in the middle of which it migrates ten times", async () => {
    const { network, proxy } = await startPlacedProxy(2, { runner: "binary" });
    const steps = [{ do: "download", ...DOWNLOAD, moves: MOVES, way: "migrate" } as const];
    const plan = { host: proxy.host, port: proxy.port, local_hosts: network.clientHosts, window: WINDOW, steps };
    const [connection] = await runQuicGo(plan, network.client);
    expect(connection).toMatchObject({ error: "", closed: "" });
    const whole = { status: 200, bytes: BODY_BYTES, sha256: BODY_SHA256, moves: MOVES, error: "" };
    expect(connection?.downloads).toEqual([{ id: "", ...whole }]);
    expect(await stoppedCounts(proxy)).toMatchObject({ requests: 1, connections_accepted: 1 });
  });
});
