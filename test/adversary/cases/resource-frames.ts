/** Attacks by frames of QUIC and HTTP/3 that are legal or nearly so, in masses. Rows 79 to 86. */
import { expect } from "bun:test";
import { startBackend } from "../../support/backends.ts";
import type { Attack } from "../attacks.ts";
import type { Case } from "../case.ts";

const EXCESSIVE_LOAD = { code: 0x107, application: true };
const IDLE_PACKETS = [
  "ping",
  "pings",
  "max-data",
  "max-streams",
  "data-blocked",
  "streams-blocked",
  "empty-stream",
  "repeated",
] as const;
/** Floods that a window slows down need long for the budget that there is without a configuration. */
const SMALL_BUDGET = { extra: { resilience: { protocol: { glitch_burst: 40, glitches_per_sec: 5 } } } };
/** The engine keeps three ids to retire for each path that a connection may have, beside those in packets on their way. */
const NEW_IDS = 6000;
/** What a connection may add to resident memory, MiB, whatever is thrown at it. */
const GROWTH_MIB_MAX = 24;

/** The rows of this file. */
export const FRAME_ATTACKS: readonly Case[] = [
  ...[
    { attack: "new-ids", count: NEW_IDS, withhold: true } as const,
    { attack: "new-ids", count: NEW_IDS, retire: false } as const,
  ].map((attack): Case => {
    const how = attack.retire === false ? "retiring none" : "retiring those before, acknowledgements withheld";
    return {
      row: 79,
      name: `new connection ids in masses, ${how}, end the connection with CONNECTION_ID_LIMIT_ERROR`,
      needs: ["aioquic"],
      run: async (bed) => {
        const result = await bed.attack(attack);
        expect(result.closed).toEqual({ code: 0x09, application: false });
        expect(result.sent).toBeLessThan(NEW_IDS);
        expect(result.frames["retire_connection_id"] ?? 0).toBeLessThanOrEqual(2 * result.sent);
      },
    };
  }),
  {
    row: 79,
    name: "new connection ids in masses whose retirement is confirmed are no more than packets",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "new-ids", count: 300, withhold: false, wait: 0.2 });
      // Whether quiche loses patience depends on how soon its RETIRE_CONNECTION_ID frames are confirmed.
      if (result.closed !== null) expect(result.closed).toEqual({ code: 0x09, application: false });
      expect(result.frames["retire_connection_id"] ?? 0).toBeLessThanOrEqual(2 * result.sent);
      expect(result.datagrams_in).toBeLessThan(2 * result.datagrams_out);
    },
  },
  {
    row: 80,
    name: "ids of ours that are retired as soon as they are known are replaced one for one",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "retire", how: "known", count: 300, wait: 0.2 });
      expect(result).toMatchObject({ sent: 300, closed: null, frames: { new_connection_id: 303 } });
      expect(result.datagrams_in).toBeLessThan(2 * result.datagrams_out);
    },
  },
  {
    row: 80,
    name: "an id that is retired again and again is replaced once",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "retire", how: "repeated", count: 300, wait: 0.2 });
      expect(result).toMatchObject({ sent: 300, closed: null, frames: { new_connection_id: 4 } });
    },
  },
  {
    row: 80,
    name: "an id that was never issued cannot be retired",
    needs: ["aioquic"],
    run: async (bed) => {
      const { closed } = await bed.attack({ attack: "retire", how: "unknown", count: 10 });
      expect(closed).toEqual({ code: 0x0a, application: false });
    },
  },
  ...[true, false].map((withhold): Case => ({
    row: 81,
    name: `thousands of path challenges get three answers a turn at most, acknowledgements ${withhold ? "withheld" : "given"}`,
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "path-challenges", count: 100, withhold, wait: 0.2 });
      expect(result).toMatchObject({ sent: 10_000, closed: null });
      expect(result.frames["path_response"]).toBeLessThanOrEqual(3 * 110);
      expect(result.bytes_in).toBeLessThan(result.bytes_out / 4);
    },
  })),
  {
    row: 82,
    name: "CRYPTO data far ahead of what came closes the connection with CRYPTO_BUFFER_EXCEEDED",
    needs: ["aioquic"],
    run: async (bed) => {
      const { closed } = await bed.attack({ attack: "crypto-hole", offset: 1 << 20 });
      expect(closed).toEqual({ code: 0x0d, application: false });
    },
  },
  ...(["unsent", "ahead", "all"] as const).map((how): Case => ({
    row: 83,
    name: `acknowledging packets that were never received (${how}) ends the connection with PROTOCOL_VIOLATION`,
    needs: ["aioquic"],
    run: async (bed) => {
      const backend = await startBackend({ protocol: "http1" });
      await bed.start({ pools: [{ prefix: "/", backends: [backend.address] }] });
      const result = await bed.attack({ attack: "optimistic-ack", how, path: "/bytes/20000000" });
      expect(result.closed).toEqual({ code: 0x0a, application: false });
    },
  })),
  {
    row: 84,
    name: "data beyond a stream's window is FLOW_CONTROL_ERROR, whatever its gaps",
    needs: ["aioquic"],
    run: async (bed) => {
      const { closed } = await bed.attack({ attack: "stream-gaps", span: 8_000_000, count: 10 });
      expect(closed).toEqual({ code: 0x03, application: false });
    },
  },
  {
    row: 84,
    name: "bytes scattered over a stream's window stay in bounds and go with their stream",
    needs: ["aioquic"],
    gap: "quiche keeps each piece by itself, some 130 bytes for one: the window bounds their number, not their cost",
    run: async (bed) => {
      await bed.start({ extra: { performance: { client_body_idle_timeout_ms: 300 } } });
      const before = bed.residentMib();
      const result = await bed.attack({ attack: "stream-gaps", count: 500, wait: 1 });
      expect(result.sent).toBeGreaterThan(50_000);
      expect(bed.residentMib() - before).toBeLessThan(80);
      expect((await bed.recorder()).requests).toEqual([]);
    },
  },
  floods(85, "priorities of streams that are not open", ["priority", "priority-one"]),
  floods(86, "frames of the control stream that bring nothing", [
    "reserved",
    "reserved-long",
    "max-push-id",
    "cancel-push",
    "goaway",
  ]),
  {
    row: 85,
    name: "a priority for a stream beyond the limit is H3_ID_ERROR",
    needs: ["aioquic"],
    run: async (bed) => {
      const { closed } = await bed.attack({ attack: "control-flood", kind: "priority-far", count: 1 });
      expect(closed).toEqual({ code: 0x108, application: true });
    },
  },
  {
    row: 86,
    name: "packets in masses that bring nothing cost the connection, whatever is in them",
    needs: ["aioquic"],
    run: async (bed) => {
      for (const kind of IDLE_PACKETS) {
        const { closed } = await bed.attack({ attack: "packet-flood", kind, count: 12_000 });
        expect({ kind, closed }).toEqual({ kind, closed: EXCESSIVE_LOAD });
      }
      bed.expectCounters({ connections_over_glitches: IDLE_PACKETS.length });
    },
  },
  {
    row: 86,
    name: "frames without a byte in the body of a request cost the connection as well",
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start(SMALL_BUDGET);
      for (const kind of ["empty-data", "reserved"] as const) {
        const { closed } = await bed.attack({ attack: "body-flood", kind, count: 900 });
        expect({ kind, closed }).toEqual({ kind, closed: EXCESSIVE_LOAD });
      }
      bed.expectCounters({ connections_over_glitches: 2 });
    },
  },
  {
    row: 86,
    name: "what a lossy network does is no attack: a window's worth of packets behind one that was lost",
    needs: ["aioquic"],
    run: async (bed) => {
      const result = await bed.attack({ attack: "late-start", streams: 3 });
      expect(result).toMatchObject({ closed: null, statuses: { "200": 3 }, streams_ended: 3 });
      expect((await bed.recorder()).requests).toHaveLength(3);
    },
  },
  {
    row: 86,
    name: "a second SETTINGS is H3_FRAME_UNEXPECTED",
    needs: ["aioquic"],
    run: async (bed) => {
      const { closed } = await bed.attack({ attack: "control-flood", kind: "settings", count: 1 });
      expect(closed).toEqual({ code: 0x105, application: true });
    },
  },
];

function floods(row: number, what: string, kinds: readonly ControlKind[]): Case {
  return {
    row,
    name: `${what}, in masses, cost no memory and then the connection`,
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start(SMALL_BUDGET);
      const before = bed.residentMib();
      for (const kind of kinds) {
        const { closed } = await bed.attack({ attack: "control-flood", kind, count: 1500 });
        expect({ kind, closed }).toEqual({ kind, closed: EXCESSIVE_LOAD });
      }
      expect(bed.residentMib() - before).toBeLessThan(GROWTH_MIB_MAX);
      bed.expectCounters({ connections_over_glitches: kinds.length });
    },
  };
}

type ControlKind = Extract<Attack, { attack: "control-flood" }>["kind"];
