/** Backends that break the protocol or wear us out: each has a defined end, a limit with a name, and a counter. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { type ConnectionFault, CONNECTION_FAULTS, FLAG, FRAME, H2_CODE, SETTING } from "../../../src/h2/codes.ts";
import { FloodBudget } from "../../../src/h2/flood-budget.ts";
import {
  dataFrame,
  frame,
  framesOf,
  GET,
  H2Peer,
  joined,
  settingsFrame,
  windowFrames,
  words,
} from "../../support/h2-peer.ts";
import { type Field, latin1 } from "../../support/sections.ts";

const OK: readonly Field[] = [[":status", "200"]];
const EMPTY = new Uint8Array(0);

/** The fault that this leads to, with streams 1 and 3 open; the GOAWAY that says so is checked as well. */
function faultOf(make: (peer: H2Peer) => readonly Uint8Array[], hasBody: boolean = false): ConnectionFault | null {
  const peer = H2Peer.ready();
  peer.request(GET, hasBody);
  const { sink } = peer.request();
  peer.output();
  peer.say(...make(peer));
  if (peer.failure === null) return null;
  expect(sink.notes.at(-1)).toBe(`reset ${peer.failure.code}`);
  expect(peer.failure.code).toBe(CONNECTION_FAULTS[peer.failure.fault]);
  const goaway = peer.frames().at(-1);
  expect(goaway).toEqual({ type: FRAME.goaway, flags: 0, streamId: 0, payload: words(0, peer.failure.code) });
  expect(peer.counters.h2ConnectionFaults).toBe(1);
  expect(peer.client.streams.count).toBe(0);
  return peer.failure.fault;
}

describe("what fails a stream and leaves the others alone:", () => {
  test("a head larger than the limit, counted", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    const other = peer.request();
    // One byte for each 4 KB: a small block and a large list.
    peer.say(
      frame(FRAME.headers, FLAG.endHeaders, 1, joined(Uint8Array.of(0x88), peer.block([["x-a", "a".repeat(900)]]))),
      frame(FRAME.headers, FLAG.endHeaders, 3, Uint8Array.of(0x88)),
    );
    expect(other.sink.notes).toEqual(["head 200 []"]);
    const bomb = joined(
      peer.block([["x-a", "a".repeat(900)]]),
      ...Array.from({ length: 200 }, () => peer.block([["x-a", "a".repeat(900)]])),
    );
    expect(bomb.length).toBeLessThan(2000);
    peer.say(frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 3, bomb));
    expect(other.sink.notes.at(-1)).toBe(`reset ${H2_CODE.cancel}`);
    expect(peer.counters.h2SectionsTooLarge).toBe(1);
    expect(sink.notes.length).toBe(1);
    expect(peer.failure).toBeNull();
  });

  test("interim responses without end, counted", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    for (let i = 0; i < LIMITS.h2InformationalMax; i++) peer.say(peer.headers(1, [[":status", "103"]]));
    expect(sink.notes.length).toBe(LIMITS.h2InformationalMax);
    peer.say(peer.headers(1, [[":status", "103"]]));
    expect(sink.notes.at(-1)).toBe(`reset ${H2_CODE.enhanceYourCalm}`);
    expect(peer.counters.h2InformationalCut).toBe(1);
  });
});

describe("floods", () => {
  const floods: readonly (readonly [string, () => Uint8Array])[] = [
    ["pings", () => frame(FRAME.ping, 0, 0, new Uint8Array(8))],
    ["answers to pings we never sent", () => frame(FRAME.ping, FLAG.ack, 0, new Uint8Array(8))],
    ["settings", () => settingsFrame([SETTING.headerTableSize, 0])],
    ["acknowledgements of settings", () => frame(FRAME.settings, FLAG.ack, 0)],
    ["empty DATA", () => dataFrame(1, "")],
    ["DATA of padding", () => dataFrame(1, "", false, 200)],
    ["priorities", () => frame(FRAME.priority, 0, 1, new Uint8Array(5))],
    ["unknown frames", () => frame(0x42, 0, 0)],
    ["credit", () => frame(FRAME.windowUpdate, 0, 0, words(1))],
    ["resets of a stream that is over", () => frame(FRAME.resetStream, 0, 3, words(0))],
    ["GOAWAY", () => frame(FRAME.goaway, 0, 0, words(9, 0))],
    [
      "heads of a stream that is over",
      () => frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 3, Uint8Array.of(0x88)),
    ],
  ];
  for (const [name, make] of floods) {
    test(`of ${name} end the connection once the budget is spent, and not before`, () => {
      const peer = H2Peer.ready();
      peer.request();
      peer.request();
      peer.say(peer.headers(1, OK), peer.headers(3, OK, true));
      const one = make();
      const some = joined(...Array.from({ length: 100 }, () => one));
      for (let i = 0; i < LIMITS.h2FloodTokensMax / 100 - 1; i++) {
        peer.say(some);
        peer.output();
      }
      expect(peer.failure).toBeNull();
      for (let i = 0; i < 3; i++) peer.say(some);
      expect(peer.failure?.fault).toBe("flood");
      expect(peer.counters.h2FloodsCut).toBe(1);
    });
  }

  test("of resets, each for a request of its own, are no flood while answers come as well", () => {
    const peer = H2Peer.ready();
    for (let i = 0; i < 3 * LIMITS.h2FloodTokensMax; i++) {
      const { stream } = peer.request(GET, true);
      peer.say(peer.headers(stream.id, OK, true), frame(FRAME.resetStream, 0, stream.id, words(0)));
      peer.output();
    }
    expect(peer.failure).toBeNull();
  });

  test("of resets without answers end the connection", () => {
    const peer = H2Peer.ready();
    for (let i = 0; i <= LIMITS.h2FloodTokensMax && peer.failure === null; i++) {
      const { stream } = peer.request();
      peer.say(frame(FRAME.resetStream, 0, stream.id, words(H2_CODE.refusedStream)));
      peer.output();
    }
    expect(peer.failure?.fault).toBe("flood");
  });

  test("of credit are none from a peer that takes a body and gives it back bit by bit", () => {
    const peer = H2Peer.ready();
    const { stream } = peer.request(GET, true);
    for (let i = 0; i < 5000; i++) {
      expect(peer.client.send(stream, new Uint8Array(2048), 0, 2048, false)).toBe(2048);
      peer.say(frame(FRAME.windowUpdate, 0, 1, words(2048)), frame(FRAME.windowUpdate, 0, 0, words(2048)));
      peer.output();
    }
    expect(peer.failure).toBeNull();
  });

  test("of credit and pings are none from a peer that answers each small piece of a body with all it may (gRPC's servers do)", () => {
    const peer = H2Peer.ready();
    const { stream } = peer.request(GET, true);
    for (let i = 0; i < 5000; i++) {
      expect(peer.client.send(stream, new Uint8Array(20), 0, 20, false)).toBe(20);
      peer.say(frame(FRAME.windowUpdate, 0, 1, words(20)), frame(FRAME.windowUpdate, 0, 0, words(20)));
      peer.say(frame(FRAME.ping, 0, 0, new Uint8Array(8)));
      peer.output();
    }
    expect(peer.failure).toBeNull();
  });

  test("of credit, a byte at a time for a body that waits, end the connection", () => {
    const peer = H2Peer.ready([SETTING.initialWindowSize, 0]);
    const { stream, sink } = peer.request(GET, true);
    const body = new Uint8Array(1_000_000);
    let sent = peer.client.send(stream, body, 0, body.length, false);
    sink.onCall = (call) => {
      if (call === "writable") sent += peer.client.send(stream, body, sent, body.length, false);
    };
    for (let i = 0; i < 2 * LIMITS.h2FloodTokensMax && peer.failure === null; i++) {
      peer.say(frame(FRAME.windowUpdate, 0, 1, words(1)));
      peer.output();
    }
    expect(peer.failure?.fault).toBe("flood");
    expect(sent).toBeLessThanOrEqual(LIMITS.h2FloodTokensMax + 10);
  });

  test("of late answers are none where it was us who gave the requests up", () => {
    const peer = H2Peer.ready();
    for (let i = 0; i < 3 * LIMITS.h2FloodTokensMax; i++) {
      const { stream } = peer.request();
      peer.client.reset(stream);
      peer.say(peer.headers(stream.id, OK), dataFrame(stream.id, "late"), peer.headers(stream.id, [["a", "b"]], true));
      peer.output();
    }
    expect(peer.failure).toBeNull();
  });

  test("of CONTINUATION frames end at the limit of frames, the last of them not counting on the next", () => {
    const make = (count: number) => (): readonly Uint8Array[] => [
      frame(FRAME.headers, 0, 1, Uint8Array.of(0x88)),
      ...Array.from({ length: count }, () => frame(FRAME.continuation, 0, 1, EMPTY)),
    ];
    expect(faultOf(make(LIMITS.h2ContinuationFramesMax))).toBeNull();
    expect(faultOf(make(LIMITS.h2ContinuationFramesMax + 1))).toBe("continuation-flood");
  });

  test("of CONTINUATION bytes end at the limit of bytes", () => {
    const part = new Uint8Array(16_384).fill(0x88);
    const make = (count: number) => (): readonly Uint8Array[] => [
      frame(FRAME.headers, 0, 1, part),
      ...Array.from({ length: count }, () => frame(FRAME.continuation, 0, 1, part)),
    ];
    expect(faultOf(make(3))).toBeNull();
    expect(faultOf(make(4))).toBe("block-too-large");
  });

  test("that want answers, from a peer that reads none, end at the output's bound", () => {
    const peer = H2Peer.ready();
    const { stream } = peer.request(GET, true);
    peer.say(frame(FRAME.windowUpdate, 0, 0, words(2 ** 30)), settingsFrame([SETTING.initialWindowSize, 2 ** 30]));
    peer.client.send(stream, new Uint8Array(1_000_000), 0, 1_000_000, false);
    const pings = joined(...Array.from({ length: 500 }, () => frame(FRAME.ping, 0, 0, new Uint8Array(8))));
    for (let i = 0; i < 1000 && peer.failure === null; i++) {
      peer.nowMs += 10_000;
      peer.say(pings);
      expect(peer.client.output.length).toBeLessThan(LIMITS.h2OutputControlBytesMax + 20_000);
    }
    expect(peer.failure?.fault).toBe("output-full");
    expect(peer.counters.h2OutputOverfull).toBe(1);
  });

  test("are judged by time as well: the budget fills while nothing happens", () => {
    const budget = new FloodBudget(0);
    for (let i = 0; i < LIMITS.h2FloodTokensMax; i++) expect(budget.spend(0)).toBe(true);
    expect(budget.spend(5)).toBe(false);
    for (let i = 0; i < LIMITS.h2FloodTokensPerSecond; i++) expect(budget.spend(1005)).toBe(true);
    expect(budget.spend(1005)).toBe(false);
  });
});

describe("windows", () => {
  test("of a stream: one byte too many", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    peer.say(peer.headers(1, OK));
    peer.say(...windowFrames(1));
    expect(sink.body.length).toBe(LIMITS.h2StreamWindowBytesMax);
    peer.say(dataFrame(1, "x"));
    expect(sink.notes.at(-1)).toBe(`reset ${H2_CODE.flowControlError}`);
  });

  test("of the connection: what nobody takes of answers that are complete", () => {
    const peer = H2Peer.ready();
    for (let i = 0; i < LIMITS.h2StreamsMax; i++) {
      const { stream } = peer.request();
      peer.say(peer.headers(stream.id, OK), ...windowFrames(stream.id));
      peer.say(dataFrame(stream.id, "", true));
      peer.output();
    }
    expect(peer.failure).toBeNull();
    const { stream } = peer.request();
    peer.say(peer.headers(stream.id, OK), dataFrame(stream.id, "x"));
    expect(peer.failure?.fault).toBe("flow-control");
  });

  test("of streams that we reset: no more than they had left", () => {
    const peer = H2Peer.ready();
    const { stream } = peer.request();
    peer.say(peer.headers(1, OK));
    peer.client.reset(stream);
    peer.say(...windowFrames(1));
    expect(peer.failure).toBeNull();
    peer.say(dataFrame(1, "x"));
    expect(peer.failure?.fault).toBe("closed-stream");
  });
});

test("random and damaged bytes end in a failure or in nothing, and what waits stays bounded", () => {
  const random = Random.fromEntropy([9113]);
  const faults = new Set<string>();
  for (let round = 0; round < 3000; round++) {
    const peer = H2Peer.ready();
    const { stream, sink } = peer.request(GET, true);
    const good = joined(
      peer.headers(1, [...OK, ["x-a", "b"]]),
      dataFrame(1, "abc", false, 3),
      frame(FRAME.ping, 0, 0, new Uint8Array(8)),
      settingsFrame([SETTING.initialWindowSize, 70_000]),
      frame(FRAME.windowUpdate, 0, 1, words(500)),
      frame(0x21, 1, 1, latin1("unknown")),
      peer.headers(1, [["x-t", "c"]], true),
    );
    for (let flips = 1 + random.nextBelow(3); flips > 0; flips--) {
      const at = random.nextBelow(good.length);
      good[at] = random.nextBelow(3) === 0 ? random.nextBelow(256) : (good[at] ?? 0) ^ (1 << random.nextBelow(8));
    }
    for (let at = 0; at < good.length;) {
      const end = Math.min(good.length, at + 1 + random.nextBelow(60));
      peer.client.receive(good.slice(at, end), 1000);
      peer.client.send(stream, new Uint8Array(10), 0, 10, false);
      at = end;
    }
    if (peer.failure !== null) faults.add(peer.failure.fault);
    const ends = sink.notes.filter((note) => note.startsWith("reset") || note === "end");
    expect(ends.length).toBeLessThanOrEqual(2);
    expect(peer.client.output.length).toBeLessThan(10_000);
    if (peer.client.output.length > 0) expect(framesOf(peer.output()).length).toBeGreaterThan(0);
  }
  for (const fault of ["frame-size", "frame-stream", "idle-stream", "compression", "continuation", "padding", "push"]) {
    expect(faults.has(fault)).toBe(true);
  }
});
