/** Attacks by connections and by datagrams of none. Rows 71 and 88 to 90. */
import { expect } from "bun:test";
import { startBackend } from "../../support/backends.ts";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";

/** A client of its own address: the case's good one comes from another. */
const ATTACKER = "127.0.0.2";
const REFUSED = String(0x02);

/** The rows of this file. */
export const CONNECTION_ATTACKS: readonly Case[] = [
  {
    row: 71,
    name: "clients that stop after the handshake get as many connections as one address may have",
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start({ extra: { performance: { max_connections_per_ip: 20 } } });
      const run = await bed.startAttack({
        attack: "handshakes",
        count: 60,
        refused_max: 30,
        local_host: ATTACKER,
        hold: 0.3,
      });
      await run.ready();
      await bed.expectAlive();
      expect(await run.result).toMatchObject({ established: 20, refused: { [REFUSED]: 30 } });
      bed.expectCounters({ connections_over_address: 30, connections_refused: 30, refusals_sent: 30 });
    },
  },
  {
    row: 71,
    name: "clients that stop after the handshake get as many connections as there are at all",
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start({ extra: { max_concurrent_connections: 20, log: { level: "debug", format: "json" } } });
      const result = await bed.attack({ attack: "handshakes", count: 60, refused_max: 30 });
      expect(result).toMatchObject({ established: 20, refused: { [REFUSED]: 30 } });
      await closedConnections(bed, 20);
      bed.expectCounters({ connections_over_total: 30, connections_refused: 30 });
    },
  },
  {
    row: 71,
    name: "connections that nobody uses any more are gone after the idle time",
    needs: ["aioquic"],
    run: async (bed) => {
      const performance = { quic_max_idle_timeout_ms: 500 };
      await bed.start({ extra: { performance, log: { level: "debug", format: "json" } } });
      const result = await bed.attack({ attack: "handshakes", count: 100, close: false });
      expect(result.established).toBe(100);
      await closedConnections(bed, 100);
      bed.expectCounters({ connections_timed_out: 100 });
    },
  },
  {
    row: 90,
    name: "new connections over the rate are dropped and counted; clients that try again come in",
    needs: ["aioquic"],
    run: async (bed) => {
      const performance = { new_connections_per_sec: 1, new_connections_burst: 5 };
      await bed.start({ extra: { performance } });
      // The patience is what a handshake may take here, and ten of it are too short for as many connections as are refused.
      const hasty = await bed.attack({ attack: "handshakes", count: 15, patience: 0.25 });
      expect(hasty.established).toBeGreaterThanOrEqual(5);
      expect(hasty.refused["none"]).toBeGreaterThan(5);
      const patient = await bed.attack({ attack: "handshakes", count: 1 });
      expect(patient.established).toBe(1);
      bed.expectCounters({ connections_over_rate: expect.any(Number) });
    },
  },
  {
    row: 88,
    name: "an idle connection costs less than 256 KiB",
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start();
      const before = bed.residentMib();
      const run = await bed.startAttack({ attack: "handshakes", count: 150, hold: 0.2 });
      await run.ready();
      expect((bed.residentMib() - before) / 150).toBeLessThan(0.25);
      expect(await run.result).toMatchObject({ established: 150 });
    },
  },
  ...(["garbage", "short", "version", "initial", "initial-same", "empty"] as const).map((kind): Case => ({
    row: 89,
    name: `datagrams in masses (${kind}) keep neither clients nor health checks waiting`,
    needs: ["aioquic"],
    run: async (bed) => {
      const backend = await startBackend({ protocol: "http1" });
      const health_check = { path: "/health", interval: 20, timeout_ms: 1000 };
      const pool = { prefix: "/", backends: [{ address: backend.address, health_check }] };
      await bed.start({ pools: [pool] });
      const run = await bed.startAttack({ attack: "datagrams", kind, seconds: 1, per_second: 15_000 });
      await run.ready();
      const probesBefore = probes(backend.seen);
      const client = await bed.aioquic({
        steps: [{ do: "request", id: "good", path: "/small", count: 100, concurrency: 4 }],
      });
      expect(client.bulks[0]?.statuses).toEqual({ "200": 100 });
      const result = await run.result;
      expect(result.sent).toBeGreaterThan(1000);
      expect(probes(backend.seen)).toBeGreaterThan(probesBefore);
      // Nobody is answered with more than they sent.
      expect(result.bytes_in).toBeLessThanOrEqual(result.sent_bytes / 10);
      expect(result.bytes_in > 0).toBe(kind === "version");
    },
  })),
];

function probes(seen: readonly { readonly target: string }[]): number {
  return seen.filter(({ target }) => target === "/health").length;
}

/** Waits until so many connections have ended, by the log. */
async function closedConnections(bed: Bed, count: number): Promise<void> {
  await bed.proxy.process.waitForLine(
    () => bed.logs().filter(({ msg }) => msg === "connection closed").length >= count,
  );
}
