/**
 * Hostile HTTP/2 backends as the rest of the proxy meets them: the request fails with one typed failure that says which rule was
 * broken, other requests on the connection or on other connections go on, and the next request gets a connection that works.
 */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { FRAME } from "../../../src/h2/codes.ts";
import { H2Network, turnEnds } from "../../support/h2-network.ts";
import { dataFrame, frame, joined, settingsFrame, windowFrames, words } from "../../support/h2-peer.ts";
import { NativeBench } from "../../support/native-bench.ts";
import { type Field, latin1 } from "../../support/sections.ts";
import { backendOf, begin, type Outcome, poolOf, requestTo } from "../../support/upstream-calls.ts";

const FIRST = 1;
const SECOND = 3;
const OK: readonly Field[] = [[":status", "200"]];

/** A block of literals that touch no table. */
function block(fields: readonly Field[]): Uint8Array {
  return joined(
    ...fields.map(([name, value]) =>
      joined(Uint8Array.of(0, name.length), latin1(name), Uint8Array.of(value.length), latin1(value)),
    ),
  );
}

function headers(streamId: number, fields: readonly Field[], endStream: boolean = false): Uint8Array {
  return frame(FRAME.headers, endStream ? 5 : 4, streamId, block(fields));
}

function make() {
  const streams = new H2Network();
  const native = new NativeBench(streams.connect);
  const other = poolOf([backendOf("https://127.0.0.2:8443")]);
  const ask = (): Outcome => begin(native.h2, native.request()).outcome;
  const askOther = (): Outcome => begin(native.h2, requestTo(other)).outcome;
  return { streams, native, counters: native.counters, ask, askOther };
}

/** Two requests on one connection to a backend, one on a connection to another; all three went out. */
async function makeBusy() {
  const made = make();
  const [first, second] = [made.ask(), made.ask()];
  const hostile = made.streams.last.open("h2").settle();
  const third = made.askOther();
  const friendly = made.streams.last.open("h2").settle();
  await turnEnds();
  expect([hostile.requests(), friendly.requests()]).toEqual([[FIRST, SECOND], [FIRST]]);
  return { ...made, first, second, third, hostile, friendly };
}

/** A connection that was asked for last and works. */
async function serve({ streams, ask }: Pick<ReturnType<typeof make>, "streams" | "ask">): Promise<void> {
  const count = streams.all.length;
  const next = ask();
  expect(streams.all.length).toBe(count + 1);
  streams.last.open("h2").settle();
  await turnEnds();
  streams.last.answer(FIRST, "fine");
  expectGood(next);
}

function expectGood(outcome: Outcome): void {
  expect([outcome.status, outcome.text, outcome.ended, outcome.failure]).toEqual([200, "fine", true, null]);
}

describe("a broken response fails its request and nothing else:", () => {
  const cases: readonly (readonly [name: string, fault: string, bytes: () => readonly Uint8Array[]])[] = [
    ["no status", "status", () => [headers(FIRST, [["server", "x"]])]],
    ["101", "status", () => [headers(FIRST, [[":status", "101"]])]],
    ["two statuses", "pseudo-field", () => [headers(FIRST, [...OK, ...OK])]],
    ["a name in upper case", "field-name", () => [headers(FIRST, [...OK, ["Server", "x"]])]],
    ["a field of one connection", "connection-field", () => [headers(FIRST, [...OK, ["connection", "close"]])]],
    ["a body without a head", "data-before-head", () => [dataFrame(FIRST, "x")]],
    ["trailers without an end", "trailers-without-end", () => [headers(FIRST, OK), headers(FIRST, [["a", "b"]])]],
    [
      "a body that is cut",
      "body-length",
      () => [headers(FIRST, [...OK, ["content-length", "5"]]), dataFrame(FIRST, "abc", true)],
    ],
    [
      "a body that is too long",
      "body-length",
      () => [headers(FIRST, [...OK, ["content-length", "2"]]), dataFrame(FIRST, "abc", true)],
    ],
    [
      "too many fields",
      "section-too-large",
      () => [
        headers(
          FIRST,
          Array.from({ length: 300 }, () => ["a", "b"]),
        ),
      ],
    ],
    ["credit of nothing", "window-update", () => [frame(FRAME.windowUpdate, 0, FIRST, words(0))]],
    [
      "more body than its window",
      "flow-control",
      () => [headers(FIRST, OK), ...windowFrames(FIRST), dataFrame(FIRST, "x")],
    ],
  ];

  for (const [name, fault, bytes] of cases)
    test(`${name}: ${fault}`, async () => {
      const { hostile, first, second, counters, streams } = await makeBusy();
      // Who does not read keeps the window shut.
      first.hasRoom = false;
      hostile.say(...bytes());
      hostile.answer(SECOND, "fine");
      await turnEnds();
      expect(first.failure?.code).toBe("UPSTREAM_PROTOCOL");
      expect(first.failure?.message).toContain(`(${fault})`);
      expect(first.failure?.processed).toBe("maybe");
      expect([first.late, counters.h2StreamFaults, counters.h2ConnectionFaults]).toEqual([0, 1, 0]);
      expect(hostile.frames().filter(({ type }) => type === FRAME.resetStream)).toHaveLength(1);
      expectGood(second);
      expect([hostile.abandoned, streams.all.length]).toEqual([false, 2]);
    });
});

test("interim responses without end fail their request, and those under way go on where they are; new ones do not go there", async () => {
  const { hostile, first, second, counters, ask, streams } = await makeBusy();
  hostile.say(...Array.from({ length: LIMITS.h2InformationalMax + 1 }, () => headers(FIRST, [[":status", "103"]])));
  await turnEnds();
  expect(first.failure?.message).toContain("(informational-count)");
  const before = streams.all.length;
  const third = ask();
  await turnEnds();
  expect([streams.all.length, hostile.abandoned]).toEqual([before + 1, false]);
  hostile.answer(SECOND, "fine");
  await turnEnds();
  expectGood(second);
  expect([hostile.abandoned, counters.h2InformationalCut, third.failure]).toEqual([true, 1, null]);
});

describe("a broken connection fails its requests, and the next ones get another:", () => {
  const ping = frame(FRAME.ping, 0, 0, new Uint8Array(8));
  const cases: readonly (readonly [name: string, fault: string, bytes: () => Uint8Array])[] = [
    ["a push", "push", () => frame(FRAME.pushPromise, 4, FIRST, words(2))],
    ["an endless frame", "frame-size", () => joined(Uint8Array.of(255, 255, 255, 0, 0, 0, 0, 0, 1))],
    ["a block that is none", "compression", () => frame(FRAME.headers, 4, FIRST, Uint8Array.of(0x80))],
    ["a stream that never was", "idle-stream", () => joined(headers(99, OK))],
    [
      "a field block without end",
      "continuation-flood",
      () => joined(frame(FRAME.headers, 0, FIRST), ...Array.from({ length: 20 }, () => frame(9, 0, FIRST))),
    ],
    ["pings without end", "flood", () => joined(...Array.from({ length: 1100 }, () => ping))],
    ["too much credit", "window-overflow", () => frame(8, 0, 0, words(2 ** 31 - 1))],
  ];

  for (const [name, fault, bytes] of cases)
    test(`${name}: ${fault}`, async () => {
      const busy = await makeBusy();
      const { hostile, friendly, first, second, third, counters } = busy;
      hostile.say(bytes());
      await turnEnds();
      for (const outcome of [first, second]) {
        expect(outcome.failure?.code).toBe("UPSTREAM_PROTOCOL");
        expect(outcome.failure?.message).toContain(`(${fault}`);
        expect(outcome.late).toBe(0);
      }
      expect([hostile.abandoned, counters.h2ConnectionFaults]).toEqual([true, 1]);
      expect(hostile.frames().at(-1)?.type).toBe(FRAME.goaway);
      friendly.answer(FIRST, "fine");
      expectGood(third);
      await serve(busy);
    });

  test("no HTTP/2 at all: no-settings", async () => {
    const { streams, ask, counters } = make();
    const first = ask();
    const hostile = streams.last.open("h2");
    await turnEnds();
    hostile.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    await turnEnds();
    expect(first.failure?.code).toBe("UPSTREAM_PROTOCOL");
    expect(first.failure?.message).toContain("(no-settings)");
    expect([hostile.abandoned, counters.h2ConnectionFaults]).toEqual([true, 1]);
  });

  for (const [name, bytes, isAlive] of [
    ["never sends SETTINGS", new Uint8Array(0), false],
    ["never acknowledges ours", settingsFrame(), true],
    ["sends half of its SETTINGS by the byte, and nothing more", settingsFrame([3, 100]).slice(0, 10), false],
  ] as const)
    test(`a backend that ${name} is given up in time`, async () => {
      const { streams, native, ask, counters } = make();
      const first = ask();
      const hostile = streams.last.open("h2");
      await turnEnds();
      for (const byte of bytes) hostile.send([byte]);
      for (let i = 0; i < 300 && first.failure === null; i++) {
        native.timers.advance(LIMITS.upstreamSweepMsMax);
        // Any byte is a sign of life, and no excuse.
        if (isAlive) hostile.say(frame(FRAME.ping, 1, 0, new Uint8Array(8)));
      }
      expect(first.failure?.message).toMatch(/\((settings|ping)-timeout\)/);
      expect(counters.h2SettingsTimeouts + counters.h2PingTimeouts).toBe(1);
      expect(native.timers.nowMs()).toBeLessThanOrEqual(LIMITS.h2SettingsAckMsMax + 2 * LIMITS.upstreamSweepMsMax);
    });
});

describe("a backend that goes away", () => {
  test("with requests unanswered: they move once, to another connection, and fail when that one goes as well", async () => {
    const { streams, ask, counters } = make();
    const outcome = ask();
    for (let i = 0; i < 2; i++) {
      streams.last.open("h2").settle();
      await turnEnds();
      streams.last.goaway(0);
      await turnEnds();
    }
    expect(streams.all.length).toBe(2);
    expect(outcome.failure?.processed).toBe("no");
    expect(counters.h2GoawaysReceived).toBe(2);
  });

  test("again and again: every request finds a new connection, and none is kept", async () => {
    const made = make();
    for (let i = 1; i <= 50; i++) {
      await serve(made);
      made.streams.last.goaway(FIRST);
      await turnEnds();
      expect(made.streams.last.abandoned).toBe(true);
    }
  });
});
