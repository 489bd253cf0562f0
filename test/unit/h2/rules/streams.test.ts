/**
 * RFC 9113 sections 3.4 to 5: the preface, framing, field blocks and the states of a stream, as far as a client has to hold a server
 * to them. Where the RFC leaves a choice (MAY, or a stream error that may be the connection's, 5.4.1), the name says what was taken.
 */
import { describe, expect, test } from "bun:test";
import { FLAG, FRAME, H2_CODE, SETTING } from "../../../../src/h2/codes.ts";
import { dataFrame, frame, H2Peer, settingsFrame, words } from "../../../support/h2-peer.ts";
import { latin1 } from "../../../support/sections.ts";
import {
  ANSWERED,
  ASKED,
  EMPTY,
  ENDED,
  IDLE,
  OK,
  OPEN,
  REMOTE_ENDED,
  RESET_BY_PEER,
  RESET_BY_US,
  tryRules,
} from "./bed.ts";

const END = FLAG.endStream;
const WHOLE = FLAG.endHeaders;
/** `:status: 200` from the static table. */
const STATUS_200 = Uint8Array.of(0x88);
const PRIORITY = new Uint8Array(5);
const PUSHED = 2;
const RESERVED_BIT = 0x8000_0000;

/** A field block that is not complete yet. */
const begun = (): Uint8Array => frame(FRAME.headers, 0, OPEN, STATUS_200);
const credit = (streamId: number, bytes: number = 1): Uint8Array =>
  frame(FRAME.windowUpdate, 0, streamId, words(bytes));
const reset = (streamId: number): Uint8Array => frame(FRAME.resetStream, 0, streamId, words(H2_CODE.cancel));

describe("3.4 the first frame of a server is SETTINGS:", () => {
  for (const [name, first] of [
    ["an answer of HTTP/1.1", latin1("HTTP/1.1 400 Bad Request\r\n")],
    ["an acknowledgement of SETTINGS", frame(FRAME.settings, FLAG.ack, 0)],
    ["PING", frame(FRAME.ping, 0, 0, new Uint8Array(8))],
    ["GOAWAY", frame(FRAME.goaway, 0, 0, words(0, H2_CODE.enhanceYourCalm))],
    ["an unknown frame", frame(0x42, 0, 0)],
  ] as const)
    test(`${name} instead fails the connection`, () => {
      const peer = new H2Peer();
      peer.output();
      for (const byte of first) peer.client.receive(Uint8Array.of(byte), peer.nowMs);
      expect(peer.failure?.fault).toBe("no-settings");
      expect(peer.client.isReady).toBe(false);
    });

  test("an empty one will do", () => {
    const peer = new H2Peer();
    peer.say(frame(FRAME.settings, 0, 0));
    expect(peer.client.isReady).toBe(true);
  });
});

describe("frames:", () => {
  const reservedBit = (ANSWERED | RESERVED_BIT) >>> 0;
  tryRules([
    ["4.1", "the reserved bit of a stream's id", "nothing", () => [frame(FRAME.data, 0, reservedBit, latin1("a"))]],
    ["4.1", "flags that PING does not have", "nothing", () => [frame(FRAME.ping, 0xfe, 0, new Uint8Array(8))]],
    ["4.1", "flags that DATA does not have", "nothing", () => [frame(FRAME.data, 0xf6, ANSWERED, latin1("a"))]],
    ["4.1", "the padding flag on RST_STREAM", "nothing", () => [frame(FRAME.resetStream, 8, ASKED, words(0))]],
    ["4.2", "DATA too long", "connection frame-size", () => [frame(FRAME.data, 0, ANSWERED, new Uint8Array(16_385))]],
    ["4.2", "HEADERS too long", "connection frame-size", () => [frame(FRAME.headers, 0, OPEN, new Uint8Array(16_385))]],
    ["4.2", "an unknown frame too long", "connection frame-size", () => [frame(0x42, 0, 0, new Uint8Array(16_385))]],
    [
      "4.2",
      "the header of a frame of 16 MiB alone",
      "connection frame-size",
      () => [Uint8Array.of(255, 255, 255, 1, 4, 0, 0, 0, 1)],
    ],
    ["4.2", "DATA as long as we allow", "nothing", () => [frame(FRAME.data, 0, ANSWERED, new Uint8Array(16_384))]],
  ]);
});

describe("field blocks:", () => {
  tryRules([
    [
      "4.3",
      "a block in one frame of no bytes and many",
      "nothing",
      () => [
        begun(),
        frame(FRAME.continuation, 0, OPEN),
        frame(FRAME.continuation, 0, OPEN, EMPTY),
        frame(FRAME.continuation, WHOLE, OPEN),
      ],
    ],
    ["4.3", "index 0", "connection compression", () => [frame(FRAME.headers, WHOLE, OPEN, Uint8Array.of(0x80))]],
    [
      "4.3",
      "an index that is not there",
      "connection compression",
      () => [frame(FRAME.headers, WHOLE, OPEN, Uint8Array.of(0xff, 0x7f))],
    ],
    [
      "4.3",
      "a block that ends within a field",
      "connection compression",
      () => [frame(FRAME.headers, WHOLE, OPEN, Uint8Array.of(0x88, 0x40, 0x01))],
    ],
    [
      "4.3",
      "such a block on a stream that is over",
      "connection compression",
      () => [frame(FRAME.headers, WHOLE, RESET_BY_US, Uint8Array.of(0x80))],
    ],
    [
      "4.3",
      "such a block in CONTINUATION",
      "connection compression",
      () => [begun(), frame(FRAME.continuation, WHOLE, OPEN, Uint8Array.of(0x80))],
    ],
    [
      "4.3.1",
      "a table larger than we announced",
      "connection compression",
      () => [frame(FRAME.headers, WHOLE, OPEN, Uint8Array.of(0x3f, 0xe2, 0x1f, 0x88))],
    ],
    [
      "4.3.1",
      "a table of another size behind a field",
      "connection compression",
      () => [frame(FRAME.headers, WHOLE, OPEN, Uint8Array.of(0x88, 0x20))],
    ],
    [
      "4.3.1",
      "a table of no bytes and then of all",
      "nothing",
      () => [frame(FRAME.headers, WHOLE, OPEN, Uint8Array.of(0x20, 0x3f, 0xe1, 0x1f, 0x88))],
    ],
    [
      "4.3",
      "a block of nothing but a table's size",
      "stream status",
      () => [frame(FRAME.headers, WHOLE, OPEN, Uint8Array.of(0x3f, 0xe1, 0x1f))],
    ],
  ]);

  test("4.3 the table follows blocks of streams that are over", () => {
    const peer = H2Peer.ready();
    const { stream } = peer.request();
    const { sink } = peer.request();
    peer.client.reset(stream);
    const late = Uint8Array.from([0x88, 0x40, 1, 0x61, 1, 0x62]);
    peer.say(frame(FRAME.headers, WHOLE, 1, late), frame(FRAME.headers, WHOLE, 3, Uint8Array.of(0x88, 0xbe)));
    expect(sink.notes).toEqual(['head 200 [["a","b"]]']);
  });
});

describe("5.1 states of a stream:", () => {
  tryRules([
    ["5.1", "idle: DATA", "connection idle-stream", () => [dataFrame(IDLE, "a")]],
    ["5.1", "idle: HEADERS", "connection idle-stream", (peer) => [peer.headers(IDLE, OK)]],
    ["5.1", "idle: RST_STREAM", "connection idle-stream", () => [reset(IDLE)]],
    ["5.1", "idle: WINDOW_UPDATE", "connection idle-stream", () => [credit(IDLE)]],
    ["5.1", "idle: CONTINUATION", "connection continuation", () => [frame(FRAME.continuation, WHOLE, IDLE)]],
    ["5.1", "idle: PRIORITY", "nothing", () => [frame(FRAME.priority, 0, IDLE, PRIORITY)]],
    ["5.1.1", "the highest id: HEADERS", "connection idle-stream", (peer) => [peer.headers(2 ** 31 - 1, OK)]],
    ["5.1.1", "an id of the server's own: HEADERS", "connection idle-stream", (peer) => [peer.headers(PUSHED, OK)]],
    ["5.1.1", "an id of the server's own: DATA", "connection idle-stream", () => [dataFrame(PUSHED, "a")]],
    ["5.1.1", "an id of the server's own: WINDOW_UPDATE", "connection idle-stream", () => [credit(PUSHED)]],
    ["5.1.1", "an id of the server's own: RST_STREAM", "connection idle-stream", () => [reset(PUSHED)]],
    ["5.1", "half-closed (remote): WINDOW_UPDATE", "nothing", () => [credit(REMOTE_ENDED)]],
    ["5.1", "half-closed (remote): PRIORITY", "nothing", () => [frame(FRAME.priority, 0, REMOTE_ENDED, PRIORITY)]],
    ["5.1", "half-closed (remote): RST_STREAM", "nothing", () => [reset(REMOTE_ENDED)]],
    ["5.1", "half-closed (remote): DATA", "stream after-end", () => [dataFrame(REMOTE_ENDED, "a")]],
    ["5.1", "half-closed (remote): empty DATA", "stream after-end", () => [dataFrame(REMOTE_ENDED, "", true)]],
    ["5.1", "half-closed (remote): HEADERS", "stream after-end", (peer) => [peer.headers(REMOTE_ENDED, OK, true)]],
    ["5.1", "closed: WINDOW_UPDATE", "nothing", () => [credit(ENDED)]],
    ["5.1", "closed: WINDOW_UPDATE of nothing", "nothing", () => [credit(ENDED, 0)]],
    ["5.1", "closed: RST_STREAM", "nothing", () => [reset(ENDED)]],
    ["5.1", "closed: PRIORITY", "nothing", () => [frame(FRAME.priority, 0, ENDED, PRIORITY)]],
    ["5.1", "closed: DATA, from what a stream that we reset may still bring", "nothing", () => [dataFrame(ENDED, "a")]],
    ["5.1", "closed: HEADERS, from the flood budget (MAY)", "nothing", (peer) => [peer.headers(ENDED, OK, true)]],
    ["5.1", "reset by us: HEADERS", "nothing", (peer) => [peer.headers(RESET_BY_US, OK)]],
    ["5.1", "reset by us: DATA", "nothing", () => [dataFrame(RESET_BY_US, "late", true)]],
    ["5.1", "reset by us: WINDOW_UPDATE", "nothing", () => [credit(RESET_BY_US)]],
    ["5.1", "reset by us: RST_STREAM", "nothing", () => [reset(RESET_BY_US)]],
    ["5.1", "reset by the peer: HEADERS, from the budget", "nothing", (peer) => [peer.headers(RESET_BY_PEER, OK)]],
    ["5.1", "reset by the peer: RST_STREAM", "nothing", () => [reset(RESET_BY_PEER)]],
    ["5.4.2", "RST_STREAM is not answered with RST_STREAM", "nothing", () => [reset(OPEN), reset(OPEN)]],
  ]);
});

describe("5.1 DATA on a stream that is over, where we reset none (MAY):", () => {
  for (const [name, end] of [
    ["both had ended", (peer: H2Peer) => peer.headers(1, OK, true)],
    ["the peer had reset", () => reset(1)],
  ] as const)
    test(`one that ${name}: connection closed-stream`, () => {
      const peer = H2Peer.ready();
      peer.request();
      peer.say(end(peer), dataFrame(1, "", true), dataFrame(1, "more"));
      expect(peer.failure?.fault).toBe("closed-stream");
    });
});

describe("5.5 what extensions may do:", () => {
  tryRules([
    ["5.5", "an unknown frame on the connection", "nothing", () => [frame(0x42, 0xff, 0, latin1("x"))]],
    ["5.5", "an unknown frame on an idle stream", "nothing", () => [frame(0xff, 0, IDLE, latin1("x"))]],
    ["5.5", "an unknown frame on a stream that is over", "nothing", () => [frame(0x0a, 0, ENDED, latin1("x"))]],
    ["5.5", "ALTSVC and ORIGIN", "nothing", () => [frame(0x0a, 0, 0, words(0)), frame(0x0c, 0, 0)]],
    ["5.5", "an unknown setting", "nothing", () => [settingsFrame([0xf000, 0xffff_ffff], [0, 1])]],
    ["5.5", "an unknown code of RST_STREAM", "nothing", () => [frame(FRAME.resetStream, 0, OPEN, words(0xdead_beef))]],
    ["5.5", "an unknown frame within a block", "connection continuation", () => [begun(), frame(0x42, 0, OPEN)]],
  ]);

  test("7 an unknown code of GOAWAY ends nothing that was accepted", () => {
    const peer = H2Peer.ready([SETTING.maxConcurrentStreams, 10]);
    const { sink } = peer.request();
    peer.say(frame(FRAME.goaway, 0, 0, words(1, 0xffff_ffff)), peer.headers(1, OK, true));
    expect(sink.notes.at(-1)).toBe("end");
    expect(peer.notes).toEqual(["ready", "goaway 4294967295"]);
  });
});

describe("6.10 CONTINUATION:", () => {
  tryRules([
    ["6.10", "on the connection", "connection frame-stream", () => [frame(FRAME.continuation, WHOLE, 0)]],
    ["6.10", "without HEADERS", "connection continuation", () => [frame(FRAME.continuation, WHOLE, OPEN)]],
    [
      "6.10",
      "behind a block that is complete",
      "connection continuation",
      (peer) => [peer.headers(OPEN, OK), frame(FRAME.continuation, WHOLE, OPEN)],
    ],
    [
      "6.10",
      "behind DATA",
      "connection continuation",
      () => [dataFrame(ANSWERED, "a"), frame(FRAME.continuation, WHOLE, ANSWERED)],
    ],
    ["6.10", "of another stream", "connection continuation", () => [begun(), frame(FRAME.continuation, WHOLE, ASKED)]],
    [
      "6.10",
      "on the connection, within a block",
      "connection continuation",
      () => [begun(), frame(FRAME.continuation, WHOLE, 0)],
    ],
    ["6.2", "DATA of the same stream within a block", "connection continuation", () => [begun(), dataFrame(OPEN, "a")]],
    ["6.2", "HEADERS of the same stream within a block", "connection continuation", () => [begun(), begun()]],
    [
      "6.2",
      "PRIORITY within a block",
      "connection continuation",
      () => [begun(), frame(FRAME.priority, 0, OPEN, PRIORITY)],
    ],
    ["6.2", "SETTINGS within a block", "connection continuation", () => [begun(), settingsFrame()]],
    [
      "6.2",
      "PING within a block",
      "connection continuation",
      () => [begun(), frame(FRAME.ping, 0, 0, new Uint8Array(8))],
    ],
    [
      "6.2",
      "GOAWAY within a block",
      "connection continuation",
      () => [begun(), frame(FRAME.goaway, 0, 0, words(0, 0))],
    ],
    ["6.2", "RST_STREAM within a block", "connection continuation", () => [begun(), reset(OPEN)]],
    ["6.2", "WINDOW_UPDATE within a block", "connection continuation", () => [begun(), credit(0)]],
    [
      "6.2",
      "END_STREAM holds for the whole block",
      "nothing",
      () => [frame(FRAME.headers, END, OPEN, STATUS_200), frame(FRAME.continuation, WHOLE, OPEN)],
    ],
  ]);
});
