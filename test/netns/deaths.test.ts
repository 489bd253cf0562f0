/** Workers that die, as clients in another network see it; and how fresh connections spread over workers. Rows 64, 108 and 116. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { logLine } from "../e2e/log-lines.ts";
import { servesAnew, workerByClient, workersOf } from "../e2e/worker-proxies.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { QUICGO_MISSING, quicGoProgram, runQuicGo, startQuicGo } from "../interop/quicgo.ts";
import { NETWORKS_MISSING } from "../support/netns.ts";
import { defaultRunner, hasRunner } from "../support/proxy.ts";
import { waitUntil } from "../support/net.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

/** Of each kind; that none of them is the victim's happens once in a million runs. */
const CLIENTS = 24;
/** Workers, and what runs them. The executable is there when ./scripts/build has made it. */
const KILLED = (
  [
    [2, defaultRunner()],
    [4, defaultRunner()],
    [2, "binary"],
  ] as const
).filter(([, runner]) => hasRunner(runner));
const lack =
  NETWORKS_MISSING ?? (aioquicPython === null ? AIOQUIC_MISSING : quicGoProgram === null ? QUICGO_MISSING : null);

describe.skipIf(lack !== null)(lack ?? "clients of a worker that is killed", () => {
  // On all addresses: the reset must come from the one that the client writes to, or it is not heard.
  test.each(KILLED)(
    "of %d (%s) are told by a stateless reset, and all others are not disturbed",
    async (workers, runner) => {
      const { network, proxy } = await startPlacedProxy(workers, { address: "0.0.0.0", supervisor: "auto", runner });
      const host = network.serverHosts[1];
      const request = { do: "request", path: "/small", count: 5 } as const;
      const plan = { host, port: proxy.port, local_hosts: network.clientHosts, connections: CLIENTS };
      const steps = [request, { do: "say", text: "half" }, { do: "cue" }, request] as const;
      const quicGo = await startQuicGo({ ...plan, steps }, network.client);
      const local_host = must(network.clientHosts[0], "the client has addresses");
      const asked = { host, port: proxy.port, local_host, connections: CLIENTS, steps };
      const aioquic = startAioquic({ ...asked, idle_timeout_ms: 20_000 }, network.client);
      for (let connection = 0; connection < CLIENTS; connection++) {
        await quicGo.said("half", connection);
        await aioquic.event("said", { connection, text: "half" });
      }
      // A worker writes its lines in batches: those that it still holds when it is killed are lost, and tell nobody whom it served.
      await proxy.process.waitForLine(() => workerByClient(proxy.logs()).size === 2 * CLIENTS);
      const victim = must(workersOf(proxy)["h3-worker-0"], "there is a first worker");
      process.kill(victim, "SIGKILL");
      await logLine(proxy, { msg: "worker ended: started again", slot: 0, pid: victim });
      await servesAnew(proxy, 0, victim);
      for (let connection = 0; connection < CLIENTS; connection++) {
        quicGo.cue();
        aioquic.cue();
      }
      const byClient = workerByClient(proxy.logs());
      const seen = [
        ...(await quicGo.connections).map(({ locals: [local = ""], requests, frames }) => ({
          worker: byClient.get(local),
          isReset: frames["stateless_resets"] === 1,
          answered: requests[1]?.statuses["200"] ?? 0,
        })),
        ...(await aioquic.connections).map(({ local_ports: [port = 0], bulks, closed }) => ({
          worker: byClient.get(`${local_host}:${port}`),
          isReset: closed?.by === "reset",
          answered: bulks[1]?.statuses["200"] ?? 0,
        })),
      ];
      for (const { worker, isReset, answered } of seen)
        expect({ worker, isReset, answered }).toEqual(
          worker === 0 ? { worker, isReset: true, answered: 0 } : { worker, isReset: false, answered: 5 },
        );
      const lost = seen.filter(({ worker }) => worker === 0).length;
      expect([lost > 0, lost < seen.length]).toEqual([true, true]);
      // They come back at once.
      const back = await runAioquicOnce({ ...asked, steps: [request] }, network.client);
      expect(back.bulks[0]?.statuses).toEqual({ "200": 5 });
      expect(await stoppedCounts(proxy)).toMatchObject({ worker_restarts: 1 });
    },
  );
});

describe.skipIf(lack !== null)(lack ?? "pools of quic-go under load", () => {
  test("go over to another connection when their worker is killed, and say how long that took", async () => {
    const { network, proxy } = await startPlacedProxy(2, { supervisor: "auto" });
    const { host, port } = proxy;
    const steps = [{ do: "load", path: "/small", rate: 25 }] as const;
    const load = await startQuicGo(
      { host, port, local_hosts: network.clientHosts, connections: CLIENTS, steps },
      network.client,
    );
    // Each has been answered once by then.
    const workersSeen = new Map<unknown, unknown>();
    await waitUntil(() => {
      for (const [at, worker] of workerByClient(proxy.logs())) workersSeen.set(at, worker);
      return workersSeen.size >= CLIENTS;
    });
    const victim = must(workersOf(proxy)["h3-worker-1"], "there is a second worker");
    process.kill(victim, "SIGKILL");
    await servesAnew(proxy, 1, victim);
    const before = proxy.logs().filter(({ msg }) => msg === "request").length;
    await proxy.process.waitForLine(
      () => proxy.logs().filter(({ msg }) => msg === "request").length > before + CLIENTS * 5,
    );
    const loads = (await load.finish()).flatMap(({ loads: own }) => own);
    const reset = loads.filter(({ stateless_resets }) => stateless_resets > 0);
    const others = loads.filter(({ stateless_resets }) => stateless_resets === 0);
    const recovery = reset.map(({ recovery_ms }) => Math.round(recovery_ms)).toSorted((a, b) => a - b);
    console.log(
      `killed worker: ${reset.length} of ${CLIENTS} pools were reset; first answer after ${recovery.join(", ")} ms`,
    );
    expect([reset.length > 0, others.length > 0]).toEqual([true, true]);
    for (const { sent, statuses, failed } of others) expect([failed, statuses["200"]]).toEqual([0, sent]);
    // One more at least: a request that fails late makes http3.Transport give up the connection that it has by then.
    for (const { connections, statuses } of reset)
      expect([connections > 1, (statuses["200"] ?? 0) > 1]).toEqual([true, true]);
    await stoppedCounts(proxy);
  });
});

describe.skipIf(lack !== null)(lack ?? "fresh connections", () => {
  const CONNECTIONS = 400;
  /** Chi-square of 1 and 3 degrees of freedom that even spreading exceeds once in a million runs; once in twenty: 3.84 and 7.81. */
  const CHI_SQUARE_MAX = { 2: 23.93, 4: 30.66 } as const;

  test.each([2, 4] as const)("spread evenly over %d workers", async (workers) => {
    const { network, proxy } = await startPlacedProxy(workers, { supervisor: "auto" });
    const { host, port } = proxy;
    const steps = [{ do: "request", path: "/small" }] as const;
    const plan = { host, port, local_hosts: network.clientHosts, connections: CONNECTIONS / 4, steps };
    let made = 0;
    for (let round = 0; round < 4; round++) {
      const connections = await runQuicGo(plan, network.client);
      made += connections.filter(({ requests }) => requests[0]?.statuses["200"] === 1).length;
    }
    expect(made).toBe(CONNECTIONS);
    await stoppedCounts(proxy);
    const counts = Array.from(
      { length: workers },
      (_, worker) => proxy.logs().filter(({ msg, worker: by }) => msg === "request" && by === worker).length,
    );
    const expected = CONNECTIONS / workers;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    console.log(`fresh connections over ${workers} workers: ${counts.join(", ")}; chi-square ${chiSquare.toFixed(2)}`);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(CONNECTIONS);
    expect(chiSquare).toBeLessThan(CHI_SQUARE_MAX[workers]);
  });
});
