/** RFC 9113 section 6: each type of frame, as far as a client has to hold a server to it. `streams.test.ts` has CONTINUATION. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../../src/core/limits.ts";
import { FLAG, FRAME, SETTING, WINDOW_BYTES_MAX } from "../../../../src/h2/codes.ts";
import { dataFrame, frame, GET, H2Peer, joined, settingsFrame, words } from "../../../support/h2-peer.ts";
import { latin1 } from "../../../support/sections.ts";
import { ANSWERED, ASKED, EMPTY, ENDED, OK, OPEN, REMOTE_ENDED, tryRules } from "./bed.ts";

const { padded: PADDED, priority: PRIORITY, endHeaders: WHOLE, endStream: END } = FLAG;
const STATUS_200 = Uint8Array.of(0x88);

/** DATA frames with so many bytes altogether. */
function dataOf(streamId: number, bytes: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let left = bytes; left > 0; left -= 16_384)
    frames.push(frame(FRAME.data, 0, streamId, new Uint8Array(Math.min(left, 16_384))));
  return frames;
}

describe("6.1 DATA:", () => {
  tryRules([
    ["6.1", "on the connection", "connection frame-stream", () => [dataFrame(0, "a")]],
    [
      "6.1",
      "padded, without the padding's length",
      "connection frame-size",
      () => [frame(FRAME.data, PADDED, ANSWERED)],
    ],
    [
      "6.1",
      "padding as long as the frame",
      "connection padding",
      () => [frame(FRAME.data, PADDED, ANSWERED, Uint8Array.of(2, 0))],
    ],
    [
      "6.1",
      "padding far longer than the frame",
      "connection padding",
      () => [frame(FRAME.data, PADDED, ANSWERED, Uint8Array.of(255, 0, 0))],
    ],
    ["6.1", "nothing but padding", "nothing", () => [dataFrame(ANSWERED, "", false, 255)]],
    ["6.1", "no padding, said so", "nothing", () => [dataFrame(ANSWERED, "a", false, 0)]],
    [
      "6.1",
      "padding that is not zeros (MAY)",
      "nothing",
      () => [frame(FRAME.data, PADDED, ANSWERED, Uint8Array.of(2, 0x61, 0xff, 0xff))],
    ],
    ["6.1", "an end with nothing but padding", "nothing", () => [dataFrame(ANSWERED, "", true, 3)]],
  ]);
});

describe("6.2 HEADERS:", () => {
  const prioritised = joined(words(0), Uint8Array.of(16), STATUS_200);
  tryRules([
    ["6.2", "on the connection", "connection frame-stream", (peer) => [peer.headers(0, OK)]],
    ["6.2", "padded, of no bytes", "connection frame-size", () => [frame(FRAME.headers, WHOLE | PADDED, OPEN)]],
    [
      "6.2",
      "padding as long as the frame",
      "connection padding",
      () => [frame(FRAME.headers, WHOLE | PADDED, OPEN, Uint8Array.of(2, 0x88))],
    ],
    [
      "6.2",
      "padding longer than a long frame",
      "connection padding",
      () => [frame(FRAME.headers, WHOLE | PADDED, OPEN, Uint8Array.of(9, 0x88, 0, 0, 0, 0))],
    ],
    [
      "6.2",
      "padding that reaches into the priority",
      "connection padding",
      () => [frame(FRAME.headers, WHOLE | PADDED | PRIORITY, OPEN, Uint8Array.of(1, 0, 0, 0, 0, 0))],
    ],
    [
      "6.2",
      "too short for its priority",
      "connection frame-size",
      () => [frame(FRAME.headers, WHOLE | PRIORITY, OPEN, new Uint8Array(4))],
    ],
    [
      "6.2",
      "padded and too short for its priority",
      "connection frame-size",
      () => [frame(FRAME.headers, WHOLE | PADDED | PRIORITY, OPEN, new Uint8Array(5))],
    ],
    ["6.2", "with a priority", "nothing", () => [frame(FRAME.headers, WHOLE | PRIORITY, OPEN, prioritised)]],
    [
      "5.3.1",
      "with a priority after itself, which no longer means anything",
      "nothing",
      () => [frame(FRAME.headers, WHOLE | PRIORITY, OPEN, joined(words(OPEN), Uint8Array.of(16), STATUS_200))],
    ],
    [
      "6.2",
      "with a padding that takes all but the block",
      "nothing",
      () => [frame(FRAME.headers, WHOLE | PADDED, OPEN, joined(Uint8Array.of(255), STATUS_200, new Uint8Array(255)))],
    ],
    [
      "6.2",
      "with nothing but padding",
      "stream status",
      () => [frame(FRAME.headers, WHOLE | PADDED, OPEN, new Uint8Array(1))],
    ],
  ]);
});

describe("6.3 and 6.4 PRIORITY and RST_STREAM:", () => {
  tryRules([
    [
      "6.3",
      "PRIORITY on the connection",
      "connection frame-stream",
      () => [frame(FRAME.priority, 0, 0, new Uint8Array(5))],
    ],
    [
      "6.3",
      "PRIORITY of 4 bytes (a stream error may be the connection's)",
      "connection frame-size",
      () => [frame(FRAME.priority, 0, OPEN, new Uint8Array(4))],
    ],
    ["6.3", "PRIORITY of 6 bytes", "connection frame-size", () => [frame(FRAME.priority, 0, OPEN, new Uint8Array(6))]],
    [
      "6.3",
      "PRIORITY of a stream after itself",
      "nothing",
      () => [frame(FRAME.priority, 0, OPEN, joined(words(OPEN), Uint8Array.of(0)))],
    ],
    [
      "6.4",
      "RST_STREAM on the connection",
      "connection frame-stream",
      () => [frame(FRAME.resetStream, 0, 0, words(0))],
    ],
    [
      "6.4",
      "RST_STREAM of 3 bytes",
      "connection frame-size",
      () => [frame(FRAME.resetStream, 0, OPEN, new Uint8Array(3))],
    ],
    [
      "6.4",
      "RST_STREAM of 5 bytes",
      "connection frame-size",
      () => [frame(FRAME.resetStream, 0, OPEN, new Uint8Array(5))],
    ],
    [
      "6.4",
      "RST_STREAM of no bytes for a stream that is over",
      "connection frame-size",
      () => [frame(FRAME.resetStream, 0, ENDED)],
    ],
  ]);
});

describe("6.5 SETTINGS:", () => {
  tryRules([
    ["6.5", "on a stream", "connection frame-stream", () => [frame(FRAME.settings, 0, OPEN)]],
    ["6.5", "an acknowledgement on a stream", "connection frame-stream", () => [frame(FRAME.settings, FLAG.ack, OPEN)]],
    ["6.5", "of 7 bytes", "connection frame-size", () => [frame(FRAME.settings, 0, 0, new Uint8Array(7))]],
    ["6.5", "of 5 bytes", "connection frame-size", () => [frame(FRAME.settings, 0, 0, new Uint8Array(5))]],
    [
      "6.5",
      "an acknowledgement with bytes",
      "connection frame-size",
      () => [frame(FRAME.settings, FLAG.ack, 0, new Uint8Array(6))],
    ],
    ["6.5", "an acknowledgement too many, from the budget", "nothing", () => [frame(FRAME.settings, FLAG.ack, 0)]],
    [
      "6.5.2",
      "pushes allowed by a server",
      "connection settings-value",
      () => [settingsFrame([SETTING.enablePush, 1])],
    ],
    [
      "6.5.2",
      "pushes that are neither allowed nor not",
      "connection settings-value",
      () => [settingsFrame([SETTING.enablePush, 2])],
    ],
    ["6.5.2", "pushes not allowed", "nothing", () => [settingsFrame([SETTING.enablePush, 0])]],
    [
      "6.5.2",
      "a first window above 2^31 - 1",
      "connection settings-window",
      () => [settingsFrame([SETTING.initialWindowSize, 2 ** 31])],
    ],
    [
      "6.5.2",
      "a first window of 2^32 - 1",
      "connection settings-window",
      () => [settingsFrame([SETTING.initialWindowSize, 2 ** 32 - 1])],
    ],
    [
      "6.5.2",
      "frames below the least size",
      "connection settings-value",
      () => [settingsFrame([SETTING.maxFrameSize, 16_383])],
    ],
    ["6.5.2", "frames of no size", "connection settings-value", () => [settingsFrame([SETTING.maxFrameSize, 0])]],
    [
      "6.5.2",
      "frames above the largest size",
      "connection settings-value",
      () => [settingsFrame([SETTING.maxFrameSize, 2 ** 24])],
    ],
    [
      "6.5.2",
      "the largest values of all",
      "nothing",
      () => [
        settingsFrame(
          [SETTING.headerTableSize, 2 ** 32 - 1],
          [SETTING.maxConcurrentStreams, 2 ** 32 - 1],
          [SETTING.initialWindowSize, WINDOW_BYTES_MAX],
          [SETTING.maxFrameSize, 2 ** 24 - 1],
          [SETTING.maxHeaderListSize, 2 ** 32 - 1],
        ),
      ],
    ],
    [
      "6.5.2",
      "the least values of all",
      "nothing",
      () => [
        settingsFrame(
          [SETTING.headerTableSize, 0],
          [SETTING.maxConcurrentStreams, 0],
          [SETTING.initialWindowSize, 0],
          [SETTING.maxFrameSize, 16_384],
          [SETTING.maxHeaderListSize, 0],
        ),
      ],
    ],
    [
      "6.5.3",
      "a good value behind a bad one",
      "connection settings-value",
      () => [settingsFrame([SETTING.enablePush, 1], [SETTING.enablePush, 0])],
    ],
  ]);

  test("6.5.3 of one setting twice in a frame the last value holds, and a table is emptied on the way", () => {
    const peer = H2Peer.ready();
    const repeated = [...GET, ["x-a", "some value"]] as const;
    for (let i = 0; i < 3; i++) peer.request(repeated);
    peer.output();
    expect(peer.client.encoder.tableBytes).toBeGreaterThan(0);
    peer.say(
      settingsFrame(
        [SETTING.headerTableSize, 0],
        [SETTING.maxConcurrentStreams, 1],
        [SETTING.headerTableSize, 4096],
        [SETTING.maxConcurrentStreams, 7],
      ),
    );
    expect(peer.client.encoder.tableBytes).toBe(0);
    expect(peer.client.streamsMax).toBe(7);
    peer.output();
    peer.request(repeated);
    // Both sizes are told, the lowest first (RFC 7541 4.2): 0, then 4096.
    expect(peer.frames()[0]?.payload.slice(0, 4).toHex()).toBe("203fe11f");
  });
});

describe("6.6 to 6.8 PUSH_PROMISE, PING and GOAWAY:", () => {
  const promise = (streamId: number): Uint8Array =>
    frame(FRAME.pushPromise, WHOLE, streamId, joined(words(2), STATUS_200));
  tryRules([
    ["6.6", "PUSH_PROMISE, which we switched off", "connection push", () => [promise(OPEN)]],
    ["6.6", "PUSH_PROMISE on a stream that is over", "connection push", () => [promise(ENDED)]],
    ["6.6", "PUSH_PROMISE on the connection", "connection push", () => [promise(0)]],
    [
      "6.6",
      "PUSH_PROMISE within a block",
      "connection continuation",
      () => [frame(FRAME.headers, 0, OPEN, STATUS_200), promise(OPEN)],
    ],
    ["6.7", "PING on a stream", "connection frame-stream", () => [frame(FRAME.ping, 0, OPEN, new Uint8Array(8))]],
    ["6.7", "PING of 7 bytes", "connection frame-size", () => [frame(FRAME.ping, 0, 0, new Uint8Array(7))]],
    ["6.7", "PING of 9 bytes", "connection frame-size", () => [frame(FRAME.ping, 0, 0, new Uint8Array(9))]],
    [
      "6.7",
      "an answer to a PING that we did not send",
      "nothing",
      () => [frame(FRAME.ping, FLAG.ack, 0, new Uint8Array(8))],
    ],
    ["6.7", "an answer of 4 bytes", "connection frame-size", () => [frame(FRAME.ping, FLAG.ack, 0, new Uint8Array(4))]],
    ["6.8", "GOAWAY on a stream", "connection frame-stream", () => [frame(FRAME.goaway, 0, OPEN, words(99, 0))]],
    ["6.8", "GOAWAY of 7 bytes", "connection frame-size", () => [frame(FRAME.goaway, 0, 0, new Uint8Array(7))]],
    ["6.8", "GOAWAY behind all streams", "nothing", () => [frame(FRAME.goaway, 0, 0, words(99, 0))]],
    [
      "6.8",
      "GOAWAY with a reason in words",
      "nothing",
      () => [frame(FRAME.goaway, 0, 0, joined(words(WINDOW_BYTES_MAX, 0), latin1("going"), new Uint8Array(9000)))],
    ],
    ["6.8", "GOAWAY with a stream of the server's own", "nothing", () => [frame(FRAME.goaway, 0, 0, words(2000, 0))]],
    [
      "6.8",
      "GOAWAY whose last stream rises, which is not let rise",
      "nothing",
      () => [frame(FRAME.goaway, 0, 0, words(99, 0)), frame(FRAME.goaway, 0, 0, words(2 ** 31 - 1, 0))],
    ],
  ]);

  test("6.7 PING is answered with its own bytes, byte for byte", () => {
    const peer = H2Peer.ready();
    const payload = Uint8Array.of(0, 255, 1, 254, 2, 253, 3, 252);
    peer.say(frame(FRAME.ping, 0, 0, payload));
    expect(peer.frames()).toEqual([{ type: FRAME.ping, flags: FLAG.ack, streamId: 0, payload }]);
  });

  test("6.8 GOAWAY with id 0 gives every request back, and a second one with a higher id brings none of them to life", () => {
    const peer = H2Peer.ready();
    const { sink } = peer.request();
    peer.request();
    peer.output();
    peer.say(frame(FRAME.goaway, 0, 0, words(0, 0)), frame(FRAME.goaway, 0, 0, words(3, 0)), peer.headers(1, OK, true));
    expect(sink.notes).toEqual(["reset 0 not processed"]);
    expect(peer.client.streams.count).toBe(0);
    expect(peer.notes).toEqual(["ready", "goaway 0"]);
    expect(peer.counters.h2GoawaysReceived).toBe(2);
    expect(peer.failure).toBeNull();
  });

  test("6.8 GOAWAYs whose last stream falls give back what lies between", () => {
    const peer = H2Peer.ready();
    const sinks = [1, 3, 5].map(() => peer.request().sink);
    for (const last of [5, 3, 3, 1]) peer.say(frame(FRAME.goaway, 0, 0, words(last, 0)));
    expect(sinks.map(({ notes }) => notes)).toEqual([[], ["reset 0 not processed"], ["reset 0 not processed"]]);
  });
});

describe("6.9 WINDOW_UPDATE and windows:", () => {
  const credit = (streamId: number, bytes: number): Uint8Array => frame(FRAME.windowUpdate, 0, streamId, words(bytes));
  const window = LIMITS.h2StreamWindowBytesMax;
  tryRules([
    ["6.9", "nothing for the connection", "connection window-update", () => [credit(0, 0)]],
    ["6.9", "nothing, but the reserved bit", "connection window-update", () => [credit(0, 2 ** 31)]],
    ["6.9", "nothing for a stream", "stream window-update", () => [credit(OPEN, 0)]],
    ["6.9", "the reserved bit", "nothing", () => [credit(OPEN, 2 ** 31 + 5)]],
    ["6.9", "of 3 bytes", "connection frame-size", () => [frame(FRAME.windowUpdate, 0, 0, new Uint8Array(3))]],
    ["6.9", "of 5 bytes", "connection frame-size", () => [frame(FRAME.windowUpdate, 0, OPEN, new Uint8Array(5))]],
    ["6.9.1", "too much for the connection", "connection window-overflow", () => [credit(0, WINDOW_BYTES_MAX)]],
    ["6.9.1", "too much for a stream", "stream window-overflow", () => [credit(OPEN, WINDOW_BYTES_MAX)]],
    [
      "6.9.1",
      "too much for a stream in two steps",
      "stream window-overflow",
      () => [credit(OPEN, 2 ** 30), credit(OPEN, 2 ** 30)],
    ],
    ["6.9.1", "as much as a stream may have", "nothing", () => [credit(OPEN, WINDOW_BYTES_MAX - 65_535)]],
    ["6.9.1", "as much as the connection may have", "nothing", () => [credit(0, WINDOW_BYTES_MAX - 65_535)]],
    [
      "6.9.2",
      "a first window that is too large for a stream with credit",
      "connection window-overflow",
      () => [credit(OPEN, WINDOW_BYTES_MAX - 65_535), settingsFrame([SETTING.initialWindowSize, 65_536])],
    ],
    ["6.9.1", "DATA up to a stream's window", "nothing", () => dataOf(ANSWERED, window)],
    [
      "6.9.1",
      "DATA up to a stream's window, then its end",
      "nothing",
      () => [...dataOf(ANSWERED, window), dataFrame(ANSWERED, "", true)],
    ],
    [
      "6.9.1",
      "DATA beyond a stream's window by a byte",
      "stream flow-control",
      () => [...dataOf(ANSWERED, window), dataFrame(ANSWERED, "x")],
    ],
    [
      "6.9.1",
      "DATA beyond a stream's window by nearly a frame",
      "stream flow-control",
      () => [...dataOf(ANSWERED, window - 1), frame(FRAME.data, 0, ANSWERED, new Uint8Array(16_384))],
    ],
    [
      "6.9.1",
      "DATA beyond a stream's window by its padding",
      "stream flow-control",
      () => [...dataOf(ANSWERED, window - 5), dataFrame(ANSWERED, "12345", false, 0)],
    ],
    [
      "6.9",
      "a frame behind the end as long as the window",
      "stream after-end",
      () => [frame(FRAME.data, 0, REMOTE_ENDED, new Uint8Array(16_384))],
    ],
    [
      "6.9",
      "a frame before the head",
      "stream data-before-head",
      () => [frame(FRAME.data, END, ASKED, new Uint8Array(16_384))],
    ],
    ["6.9", "an empty frame before the head", "stream data-before-head", () => [frame(FRAME.data, 0, ASKED, EMPTY)]],
  ]);
});
