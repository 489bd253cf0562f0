/**
 * Backends that never stop: each kind of abuse goes on until something ends it. Known for each: what ends it, the limit that it
 * meets, the counter that tells of it, how many bytes it may cost until then, and that memory does not grow meanwhile.
 */
import { describe, expect, test } from "bun:test";
import type { CounterName } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { type ConnectionFault, FLAG, FRAME, SETTING, type StreamFault } from "../../../src/h2/codes.ts";
import { dataFrame, frame, GET, H2Peer, joined, settingsFrame, words } from "../../support/h2-peer.ts";
import type { Field } from "../../support/sections.ts";

const OK: readonly Field[] = [[":status", "200"]];
const KIB = 1024;
const MIB = 1024 * KIB;
/** What a connection may hold beyond what it held before: a window's worth of output and a field block are the largest parts. */
const MEMORY_GROWTH_BYTES_MAX = 3 * MIB;

interface Abuse {
  readonly name: string;
  /** Null where it is a rule and not a limit. */
  readonly limit: keyof typeof LIMITS | null;
  readonly ends: `connection ${ConnectionFault}` | `stream ${StreamFault}`;
  readonly counter: CounterName;
  /** Bytes that it may send until it is ended. */
  readonly bytesMax: number;
  /** The next chunk; `round` counts them. Stream 1 is open, 3 is answered, 5 is over. */
  readonly next: (peer: H2Peer, round: number) => Uint8Array;
}

/** So many of one frame in a chunk. */
function repeated(bytes: Uint8Array, times: number): Uint8Array {
  return joined(...Array.from({ length: times }, () => bytes));
}

/** A flood of one frame: a thousand and some, whatever its size. */
function flood(name: string, one: Uint8Array | ((round: number) => Uint8Array)): Abuse {
  const frameBytes = typeof one === "function" ? one(0).length : one.length;
  return {
    name,
    limit: "h2FloodTokensMax",
    ends: "connection flood",
    counter: "h2FloodsCut",
    bytesMax: (LIMITS.h2FloodTokensMax + 64) * frameBytes,
    next: (_, round) => repeated(typeof one === "function" ? one(round) : one, 16),
  };
}

/** A literal field with indexing: 4 bytes and so many of value. */
function literal(valueBytes: number, fill: number): Uint8Array {
  const length = [127, ((valueBytes - 127) & 0x7f) | 0x80, (valueBytes - 127) >> 7];
  return joined(Uint8Array.of(0x40, 1, 0x61, ...length), new Uint8Array(valueBytes).fill(fill));
}

const ABUSES: readonly Abuse[] = [
  flood("PING", frame(FRAME.ping, 0, 0, new Uint8Array(8))),
  flood("PING acknowledged", frame(FRAME.ping, FLAG.ack, 0, new Uint8Array(8))),
  flood("SETTINGS", settingsFrame()),
  flood("SETTINGS of 2,730 entries", settingsFrame(...Array.from({ length: 2730 }, (_, i) => [4, i] as const))),
  flood("SETTINGS that let the table vanish and come back", (round) =>
    settingsFrame([SETTING.headerTableSize, round % 2 === 0 ? 0 : 4096]),
  ),
  flood("SETTINGS that open and shut the window", (round) =>
    settingsFrame([SETTING.initialWindowSize, round % 2 === 0 ? 0 : 2 ** 30]),
  ),
  flood("SETTINGS that allow streams and take them back", (round) =>
    settingsFrame([SETTING.maxConcurrentStreams, round % 2 === 0 ? 0 : 2 ** 31]),
  ),
  flood("SETTINGS acknowledged", frame(FRAME.settings, FLAG.ack, 0)),
  flood("empty DATA", dataFrame(3, "")),
  flood("DATA of nothing but padding", dataFrame(3, "", false, 255)),
  flood("PRIORITY", frame(FRAME.priority, 0, 1, new Uint8Array(5))),
  flood("PRIORITY of streams that never were", (round) => frame(FRAME.priority, 0, 2 * round + 99, new Uint8Array(5))),
  flood("unknown frames", frame(0xbb, 0xff, 1, new Uint8Array(100))),
  flood("unknown frames as long as frames may be", frame(0xbb, 0, 0, new Uint8Array(16_384))),
  flood("credit for the connection", frame(FRAME.windowUpdate, 0, 0, words(1))),
  flood("credit for a stream", frame(FRAME.windowUpdate, 0, 1, words(1))),
  flood("credit for a stream that is over", frame(FRAME.windowUpdate, 0, 5, words(1))),
  flood("resets of a stream that is over", frame(FRAME.resetStream, 0, 5, words(0))),
  flood("GOAWAY", frame(FRAME.goaway, 0, 0, words(99, 0))),
  flood("GOAWAY whose last stream rises", (round) => frame(FRAME.goaway, 0, 0, words(99 + round, 0))),
  flood("GOAWAY with 16 KB of reasons", frame(FRAME.goaway, 0, 0, new Uint8Array(16_384).fill(0x3f))),
  flood("heads of a stream that is over", frame(FRAME.headers, FLAG.endHeaders, 5, Uint8Array.of(0x88))),
  flood(
    "heads of 16 KB of a stream that is over",
    frame(FRAME.headers, FLAG.endHeaders, 5, new Uint8Array(16_384).fill(0x88)),
  ),
  {
    name: "CONTINUATION without end",
    limit: "h2FieldBlockBytesMax",
    ends: "connection block-too-large",
    counter: "h2BlocksCut",
    bytesMax: LIMITS.h2FieldBlockBytesMax + 2 * 16_393,
    next: (_, round) =>
      frame(round === 0 ? FRAME.headers : FRAME.continuation, 0, 1, new Uint8Array(16_384).fill(0x88)),
  },
  {
    name: "empty CONTINUATION without end",
    limit: "h2ContinuationFramesMax",
    ends: "connection continuation-flood",
    counter: "h2BlocksCut",
    bytesMax: (LIMITS.h2ContinuationFramesMax + 2) * 10,
    next: (_, round) => frame(round === 0 ? FRAME.headers : FRAME.continuation, 0, 1),
  },
  {
    name: "CONTINUATION by the byte",
    limit: "h2ContinuationFramesMax",
    ends: "connection continuation-flood",
    counter: "h2BlocksCut",
    bytesMax: (LIMITS.h2ContinuationFramesMax + 2) * 10,
    next: (_, round) => frame(round === 0 ? FRAME.headers : FRAME.continuation, 0, 1, Uint8Array.of(0x88)),
  },
  {
    name: "a list of 256 MiB in 64 KiB: one entry, referred to again and again",
    limit: "h2FieldListBytesMax",
    ends: "stream section-too-large",
    counter: "h2SectionsTooLarge",
    bytesMax: 5 * 16_393,
    next: (_, round) => {
      const part = new Uint8Array(16_000).fill(0xbe);
      if (round === 0) part.set(joined(Uint8Array.of(0x88), literal(4000, 0x62)));
      return frame(round === 0 ? FRAME.headers : FRAME.continuation, round === 3 ? FLAG.endHeaders : 0, 1, part);
    },
  },
  {
    name: "a table that every field empties",
    limit: "h2FieldListBytesMax",
    ends: "stream section-too-large",
    counter: "h2SectionsTooLarge",
    bytesMax: 5 * 16_393,
    next: (_, round) => {
      // Each entry is as large as the table, 4,096 bytes; sixteen of them and the status are just too much.
      const part = joined(...Array.from({ length: 4 }, (__, i) => literal(4096 - 32 - 1, 0x61 + i)));
      const flags = round === 3 ? FLAG.endHeaders : 0;
      return round === 0
        ? frame(FRAME.headers, flags, 1, joined(Uint8Array.of(0x88), part))
        : frame(FRAME.continuation, flags, 1, part);
    },
  },
  {
    name: "interim responses",
    limit: "h2InformationalMax",
    ends: "stream informational-count",
    counter: "h2InformationalCut",
    bytesMax: 64 * KIB,
    next: (peer) => peer.headers(1, [[":status", "103"]]),
  },
  {
    name: "a body that nobody reads, for one stream",
    limit: "h2StreamWindowBytesMax",
    ends: "stream flow-control",
    counter: "h2StreamFaults",
    bytesMax: LIMITS.h2StreamWindowBytesMax + 32 * KIB,
    next: () => frame(FRAME.data, 0, 3, new Uint8Array(16_384)),
  },
  {
    name: "a body for a stream that is over",
    limit: null,
    ends: "connection closed-stream",
    counter: "h2ConnectionFaults",
    bytesMax: 32 * KIB,
    next: () => frame(FRAME.data, 0, 5, new Uint8Array(16_384)),
  },
  {
    name: "a body longer than it says",
    limit: null,
    ends: "stream body-length",
    counter: "h2LengthsWrong",
    bytesMax: 32 * KIB,
    next: (peer, round) => (round === 0 ? peer.headers(1, [...OK, ["content-length", "9"]]) : dataFrame(1, "12345")),
  },
  {
    name: "refusals of every request",
    limit: "h2FloodTokensMax",
    ends: "connection flood",
    counter: "h2FloodsCut",
    bytesMax: (LIMITS.h2FloodTokensMax + 2) * 13,
    next: (peer) => frame(FRAME.resetStream, 0, peer.request().stream.id, words(7)),
  },
  {
    name: "promises",
    limit: null,
    ends: "connection push",
    counter: "h2ConnectionFaults",
    bytesMax: 64,
    next: () => frame(FRAME.pushPromise, FLAG.endHeaders, 1, joined(words(2), Uint8Array.of(0x88))),
  },
];

function makePeer(): H2Peer {
  const peer = H2Peer.ready();
  for (let i = 0; i < 4; i++) peer.request(GET, i === 0);
  peer.say(peer.headers(3, OK), peer.headers(5, OK, true));
  peer.output();
  return peer;
}

function usedBytes(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}

describe("abuse of", () => {
  for (const { name, limit, ends, counter, bytesMax, next } of ABUSES)
    test(`${name} meets ${limit ?? "a rule"}: ${ends}, counted as ${counter}`, () => {
      const peer = makePeer();
      const before = peer.counters[counter];
      const faultsBefore = peer.counters.h2StreamFaults;
      const usedBefore = usedBytes();
      let bytes = 0;
      const isOver = (): boolean => peer.failure !== null || peer.counters.h2StreamFaults > faultsBefore;
      for (let round = 0; !isOver() && bytes <= bytesMax; round++) {
        const chunk = next(peer, round);
        bytes += chunk.length;
        peer.say(chunk);
        expect(peer.client.output.length).toBeLessThan(LIMITS.h2OutputControlBytesMax);
        peer.output();
      }
      const [scope, fault] = ends.split(" ");
      expect(isOver()).toBe(true);
      expect(bytes).toBeLessThanOrEqual(bytesMax);
      expect(peer.counters[counter]).toBe(before + 1);
      expect(usedBytes() - usedBefore).toBeLessThan(MEMORY_GROWTH_BYTES_MAX);
      if (scope === "connection") {
        expect(peer.failure?.fault ?? "").toBe(fault ?? "");
        expect(peer.client.streams.count).toBe(0);
        return;
      }
      // The others on the same connection go on.
      expect(peer.failure).toBeNull();
      peer.say(peer.headers(7, OK), dataFrame(7, "x"), dataFrame(7, "", true));
      expect(peer.client.streams.get(7)).toBeUndefined();
    });

  test("one connection's memory by parts of frames and blocks that never come whole stays below 256 KiB", () => {
    const parts: readonly ((peer: H2Peer) => Uint8Array)[] = [
      () => frame(FRAME.headers, 0, 1, new Uint8Array(16_384)).slice(0, -1),
      () =>
        joined(
          ...Array.from({ length: 3 }, (_, i) =>
            frame(i === 0 ? FRAME.headers : FRAME.continuation, 0, 1, new Uint8Array(16_384).fill(0x88)),
          ),
          frame(FRAME.continuation, 0, 1, new Uint8Array(16_000)).slice(0, -1),
        ),
      () => frame(FRAME.goaway, 0, 0, new Uint8Array(16_384)).slice(0, -1),
      () => frame(0xcc, 0, 0, new Uint8Array(16_384)).slice(0, -1),
    ];
    for (const part of parts) {
      const before = usedBytes();
      const peers = Array.from({ length: 50 }, () => makePeer());
      const empty = usedBytes();
      for (const peer of peers) for (const byte of chunksOf(part(peer), 1000)) peer.say(byte);
      const grown = (usedBytes() - empty) / peers.length;
      expect(peers.every(({ failure }) => failure === null)).toBe(true);
      expect(grown).toBeLessThan(256 * KIB);
      expect(empty).toBeGreaterThan(before);
    }
  });
});

function* chunksOf(bytes: Uint8Array, chunkBytes: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.slice(at, at + chunkBytes);
}

describe("what looks like abuse and is not:", () => {
  const second = 1000;

  test("a PING, an acknowledgement and credit every 50 ms, for a quarter of an hour", () => {
    const peer = makePeer();
    for (let i = 0; i < 20_000; i++) {
      peer.nowMs += second / 20;
      peer.say(
        frame(FRAME.ping, 0, 0, new Uint8Array(8)),
        frame(FRAME.windowUpdate, 0, 0, words(1)),
        frame(FRAME.ping, FLAG.ack, 0, new Uint8Array(8)),
      );
      peer.output();
    }
    expect(peer.failure).toBeNull();
  });

  test("a body of 60,000 bytes by the byte, each with its padding", () => {
    const peer = makePeer();
    const { stream } = peer.request();
    peer.say(peer.headers(stream.id, OK));
    const one = dataFrame(stream.id, "x", false, 3);
    for (let i = 0; i < 60_000; i++) {
      peer.say(one);
      peer.client.consumed(stream, 1);
      peer.output();
    }
    expect(peer.failure).toBeNull();
    expect(stream.isReset).toBe(false);
  });

  test("ten thousand streams with an interim response, a body in pieces and trailers, each", () => {
    const peer = H2Peer.ready();
    for (let i = 0; i < 10_000; i++) {
      const { stream } = peer.request();
      const { id } = stream;
      peer.say(peer.headers(id, [[":status", "103"]]), peer.headers(id, OK), dataFrame(id, "a"), dataFrame(id, ""));
      peer.say(peer.headers(id, [["grpc-status", "0"]], true));
      peer.output();
    }
    expect(peer.failure).toBeNull();
    expect(peer.client.streams.count).toBe(0);
  });
});
