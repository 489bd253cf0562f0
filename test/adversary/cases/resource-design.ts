/**
 * Attacks that the design of this proxy invites, beside those of the rows: one event loop, quiche's buffers that nobody reads, calls
 * across the wall for every stream, connections to backends that are made for one request.
 */
import { expect } from "bun:test";
import type { Case } from "../case.ts";
import { must } from "../../../src/core/assert.ts";
import { startBackend } from "../../support/backends.ts";
import { startRawBackend } from "../../support/raw-backend.ts";
import type { RawBackend } from "../../support/raw-backend.ts";

const LONG_PATH_BYTES = 15_000;
/** As much as a stream's window towards a backend lets it send ahead. */
const DRIPPED_BYTES = 262_000;

/** Each belongs to the row that it is nearest to. */
export const DESIGN_ATTACKS: readonly Case[] = [
  {
    row: 72,
    name: "requests that are stopped in their own packet never reach an HTTP/1.1 backend, and leave no connection to it",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "rapid-reset", how: "stop", count: 150, wait: 0.3 });
      expect(result).toMatchObject({ sent: 150, closed: null, reset_codes: { [0x10c]: 150 } });
      const { connections, requests } = await bed.recorder();
      expect(requests).toEqual([]);
      await Promise.all(connections.map(({ end }) => end));
      bed.expectCounters({ requests_aborted: 150 });
    },
  },
  {
    row: 72,
    name: "streams that are reset before their request was read are given back: more of them than may be open at once",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "rapid-reset", how: "reset", count: 150, wait: 0.3 });
      expect(result).toMatchObject({ sent: 150, closed: null, reset_codes: { [0x10c]: 150 } });
    },
  },
  ...(["empty-data", "reserved", "payload"] as const).map((kind): Case => ({
    row: 75,
    name: `an upload of frames without a byte (${kind}) moves nothing, so that its time is over as if it had stopped`,
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start({ extra: { performance: { client_body_idle_timeout_ms: 200 } } });
      const result = await bed.attack({ attack: "trickle", kind, streams: 10, seconds: 10 });
      expect(result).toMatchObject({ closed: null, statuses: { "408": 10 }, streams_ended: 10 });
      const { connections } = await bed.recorder();
      await Promise.all(connections.map(({ end }) => end));
    },
  })),
  {
    row: 74,
    name: "a body in frames of one byte, for a client that takes none of it, waits at what it holds",
    needs: ["aioquic"],
    run: async (bed) => {
      const { backend, requested } = await startDripper(DRIPPED_BYTES);
      await bed.start({ pools: [{ prefix: "/", backends: [`h2c://${backend.bareAddress}`] }] });
      const before = bed.residentMib();
      const run = await bed.startAttack({ attack: "window-stall", connections: 1, streams: 1, wait: 1.5 });
      await requested();
      await bed.expectAlive();
      // Each piece by itself took 75 MiB for as many.
      expect(bed.residentMib() - before).toBeLessThan(40);
      expect((await run.result).body_bytes).toBe(0);
    },
  },
  {
    row: 77,
    name: "paths of many kilobytes are cut in the log",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "requests", count: 20, path_bytes: LONG_PATH_BYTES });
      expect(result).toMatchObject({ sent: 20, closed: null });
      await bed.logLine({ msg: "request" });
      for (const line of bed.proxy.process.stdout) expect(line.length).toBeLessThan(LONG_PATH_BYTES);
    },
  },
  {
    row: 81,
    name: "one connection from ever new ports is not answered with more than it sent, and stays",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "moving", count: 200, wait: 0.2 });
      expect(result).toMatchObject({ sent: 200, closed: null });
      expect(result.bytes_in + result.bytes_elsewhere).toBeLessThan(result.bytes_out);
    },
  },
  {
    row: 84,
    name: "uploads that fill every window of a connection stay within it, and their memory goes with their time",
    needs: ["aioquic"],
    run: async (bed) => {
      const backend = await startBackend({ protocol: "http1" });
      const performance = { client_body_idle_timeout_ms: 500, backend_timeout_ms: 500 };
      await bed.start({ pools: [{ prefix: "/", backends: [backend.address] }], extra: { performance } });
      const before = bed.residentMib();
      const run = await bed.startAttack({ attack: "unread-uploads", connections: 1, hold: 1 });
      await run.ready();
      // quic_initial_max_data is 10 MB; quiche's pieces and what the kernel holds for the backend come to that.
      expect(bed.residentMib() - before).toBeLessThan(64);
      expect((await run.result).streams_ended).toBeGreaterThanOrEqual(10);
    },
  },
  ...(["insert", "capacity", "cancel"] as const).map((kind): Case => ({
    row: 86,
    name: `QPACK instructions in masses (${kind}), for a table that was not offered, cost no memory and then the connection`,
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start();
      const before = bed.residentMib();
      await bed.attack({ attack: "encoder-flood", kind, count: 300, wait: 0.2 });
      expect(bed.residentMib() - before).toBeLessThan(24);
    },
  })),
];

/** An HTTP/2 backend that answers its first request with a body in DATA frames of one byte. `requested` resolves when all are sent. */
async function startDripper(bytes: number): Promise<{ backend: RawBackend; requested: () => Promise<void> }> {
  const settings = Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0);
  // HEADERS with END_STREAM and END_HEADERS on stream 1, as the proxy sends them; and `:status: 200` in answer.
  const request = Uint8Array.of(1, 5, 0, 0, 0, 1);
  const head = [0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
  const body = Buffer.alloc(10 * bytes, Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 0, 1, 0x78));
  const begun = Promise.withResolvers<void>();
  const backend = await startRawBackend({
    script: () => {
      begun.resolve();
      return [
        { read: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
        { send: settings },
        { read: request },
        { send: Buffer.concat([Uint8Array.from(head), body]) },
      ];
    },
  });
  const requested = async () => {
    await begun.promise;
    await must(backend.connections[0], "the proxy has connected").played;
  };
  return { backend, requested };
}
