/** Attacks by requests: resets, bodies and heads that never come, sections that are bombs. Rows 72 to 78 and 87. */
import { expect } from "bun:test";
import { startBackend } from "../../support/backends.ts";
import type { Attack } from "../attacks.ts";
import type { Case } from "../case.ts";

const EXCESSIVE_LOAD = { code: 0x107, application: true };
/** `reset_burst` as it is without a configuration. */
const RESET_BURST = 200;
/** What a thousand stalled responses may add: some 100 KiB for each, most of it the runtime's for its connection to the backend. */
const STALLED_MIB_MAX = 256;

/** The rows of this file. */
export const REQUEST_ATTACKS: readonly Case[] = [
  ...(["both", "reset", "stop"] as const).map((how): Case => ({
    row: 72,
    name: `requests given up in their own packet (${how}) cost the connection, and the backend sees nearly none`,
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "rapid-reset", how, count: 3000 });
      expect(result.closed).toEqual(EXCESSIVE_LOAD);
      expect(result.sent).toBeLessThan(1000);
      const { connections, requests } = await bed.recorder();
      expect(requests.length).toBeLessThan(RESET_BURST);
      await Promise.all(connections.map(({ end }) => end));
      bed.expectCounters({ connections_over_resets: 1 });
    },
  })),
  {
    row: 72,
    name: "streams that are opened and reset with nothing on them are given up requests as well",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "empty-streams", count: 3000 });
      expect(result.closed).toEqual(EXCESSIVE_LOAD);
      expect((await bed.recorder()).text).toBe("");
      bed.expectCounters({ connections_over_resets: 1 });
    },
  },
  ...(["length", "trailers", "head"] as const).map((how): Case => ({
    row: 73,
    name: `requests that make the proxy reset them (${how}) are in the same budget as those that clients reset`,
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "made-you-reset", how, count: 3000 });
      expect(result.closed).toEqual(EXCESSIVE_LOAD);
      expect(result.reset_codes[0x10e] ?? 0).toBeLessThanOrEqual(RESET_BURST + 50);
      const { connections } = await bed.recorder();
      await Promise.all(connections.map(({ end }) => end));
      bed.expectCounters({ connections_over_resets: 1 });
    },
  })),
  {
    row: 74,
    name: "a thousand streams whose windows are shut are reset when their time is over; their backend's work ends, memory is bounded",
    needs: ["aioquic"],
    run: async (bed) => {
      const backend = await startBackend({ protocol: "http1" });
      const performance = { client_send_timeout_ms: 500 };
      await bed.start({ pools: [{ prefix: "/", backends: [backend.address] }], extra: { performance } });
      const before = bed.residentMib();
      const result = await bed.attack({ attack: "window-stall", path: "/bytes/20000000", wait: 30 });
      expect(result).toMatchObject({ reset_codes: { [0x102]: 1000 }, statuses: {}, closed: null });
      expect(bed.residentMib() - before).toBeLessThan(STALLED_MIB_MAX);
      while (backend.counts.active > 0) await new Promise((resolve) => setImmediate(resolve));
      expect(backend.counts.requests).toBe(1000);
    },
  },
  ...(["native", "fetch"] as const).map((transport): Case => ({
    row: 74,
    name: `a client that takes a little at a time keeps its answer, however long what was read ahead takes it (${transport})`,
    needs: ["aioquic"],
    run: async (bed) => {
      const backend = await startBackend({ protocol: "http1" });
      const performance = { client_send_timeout_ms: 500 };
      const pools = [{ prefix: "/", backends: [backend.address], extra: { transport } }];
      await bed.start({ pools, extra: { performance } });
      const result = await bed.attack({ attack: "credit-drip", streams: 5, step: 200, gap: 0.05, count: 40 });
      expect(result).toMatchObject({ reset_codes: {}, statuses: { "200": 5 }, closed: null });
      expect(result.body_bytes).toBeGreaterThan(5 * 7000);
    },
  })),
  {
    row: 76,
    name: "heads that come a byte at a time are answered 408 when their time is over",
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start({ extra: { performance: { client_header_timeout_ms: 300 } } });
      const result = await bed.attack({ attack: "slow-head", streams: 10, gap: 0.02, count: 200 });
      expect(result).toMatchObject({ closed: null, statuses: { "408": 10 }, streams_ended: 10 });
      expect((await bed.recorder()).text).toBe("");
      bed.expectCounters({ request_heads_late: 10 });
    },
  },
  bombs("below the limit pass", { statuses: { "200": 1 }, closed: null }, [
    { attack: "header-bomb", kind: "long", size: 16_384 },
    { attack: "header-bomb", kind: "huffman", size: 27 * 700 },
  ]),
  bombs("over the limit are answered 431, counted as decoded", { statuses: { "431": 1 }, closed: null }, [
    { attack: "header-bomb", kind: "long", size: 65_536 },
    { attack: "header-bomb", kind: "tiny", size: 200 },
    { attack: "header-bomb", kind: "static", size: 500 },
  ]),
  bombs("over the hard limit close the connection with H3_EXCESSIVE_LOAD", { closed: EXCESSIVE_LOAD }, [
    { attack: "header-bomb", kind: "long", size: 1_000_000 },
    { attack: "header-bomb", kind: "tiny", size: 10_000 },
    { attack: "header-bomb", kind: "static", size: 8000 },
  ]),
  bombs("that name a dynamic table are refused, for none is offered", { closed: { code: 0x200, application: true } }, [
    { attack: "header-bomb", kind: "dynamic", size: 100 },
  ]),
  {
    row: 78,
    name: "Huffman codes of the costliest sort are decoded like others, and what expands is counted as decoded",
    needs: ["aioquic"],
    run: async (bed) => {
      const long = await bed.attack({ attack: "huffman-flood", count: 50, size: 27 * 800 });
      expect(long).toMatchObject({ sent: 50, statuses: { "200": 50 } });
      const short = await bed.attack({ attack: "huffman-flood", how: "short", count: 50, size: 30_000 });
      expect(short).toMatchObject({ sent: 50, statuses: { "431": 50 } });
      expect((await bed.recorder()).requests).toHaveLength(50);
    },
  },
  {
    row: 75,
    name: "an upload that stops after a byte is over soon, and its backend's connection is free",
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start({ extra: { performance: { client_body_idle_timeout_ms: 200 } } });
      const result = await bed.attack({ attack: "slow-body", count: 20 });
      expect(result).toMatchObject({ closed: null, statuses: { "408": 20 }, streams_ended: 20 });
      const { connections, requests } = await bed.recorder();
      await Promise.all(connections.map(({ end }) => end));
      expect(requests).toEqual([]);
      bed.expectCounters({ client_deadlines: 20, requests_failed: 20 });
    },
  },
  {
    row: 87,
    name: "thousands of requests one after the other on one connection are all answered, in memory that stays",
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start();
      await bed.attack({ attack: "requests", count: 500 });
      const before = bed.residentMib();
      const result = await bed.attack({ attack: "requests", count: 3000 });
      expect(result).toMatchObject({ sent: 3000, closed: null });
      expect((await bed.recorder()).requests).toHaveLength(3500);
      expect(bed.residentMib() - before).toBeLessThan(32);
      bed.expectCounters({ requests_completed: 3501 });
    },
  },
  {
    row: 87,
    name: "a hundred requests in one flight are one turn's events and all answered",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "burst", streams: 100 });
      expect(result).toMatchObject({ sent: 100, statuses: { "200": 100 }, streams_ended: 100 });
    },
  },
];

function bombs(what: string, wanted: object, attacks: readonly Attack[]): Case {
  return {
    row: 77,
    name: `sections ${what}`,
    needs: ["aioquic"],
    run: async (bed) => {
      let passed = 0;
      for (const attack of attacks) {
        const result = await bed.attack(attack);
        expect({ attack, ...result }).toMatchObject(wanted);
        passed += result.statuses["200"] ?? 0;
      }
      expect((await bed.recorder()).requests).toHaveLength(passed);
    },
  };
}
