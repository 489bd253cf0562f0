/** One request over HTTP/2: how its answer may end, what its length must be, and what becomes of a body that nobody wants. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { FLAG, FRAME, H2_CODE, SETTING } from "../../../src/h2/codes.ts";
import { H2Script, H2Network, turnEnds } from "../../support/h2-network.ts";
import { dataFrame, windowFrames, words } from "../../support/h2-peer.ts";
import { NativeBench } from "../../support/native-bench.ts";
import type { Field } from "../../support/sections.ts";
import { H2Call } from "../../../src/upstream/native/h2-call.ts";
import { begin, Outcome, PushBody, type RequestParts } from "../../support/upstream-calls.ts";

interface Asked {
  readonly native: NativeBench;
  readonly stream: H2Script;
  readonly outcome: Outcome;
  readonly resume: () => void;
}

/** A request on a fresh connection, as stream 1; what the client said so far is read. */
async function ask(
  parts: RequestParts = {},
  settings: readonly (readonly [number, number])[] = [],
  hasRoom: boolean = true,
): Promise<Asked> {
  const streams = new H2Network();
  const native = new NativeBench(streams.connect);
  // A first request, for the settings to be known.
  begin(native.h2, native.request());
  streams
    .at(0)
    .open("h2")
    .settle(...settings);
  await turnEnds();
  const stream = streams.at(0);
  stream.answer(1);
  stream.frames();
  const { outcome, call } = begin(native.h2, native.request(parts));
  outcome.hasRoom = hasRoom;
  await turnEnds();
  return { native, stream, outcome, resume: () => call.resume() };
}

const ID = 3;

function head(length: number | null, status: string = "200"): Field[] {
  return [[":status", status], ...(length === null ? [] : [["content-length", String(length)] as const])];
}

/** Codes of the RST_STREAM frames that the client sent. */
async function resets(stream: H2Script): Promise<number[]> {
  await turnEnds();
  return stream
    .frames()
    .filter(({ type }) => type === FRAME.resetStream)
    .map(({ payload }) => payload[3] ?? -1);
}

describe("an answer that is reset without an error", () => {
  test("after its end, while the request still goes on, has ended well", async () => {
    const body = new PushBody();
    const { stream, outcome, native } = await ask({ method: "POST", body });
    stream.say(stream.headers(ID, head(null)), dataFrame(ID, "whole", true));
    stream.reset(ID, H2_CODE.noError);
    expect([outcome.text, outcome.ended, outcome.failure]).toEqual(["whole", true, null]);
    expect([outcome.late, native.counters.h2EndsByReset]).toEqual([0, 0]);
  });

  test("with all of its content-length has ended well", async () => {
    const { stream, outcome, native } = await ask();
    stream.say(stream.headers(ID, head(5)), dataFrame(ID, "whole"));
    stream.reset(ID, H2_CODE.noError);
    expect([outcome.text, outcome.ended, outcome.failure, outcome.late]).toEqual(["whole", true, null, 0]);
    expect(native.counters.h2EndsByReset).toBe(1);
  });

  test.each([
    ["with less than its content-length", 6, H2_CODE.noError],
    ["without a content-length", null, H2_CODE.noError],
    ["with all of its content-length, but for an error", 5, H2_CODE.internalError],
  ] as const)("%s was cut", async (_name, length, code) => {
    const { stream, outcome, native } = await ask();
    stream.say(stream.headers(ID, head(length)), dataFrame(ID, "whole"));
    stream.reset(ID, code);
    expect([outcome.failure?.code, outcome.failure?.responseReceived]).toEqual(["UPSTREAM_RESET", true]);
    expect([outcome.ended, native.counters.h2EndsByReset]).toEqual([false, 0]);
  });

  test("with the connection was cut, even with all of its content-length", async () => {
    const { stream, outcome } = await ask();
    stream.say(stream.headers(ID, head(5)), dataFrame(ID, "whole"));
    stream.end();
    expect([outcome.failure?.code, outcome.ended]).toEqual(["UPSTREAM_RESET", false]);
  });

  test("before its head is a failure", async () => {
    const { stream, outcome } = await ask();
    stream.reset(ID, H2_CODE.noError);
    expect(outcome.failure?.code).toBe("UPSTREAM_RESET");
  });
});

describe("a content-length", () => {
  test.each([
    ["too short", 6, "whole", true],
    ["none at all", 5, "", true],
    ["too long", 4, "whole", true],
    ["too long, before its end", 4, "whole", false],
  ] as const)("that the body is not true to makes the answer malformed: %s", async (_name, length, text, end) => {
    const { stream, outcome, native } = await ask();
    stream.say(stream.headers(ID, head(length)), dataFrame(ID, text, end));
    expect([outcome.failure?.code, outcome.failure?.responseReceived]).toEqual(["UPSTREAM_PROTOCOL", true]);
    expect([outcome.ended, outcome.late, native.counters.h2LengthsWrong]).toEqual([false, 0, 1]);
    // The backend may have ended the stream, and is told all the same (RFC 9113 5.1: closed, after END_STREAM).
    expect(await resets(stream)).toEqual([H2_CODE.protocolError]);
  });

  test("too short, with trailers: they do not end the answer", async () => {
    const { stream, outcome } = await ask();
    stream.say(stream.headers(ID, head(6)), dataFrame(ID, "whole"), stream.headers(ID, [["x-end", "1"]], true));
    expect([outcome.failure?.code, outcome.trailers]).toEqual(["UPSTREAM_PROTOCOL", null]);
  });

  test("that the body is true to, with trailers", async () => {
    const { stream, outcome } = await ask();
    stream.say(stream.headers(ID, head(5)), dataFrame(ID, "whole"), stream.headers(ID, [["x-end", "1"]], true));
    expect([outcome.failure, outcome.ended, outcome.text]).toEqual([null, true, "whole"]);
  });

  test.each([
    ["of an answer to HEAD", "HEAD", "200"],
    ["of 304", "GET", "304"],
    ["of 204", "GET", "204"],
  ])("%s tells of no body", async (_name, method, status) => {
    for (const end of [true, false]) {
      const { stream, outcome } = await ask({ method });
      stream.say(stream.headers(ID, head(100, status), end));
      if (!end) stream.say(dataFrame(ID, "", true));
      expect([outcome.failure, outcome.ended]).toEqual([null, true]);
    }
  });

  test("of an empty body", async () => {
    const { stream, outcome } = await ask();
    stream.say(stream.headers(ID, head(0), true));
    expect([outcome.failure, outcome.ended]).toEqual([null, true]);
  });
});

describe("an answer that ends before its request", () => {
  test("stops the client and tells the backend that the rest will not come", async () => {
    const body = new PushBody().push("some");
    const { stream, outcome } = await ask({ method: "POST", body });
    stream.say(stream.headers(ID, head(null, "413")), dataFrame(ID, "no", true));
    expect([outcome.ended, body.stopped, body.onReadable]).toEqual([true, true, null]);
    expect(await resets(stream)).toEqual([H2_CODE.cancel]);
  });

  test("by a reset that is no error, too", async () => {
    const body = new PushBody().push("some");
    const { stream, outcome } = await ask({ method: "POST", body });
    stream.say(stream.headers(ID, head(2, "413")), dataFrame(ID, "no"));
    stream.reset(ID, H2_CODE.noError);
    expect([outcome.ended, body.stopped]).toEqual([true, true]);
    expect(await resets(stream)).toEqual([]);
  });

  test("is nothing to stop when the request had ended", async () => {
    const body = new PushBody().push("all").end();
    const { stream, outcome } = await ask({ method: "POST", body });
    stream.say(stream.headers(ID, head(null)), dataFrame(ID, "ok", true));
    expect([outcome.ended, body.stopped]).toEqual([true, false]);
    expect(await resets(stream)).toEqual([]);
  });

  test("a failure leaves the body alone, for it may go elsewhere", async () => {
    const body = new PushBody();
    const { stream, outcome } = await ask({ method: "POST", body });
    stream.reset(ID, H2_CODE.internalError);
    expect([outcome.failure?.code, body.stopped]).toEqual(["UPSTREAM_RESET", false]);
  });
});

describe("a head larger than the backend takes", () => {
  /** What RFC 9113 6.5.2 counts for the request of these tests, without fields of its own. */
  const LINE_BYTES =
    ":method".length + "GET".length + ":scheme".length + "https".length + ":authority".length + "front.example".length;
  const PATH_BYTES = ":path".length + "/".length;
  const ALL_BYTES = LINE_BYTES + PATH_BYTES + 4 * 32;

  test.each([
    ["the line alone", [], ALL_BYTES],
    ["with fields", [["x-name", "value"] as const, ["x-other", "v"] as const], ALL_BYTES + 11 + 8 + 64],
  ])("is not sent, and the client's to mend: %s", async (_name, fields, bytes) => {
    const fits = await ask({ fields }, [[SETTING.maxHeaderListSize, bytes]]);
    expect(fits.stream.requests()).toEqual([ID]);
    const refused = await ask({ fields, body: new PushBody() }, [[SETTING.maxHeaderListSize, bytes - 1]]);
    const { failure } = refused.outcome;
    expect([failure?.code, failure?.status, failure?.processed, failure?.requestSent]).toEqual([
      "REQUEST_HEAD_TOO_LARGE",
      431,
      "no",
      false,
    ]);
    expect(refused.stream.frames()).toEqual([]);
    expect(refused.native.counters.h2RequestsTooLarge).toBe(1);
  });

  test("that waited for a connection fails alone", async () => {
    const streams = new H2Network();
    const native = new NativeBench(streams.connect, { linksMax: 1 });
    const ask = (fields: readonly Field[]): Outcome => begin(native.h2, native.request({ fields })).outcome;
    const first = ask([]);
    streams.at(0).open("h2").settle([SETTING.maxHeaderListSize, 300], [SETTING.maxConcurrentStreams, 1]);
    await turnEnds();
    const [large, small] = [ask([["x-large", "v".repeat(300)]]), ask([])];
    expect(large.failure?.code).toBe("REQUEST_HEAD_TOO_LARGE");
    streams.at(0).answer(1);
    await turnEnds();
    streams.at(0).answer(3);
    expect([first.text, small.text]).toEqual(["ok", "ok"]);
  });
});

describe("credit", () => {
  test("for what a full receiver was given comes when it has room, all of it", async () => {
    const { stream, outcome, resume } = await ask({}, [], false);
    stream.frames();
    stream.say(stream.headers(ID, head(null)), ...windowFrames(ID));
    await turnEnds();
    expect([outcome.lengthBytes, stream.frames()]).toEqual([LIMITS.h2StreamWindowBytesMax, []]);
    resume();
    await turnEnds();
    expect(stream.frames()).toEqual([
      { type: FRAME.windowUpdate, flags: 0, streamId: ID, payload: words(LIMITS.h2StreamWindowBytesMax) },
    ]);
    stream.say(...windowFrames(ID));
    stream.say(dataFrame(ID, "", true));
    expect([outcome.lengthBytes, outcome.ended]).toEqual([2 * LIMITS.h2StreamWindowBytesMax, true]);
  });

  test("is not withheld from others by a receiver that never has room", async () => {
    const { stream, native } = await ask({}, [], false);
    stream.say(stream.headers(ID, head(null)), ...windowFrames(ID));
    const other = begin(native.h2, native.request()).outcome;
    await turnEnds();
    stream.say(stream.headers(ID + 2, head(null)));
    for (let i = 0; i < 4; i++) {
      stream.frames();
      stream.say(...windowFrames(ID + 2));
      await turnEnds();
      expect(stream.frames().map(({ type, flags, streamId }) => [type, flags & FLAG.ack, streamId])).toContainEqual([
        FRAME.windowUpdate,
        0,
        ID + 2,
      ]);
    }
    expect(other.lengthBytes).toBe(4 * LIMITS.h2StreamWindowBytesMax);
  });
});

describe("a call that another transport takes over", () => {
  test("and that is given up while that transport begins is given up there", () => {
    const native = new NativeBench(new H2Network().connect);
    const owner = { counters: native.counters, nowMs: () => 0, repeat: () => false, forget: () => undefined };
    const call = new H2Call(native.request(), new Outcome(), owner);
    let cancels = 0;
    call.handOver({
      abilities: { trailers: true, informational: true, fullDuplex: true },
      start: () => {
        call.cancel();
        return { resume: () => undefined, cancel: () => void (cancels += 1) };
      },
      close: () => undefined,
    });
    expect(cancels).toBe(1);
  });
});
