/** A client's connection against a server that the test plays: the exchange of messages, flow control, the ends of things. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { FLAG, FRAME, H2_CODE, SETTING } from "../../../src/h2/codes.ts";
import {
  dataFrame,
  frame,
  framesOf,
  GET,
  H2Peer,
  joined,
  NotedStream,
  settingsFrame,
  windowFrames,
  words,
} from "../../support/h2-peer.ts";
import { type Field, latin1, sectionOf } from "../../support/sections.ts";

const OK: readonly Field[] = [
  [":status", "200"],
  ["server", "test"],
];
const HEAD_200 = 'head 200 [["server","test"]]';

describe("the beginning", () => {
  test("is the preface, our settings and a window for the connection, in one write", () => {
    const bytes = new H2Peer().output();
    expect(new TextDecoder().decode(bytes.subarray(0, 24))).toBe("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const [settings, window, ...rest] = framesOf(bytes.slice(24));
    expect(settings?.type).toBe(FRAME.settings);
    expect(settings?.payload).toEqual(
      settingsFrame(
        [1, 4096],
        [2, 0],
        [4, LIMITS.h2StreamWindowBytesMax],
        [5, 16_384],
        [6, LIMITS.h2FieldListBytesMax],
      ).slice(9),
    );
    expect(window).toEqual({
      type: FRAME.windowUpdate,
      flags: 0,
      streamId: 0,
      payload: words(LIMITS.h2StreamsMax * LIMITS.h2StreamWindowBytesMax - 65_535),
    });
    expect(rest).toEqual([]);
  });

  test("settings are acknowledged, and the owner is told once that the peer speaks HTTP/2", () => {
    const peer = new H2Peer();
    peer.output();
    expect(peer.client.isReady).toBe(false);
    peer.say(settingsFrame());
    peer.say(settingsFrame([99, 5]));
    expect(peer.client.isReady).toBe(true);
    expect(peer.notes).toEqual(["ready"]);
    expect(peer.frames().map(({ type, flags }) => [type, flags])).toEqual([
      [FRAME.settings, FLAG.ack],
      [FRAME.settings, FLAG.ack],
    ]);
  });

  test("requests may go out before the peer's settings came", () => {
    const peer = new H2Peer();
    peer.output();
    const { sink } = peer.request();
    peer.say(settingsFrame(), peer.headers(1, OK, true));
    expect(sink.notes).toEqual([`${HEAD_200} end`, "end"]);
  });
});

describe("a request and its response", () => {
  test("without bodies are one frame each way", () => {
    const peer = H2Peer.ready();
    const { stream, sink } = peer.request();
    const [head, ...rest] = peer.frames();
    expect(rest).toEqual([]);
    expect([head?.type, head?.flags, head?.streamId]).toEqual([FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1]);
    expect(peer.fields(head?.payload ?? new Uint8Array(0))).toEqual([...GET]);
    peer.say(peer.headers(1, OK, true));
    expect(sink.notes).toEqual([`${HEAD_200} end`, "end"]);
    expect(stream.remoteEnded).toBe(true);
    expect(peer.client.streams.count).toBe(0);
    expect(peer.frames()).toEqual([]);
  });

  test("all requests of a turn wait for one write, with odd ids that rise", () => {
    const peer = H2Peer.ready();
    for (let i = 0; i < 10; i++) peer.request();
    expect(peer.frames().map(({ streamId }) => streamId)).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
  });

  test("with bodies and trailers both ways, 1xx before the head", () => {
    const peer = H2Peer.ready();
    const { stream, sink } = peer.request([[":method", "POST"], ...GET.slice(1)], true);
    expect(peer.client.send(stream, latin1("xhellox"), 1, 6, false)).toBe(5);
    peer.client.sendTrailers(stream, sectionOf([["checksum", "1"]]));
    const [head, data, trailers] = peer.frames();
    expect(head?.flags).toBe(FLAG.endHeaders);
    expect(data?.payload).toEqual(latin1("hello"));
    expect(trailers?.flags).toBe(FLAG.endHeaders | FLAG.endStream);
    peer.fields(head?.payload ?? new Uint8Array(0));
    expect(peer.fields(trailers?.payload ?? new Uint8Array(0))).toEqual([["checksum", "1"]]);
    peer.say(
      peer.headers(1, [[":status", "100"]]),
      peer.headers(1, [
        [":status", "103"],
        ["link", "</a>"],
      ]),
      peer.headers(1, OK),
      dataFrame(1, "abc"),
      dataFrame(1, "def"),
      peer.headers(1, [["grpc-status", "0"]], true),
    );
    expect(sink.notes).toEqual([
      "informational 100 []",
      'informational 103 [["link","</a>"]]',
      HEAD_200,
      "data abc",
      "data def",
      'trailers [["grpc-status","0"]]',
      "end",
    ]);
    expect(peer.client.streams.count).toBe(0);
  });

  test("a body ends with its last bytes in one frame, or with an empty frame", () => {
    const peer = H2Peer.ready();
    const first = peer.request(GET, true);
    const second = peer.request(GET, true);
    peer.frames();
    peer.client.send(first.stream, latin1("abc"), 0, 3, true);
    peer.client.send(second.stream, latin1(""), 0, 0, true);
    expect(peer.frames().map(({ flags, payload }) => [flags, payload.length])).toEqual([
      [FLAG.endStream, 3],
      [FLAG.endStream, 0],
    ]);
  });

  test("read the same however the bytes are cut: at every single place, and byte by byte", () => {
    const story = (peer: H2Peer): Uint8Array => {
      const block = peer.block([...OK, ["x-long", "v".repeat(300)]]);
      return joined(
        frame(
          FRAME.headers,
          FLAG.padded | FLAG.priority,
          1,
          joined(Uint8Array.of(3), words(0), Uint8Array.of(16), block.slice(0, 5), new Uint8Array(3)),
        ),
        frame(FRAME.continuation, 0, 1, block.slice(5, 100)),
        frame(FRAME.continuation, FLAG.endHeaders, 1, block.slice(100)),
        frame(0xfa, 0xff, 1, latin1("unknown frames are passed over")),
        dataFrame(1, "first", false, 0),
        dataFrame(1, "second", false, 7),
        dataFrame(1, ""),
        frame(FRAME.ping, 0, 0, latin1("12345678")),
        frame(FRAME.windowUpdate, 0, 0, words(1000)),
        dataFrame(1, "third", true, 255),
      );
    };
    const heard = (cuts: (bytes: Uint8Array) => readonly number[]): { calls: string; body: string; sent: string } => {
      const peer = H2Peer.ready();
      const { sink } = peer.request();
      peer.output();
      const bytes = story(peer);
      let at = 0;
      for (const cut of [...cuts(bytes), bytes.length]) {
        // A chunk's memory is used again after the call, as a socket's is.
        const chunk = bytes.slice(at, cut);
        peer.client.receive(chunk, 1000);
        chunk.fill(0xee);
        at = cut;
      }
      expect(peer.failure).toBeNull();
      const calls = sink.notes.filter((note) => !note.startsWith("data")).join("; ");
      return { calls, body: sink.body, sent: peer.output().toHex() };
    };
    const whole = heard(() => []);
    expect(whole.body).toBe("firstsecondthird");
    expect(whole.calls).toBe(
      `head 200 ${JSON.stringify([
        ["server", "test"],
        ["x-long", "v".repeat(300)],
      ])}; end`,
    );
    const { length } = story(H2Peer.ready());
    for (let cut = 1; cut < length; cut++) expect(heard(() => [cut])).toEqual(whole);
    expect(heard((bytes) => Array.from({ length: bytes.length - 1 }, (_, i) => i + 1))).toEqual(whole);
  });

  test("a head longer than a frame goes out with CONTINUATION frames, and nothing between them", () => {
    const peer = H2Peer.ready();
    const fields: Field[] = [...GET, ["x-a", "a".repeat(20_000)], ["x-b", "b".repeat(20_000)]];
    peer.request(fields, true);
    const frames = peer.frames();
    expect(frames.map(({ type, flags }) => [type, flags])).toEqual([
      [FRAME.headers, 0],
      [FRAME.continuation, 0],
      [FRAME.continuation, FLAG.endHeaders],
    ]);
    expect(peer.fields(joined(...frames.map(({ payload }) => payload)))).toEqual(fields);
  });
});

describe("our sending", () => {
  test("stops at the stream's window and goes on with its credit", () => {
    const peer = H2Peer.ready([SETTING.initialWindowSize, 10]);
    const { stream, sink } = peer.request(GET, true);
    const body = latin1("0123456789abcdef");
    expect(peer.client.send(stream, body, 0, 16, true)).toBe(10);
    expect(
      peer
        .frames()
        .slice(1)
        .map(({ flags, payload }) => [flags, payload.length]),
    ).toEqual([[0, 10]]);
    expect(peer.client.send(stream, body, 10, 16, true)).toBe(0);
    peer.say(frame(FRAME.windowUpdate, 0, 1, words(4)));
    expect(sink.notes).toEqual(["writable"]);
    expect(peer.client.send(stream, body, 10, 16, true)).toBe(4);
    peer.say(frame(FRAME.windowUpdate, 0, 1, words(100)));
    expect(peer.client.send(stream, body, 14, 16, true)).toBe(2);
    expect(peer.frames().map(({ flags, payload }) => [flags, payload.length])).toEqual([
      [0, 4],
      [FLAG.endStream, 2],
    ]);
  });

  test("stops at the connection's window, and streams take turns with its credit", () => {
    const peer = H2Peer.ready([SETTING.initialWindowSize, 1_000_000]);
    const body = new Uint8Array(100_000);
    const [a, b, c] = [peer.request(GET, true), peer.request(GET, true), peer.request(GET, true)];
    expect(peer.client.send(a.stream, body, 0, 100_000, true)).toBe(65_535);
    expect(peer.client.send(b.stream, body, 0, 100_000, true)).toBe(0);
    expect(peer.client.send(c.stream, body, 0, 100_000, true)).toBe(0);
    peer.output();
    const order: string[] = [];
    for (const [name, { stream, sink }] of Object.entries({ a, b, c })) {
      sink.onCall = () => {
        order.push(name);
        peer.client.send(stream, body, 0, 1000, false);
        peer.client.send(stream, body, 0, 100_000, true);
      };
    }
    for (let i = 0; i < 4; i++) peer.say(frame(FRAME.windowUpdate, 0, 0, words(1500)));
    expect(order).toEqual(["a", "b", "c", "a"]);
  });

  test("follows a window that SETTINGS widen, narrow below zero and widen again", () => {
    const peer = H2Peer.ready([SETTING.initialWindowSize, 100]);
    const { stream, sink } = peer.request(GET, true);
    expect(peer.client.send(stream, new Uint8Array(200), 0, 200, false)).toBe(100);
    peer.say(settingsFrame([SETTING.initialWindowSize, 40]));
    expect(stream.sendWindowBytes).toBe(-60);
    peer.say(frame(FRAME.windowUpdate, 0, 1, words(60)));
    expect(sink.notes).toEqual([]);
    peer.say(settingsFrame([SETTING.initialWindowSize, 45]));
    expect(sink.notes).toEqual(["writable"]);
    expect(peer.client.send(stream, new Uint8Array(200), 0, 200, false)).toBe(5);
    const second = peer.request(GET, true);
    expect(peer.client.send(second.stream, new Uint8Array(200), 0, 200, false)).toBe(45);
  });

  test("follows the table that the peer allows our compressor", () => {
    const peer = H2Peer.ready();
    const fields: Field[] = [...GET, ["user-agent", "spooky"]];
    for (let i = 0; i < 3; i++) peer.request(fields);
    peer.output();
    expect(peer.client.encoder.tableBytes).toBeGreaterThan(0);
    peer.say(settingsFrame([SETTING.headerTableSize, 0]));
    expect(peer.client.encoder.tableBytes).toBe(0);
    for (let i = 0; i < 3; i++) peer.request(fields);
    const heads = peer.frames().filter(({ type }) => type === FRAME.headers);
    expect(heads.map(({ payload }) => payload[0] === 0x20)).toEqual([true, false, false]);
    expect(heads[2]?.payload.length).toBeGreaterThan(20);
  });

  test("cuts bodies into frames that every peer takes", () => {
    const peer = H2Peer.ready();
    const { stream } = peer.request(GET, true);
    peer.output();
    expect(peer.client.send(stream, new Uint8Array(40_000), 0, 40_000, true)).toBe(40_000);
    expect(peer.frames().map(({ payload }) => payload.length)).toEqual([16_384, 16_384, 7232]);
  });

  test("stops where a socket takes nothing, bodies and requests alike, and goes on when it does", () => {
    const peer = H2Peer.ready([SETTING.initialWindowSize, 10_000_000]);
    peer.say(frame(FRAME.windowUpdate, 0, 0, words(10_000_000)));
    const { stream, sink } = peer.request(GET, true);
    const body = new Uint8Array(1_000_000);
    const taken = peer.client.send(stream, body, 0, body.length, true);
    expect(taken).toBeLessThanOrEqual(LIMITS.h2OutputBytesMax);
    expect(taken).toBeGreaterThan(LIMITS.h2OutputBytesMax / 2);
    expect(peer.client.open(sectionOf(GET), false, new NotedStream(), 0)).toBeNull();
    expect(sink.notes).toEqual([]);
    peer.output();
    expect(sink.notes).toEqual(["writable"]);
    expect(peer.notes).toContain("openable");
  });

  test("keeps what a socket did not take", () => {
    const peer = H2Peer.ready();
    const sent: Uint8Array[] = [];
    for (let i = 0; i < 200; i++) {
      peer.request([...GET, ["x-number", String(i)]]);
      if (i < 99) peer.client.reset(peer.client.streams.get(2 * i + 1) ?? peer.request().stream);
      const pending = peer.client.output.pending().slice(0, 7 + (i % 50));
      sent.push(pending);
      peer.client.flushed(pending.length);
    }
    sent.push(peer.output());
    const frames = framesOf(joined(...sent));
    expect(frames.filter(({ type }) => type === FRAME.headers).length).toBe(peer.counters.h2StreamsOpened);
    const numbers = frames
      .filter(({ type }) => type === FRAME.headers)
      .map(({ payload }) => peer.fields(payload)[4]?.[1]);
    expect(numbers.filter((number) => number !== undefined)).toEqual(Array.from({ length: 200 }, (_, i) => String(i)));
  });
});

describe("credit for the peer", () => {
  test("is given as the consumer takes bytes, half a window at a time", () => {
    const peer = H2Peer.ready();
    const { stream } = peer.request(GET, true);
    peer.output();
    peer.say(peer.headers(1, OK));
    const half = Math.floor(LIMITS.h2StreamWindowBytesMax / 2);
    for (let i = 0; i < half / 8192; i++) peer.say(dataFrame(1, "x".repeat(8192)));
    expect(peer.frames()).toEqual([]);
    peer.client.consumed(stream, half - 1);
    expect(peer.frames()).toEqual([]);
    peer.client.consumed(stream, 1);
    expect(peer.frames()).toEqual([{ type: FRAME.windowUpdate, flags: 0, streamId: 1, payload: words(half) }]);
  });

  test("is given for padding at once, and never for bytes that were not received", () => {
    const peer = H2Peer.ready();
    const { stream } = peer.request(GET, true);
    peer.output();
    peer.say(peer.headers(1, OK));
    // A byte of body in 256 of payload.
    for (let i = 0; i < 600; i++) peer.say(dataFrame(1, "x", false, 254));
    expect(peer.frames().map(({ streamId }) => streamId)).toEqual([1]);
    peer.client.consumed(stream, 1_000_000_000);
    expect(stream.unconsumedBytes).toBe(0);
    expect(peer.frames()).toEqual([]);
  });

  test("is given to the connection for streams that are over, whether their consumer ever takes the bytes or not", () => {
    const peer = H2Peer.ready();
    const window = LIMITS.h2StreamsMax * LIMITS.h2StreamWindowBytesMax;
    const chunk = "x".repeat(16_000);
    let credit = 0;
    for (let sent = 0, id = 1; sent < 2 * window; id += 2) {
      const { stream } = peer.request(GET, true);
      peer.say(peer.headers(id, OK), ...Array.from({ length: 16 }, () => dataFrame(id, chunk)));
      sent += 16 * chunk.length;
      if (id % 4 === 1) peer.client.reset(stream);
      else peer.say(frame(FRAME.resetStream, 0, id, words(H2_CODE.cancel)));
      for (const { type, streamId, payload } of peer.frames()) {
        if (type === FRAME.windowUpdate && streamId === 0) credit += new DataView(payload.buffer).getUint32(0);
      }
    }
    expect(peer.failure).toBeNull();
    expect(credit).toBeGreaterThan(window);
  });

  test("goes no further than the stream's window for one whose consumer does not read, while others go on", () => {
    const peer = H2Peer.ready();
    const stalled = peer.request();
    const lively = peer.request();
    peer.say(peer.headers(1, OK), peer.headers(3, OK));
    peer.say(...windowFrames(1));
    for (let i = 0; i < 200; i++) {
      peer.say(dataFrame(3, "y".repeat(16_384)));
      peer.client.consumed(lively.stream, 16_384);
    }
    expect(lively.sink.body.length).toBe(200 * 16_384);
    expect(stalled.stream.receiveWindowBytes).toBe(0);
    peer.say(dataFrame(1, "x"));
    expect(stalled.sink.notes.at(-1)).toBe(`reset ${H2_CODE.flowControlError}`);
    expect(peer.failure).toBeNull();
  });
});

describe("streams at once", () => {
  test("stay within what the peer allows; a free one is offered to who was refused", () => {
    const peer = H2Peer.ready([SETTING.maxConcurrentStreams, 2]);
    const first = peer.request();
    peer.request();
    expect(peer.client.canOpen).toBe(false);
    expect(peer.client.open(sectionOf(GET), false, new NotedStream(), 0)).toBeNull();
    expect(peer.counters.h2OpensRefused).toBe(1);
    let opened = 0;
    peer.onOpenable = () => (opened = peer.request().stream.id);
    peer.say(peer.headers(1, OK, true));
    expect(first.sink.notes.at(-1)).toBe("end");
    expect(opened).toBe(5);
    peer.say(peer.headers(3, OK, true));
    expect(peer.notes.filter((note) => note === "openable").length).toBe(1);
  });

  test("is one before the peer's settings, which may allow few, and our own maximum where they name none", () => {
    const peer = new H2Peer();
    expect(peer.client.streamsMax).toBe(1);
    peer.say(settingsFrame());
    expect(peer.client.streamsMax).toBe(LIMITS.h2StreamsMax);
  });

  test("a peer that allows none, then some, is asked again", () => {
    const peer = H2Peer.ready([SETTING.maxConcurrentStreams, 0]);
    expect(peer.client.open(sectionOf(GET), false, new NotedStream(), 0)).toBeNull();
    peer.say(settingsFrame([SETTING.maxConcurrentStreams, 1]));
    expect(peer.notes).toContain("openable");
    expect(peer.request().stream.id).toBe(1);
  });
});

describe("a stream ends early", () => {
  test("refused by the peer: surely not processed; with another code perhaps it was", () => {
    const peer = H2Peer.ready();
    const refused = peer.request();
    const cancelled = peer.request();
    peer.say(frame(FRAME.resetStream, 0, 1, words(H2_CODE.refusedStream)));
    peer.say(frame(FRAME.resetStream, 0, 3, words(H2_CODE.internalError)));
    expect(refused.sink.notes).toEqual(["reset 7 not processed"]);
    expect(cancelled.sink.notes).toEqual(["reset 2"]);
    expect(peer.counters.h2StreamsRefused).toBe(1);
  });

  test("refused after its head came is no refusal", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    peer.say(peer.headers(1, OK), frame(FRAME.resetStream, 0, 1, words(H2_CODE.refusedStream)));
    expect(sink.notes).toEqual([HEAD_200, "reset 7"]);
  });

  test("by us: the peer is told, and what it had sent before it knew is borne and paid for", () => {
    const peer = H2Peer.ready();
    const { stream, sink } = peer.request();
    peer.output();
    peer.client.reset(stream);
    peer.client.reset(stream);
    expect(peer.frames()).toEqual([{ type: FRAME.resetStream, flags: 0, streamId: 1, payload: words(H2_CODE.cancel) }]);
    peer.say(peer.headers(1, OK), dataFrame(1, "late"), peer.headers(1, [["x-late", "1"]], true));
    peer.say(frame(FRAME.windowUpdate, 0, 1, words(5)), frame(FRAME.resetStream, 0, 1, words(0)));
    expect(sink.notes).toEqual([]);
    expect(peer.failure).toBeNull();
    // The table of the compressor followed the head that nobody heard.
    const next = peer.request();
    peer.say(peer.headers(3, OK, true));
    expect(next.sink.notes).toEqual([`${HEAD_200} end`, "end"]);
  });

  test("by us, from within a callback", () => {
    for (const at of [HEAD_200, "data abc"]) {
      const peer = H2Peer.ready();
      const { stream, sink } = peer.request();
      sink.onCall = (call) => {
        if (call === at) peer.client.reset(stream);
      };
      peer.say(peer.headers(1, OK), dataFrame(1, "abc", true));
      expect(sink.notes.at(-1)).toBe(at);
      expect(peer.client.streams.count).toBe(0);
      expect(peer.failure).toBeNull();
    }
  });

  test("by us, when the head that ends it comes", () => {
    const peer = H2Peer.ready();
    const { stream, sink } = peer.request(GET, true);
    sink.onCall = () => peer.client.reset(stream);
    peer.say(peer.headers(1, OK, true));
    expect(sink.notes).toEqual([`${HEAD_200} end`]);
  });

  test("a full answer before the body was sent ends the response; the reset that follows stops the body", () => {
    const peer = H2Peer.ready();
    const { stream, sink } = peer.request(GET, true);
    peer.say(peer.headers(1, OK, true));
    expect(sink.notes).toEqual([`${HEAD_200} end`, "end"]);
    expect(peer.client.streams.count).toBe(1);
    expect(peer.client.send(stream, latin1("abc"), 0, 3, false)).toBe(3);
    peer.say(frame(FRAME.resetStream, 0, 1, words(H2_CODE.noError)));
    expect(sink.notes.at(-1)).toBe("reset 0");
    expect(peer.client.send(stream, latin1("abc"), 0, 3, true)).toBe(0);
    expect(peer.client.streams.count).toBe(0);
  });
});

describe("a connection ends", () => {
  test("with GOAWAY: later requests were surely not processed, earlier ones go on, none is opened", () => {
    const peer = H2Peer.ready();
    const [first, second] = [peer.request(), peer.request()];
    peer.say(frame(FRAME.goaway, 0, 0, joined(words(1, H2_CODE.noError), latin1("bye"))));
    expect(second.sink.notes).toEqual(["reset 0 not processed"]);
    expect(peer.notes).toContain("goaway 0");
    expect(peer.client.isClosing).toBe(true);
    expect(peer.client.open(sectionOf(GET), false, new NotedStream(), 0)).toBeNull();
    peer.say(peer.headers(1, OK, true));
    expect(first.sink.notes.at(-1)).toBe("end");
    expect(peer.client.streams.count).toBe(0);
  });

  test("with two GOAWAYs, as a careful server does it", () => {
    const peer = H2Peer.ready();
    const [first, second] = [peer.request(), peer.request()];
    peer.say(frame(FRAME.goaway, 0, 0, words(0x7fff_ffff, 0)));
    expect(second.sink.notes).toEqual([]);
    peer.say(frame(FRAME.goaway, 0, 0, words(1, 0)));
    expect(second.sink.notes).toEqual(["reset 0 not processed"]);
    expect(first.sink.notes).toEqual([]);
    expect(peer.notes.filter((note) => note.startsWith("goaway")).length).toBe(1);
  });

  test("when the socket is lost: requests that it never took were surely not processed", () => {
    const peer = H2Peer.ready();
    const sent = peer.request();
    peer.output();
    const begun = peer.request();
    peer.client.flushed(1);
    const unsent = peer.request();
    peer.client.lost("connection reset");
    expect(sent.sink.notes).toEqual(["reset 0"]);
    expect(begun.sink.notes).toEqual(["reset 0"]);
    expect(unsent.sink.notes).toEqual(["reset 0 not processed"]);
    expect(peer.failure?.detail).toBe("connection reset");
    expect(peer.client.output.length).toBe(0);
  });

  test("when the socket is lost after it took bits of what waited: it is known which heads it had begun", () => {
    const peer = H2Peer.ready();
    const ends: number[] = [];
    let put = 0;
    // Enough to move and to enlarge the memory of what waits.
    const sinks = Array.from({ length: 60 }, () => {
      const before = peer.client.output.length;
      const { sink } = peer.request([...GET, ["cookie", "c".repeat(500)]]);
      put += peer.client.output.length - before;
      ends.push(put);
      peer.client.flushed(300);
      return sink;
    });
    peer.client.lost("");
    const begun = ends.findIndex((end) => end >= 60 * 300) + 1;
    expect(sinks.map(({ notes }) => notes[0])).toEqual(
      sinks.map((_, i) => (i < begun ? "reset 0" : "reset 0 not processed")),
    );
  });

  test("when we fail it: what was said to be unprocessed is not sent after all", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    peer.say(frame(FRAME.pushPromise, 0, 1));
    expect(sink.notes).toEqual([`reset ${H2_CODE.protocolError} not processed`]);
    expect(peer.output().length).toBe(0);
  });

  test("when we drain it: GOAWAY, no new requests, those under way go on", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    peer.output();
    peer.client.drain();
    peer.client.drain();
    expect(peer.frames()).toEqual([{ type: FRAME.goaway, flags: 0, streamId: 0, payload: words(0, 0) }]);
    expect(peer.client.open(sectionOf(GET), false, new NotedStream(), 0)).toBeNull();
    peer.say(peer.headers(1, OK, true));
    expect(sink.notes.at(-1)).toBe("end");
  });

  test("after failure nothing is heard and nothing happens", () => {
    const peer = H2Peer.ready();
    const { stream, sink } = peer.request(GET, true);
    peer.output();
    peer.say(frame(FRAME.pushPromise, 0, 1), peer.headers(1, OK, true));
    expect(sink.notes).toEqual(["reset 1"]);
    expect(peer.client.receive(peer.headers(1, OK, true), 0)).toBe(false);
    peer.client.send(stream, latin1("a"), 0, 1, true);
    peer.client.consumed(stream, 5);
    peer.client.reset(stream);
    peer.client.onTime(1e9);
    peer.client.lost("");
    expect(peer.notes.filter((note) => note.startsWith("failure"))).toEqual(["failure push"]);
    expect(peer.frames().map(({ type }) => type)).toEqual([FRAME.goaway]);
  });
});
