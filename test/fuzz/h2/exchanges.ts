/**
 * Plays a server's bytes to a connection whose consumers behave in different ways, and tells what came of it in a form that must not
 * depend on how the bytes were cut.
 */
import { expect } from "bun:test";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { FLAG, FRAME } from "../../../src/h2/codes.ts";
import { HpackDecoder } from "../../../src/h2/hpack-decoder.ts";
import type { H2Stream } from "../../../src/h2/stream.ts";
import { framesOf, GET, H2Peer, joined, NotedStream, type SentFrame } from "../../support/h2-peer.ts";
import { type Field, sectionOf } from "../../support/sections.ts";

const POST: readonly Field[] = [[":method", "POST"], ...GET.slice(1)];
const HEAD: readonly Field[] = [[":method", "HEAD"], ...GET.slice(1)];
const GIVES_UP = 5;
const BODY = new Uint8Array(100_000).fill(0x62);
/** More than any seed makes us say: the bodies of two requests and answers to every frame. */
const OUTPUT_BYTES_MAX = 300_000;

/** What came of it. */
export interface Outcome {
  readonly failure: string;
  /** What each stream's sink heard, without how DATA was cut. */
  readonly streams: readonly string[];
  /** Frames that the client sent, without credit: when that goes out depends on the cuts. */
  readonly sent: readonly string[];
  readonly counters: string;
}

/** Plays the pieces, each from memory that is filled with something else afterwards. */
export function play(pieces: readonly Uint8Array[]): Outcome {
  const peer = H2Peer.ready();
  const streams = openStreams(peer);
  const before = peer.output();
  for (const piece of pieces) {
    const chunk = piece.slice();
    peer.client.receive(chunk, peer.nowMs);
    chunk.fill(0xee);
    expectSane(peer, streams);
  }
  const frames = peer.frames();
  if (peer.failure === null) expectReadable(before, frames);
  return {
    failure: peer.failure === null ? "" : `${peer.failure.fault} ${peer.failure.code} ${peer.failure.detail}`,
    // How much of its body one hears who gives up at the first piece, the cuts decide.
    streams: streams.map(({ stream, sink }) => `${notesOf(sink)}; ${stream.id === GIVES_UP ? "" : sink.body}`),
    sent: frames.filter(({ type }) => type !== FRAME.windowUpdate).map(textOf),
    counters: JSON.stringify(Object.entries(peer.counters).filter(([, count]) => count !== 0)),
  };
}

interface Opened {
  readonly stream: H2Stream;
  readonly sink: NotedStream;
}

/** 1 reads at once, 3 sends a body, 5 gives up at the first piece, 7 never reads, 9 is HEAD, 11 sends a body and trailers. */
function openStreams(peer: H2Peer): Opened[] {
  const opened = [GET, POST, GET, GET, HEAD, POST].map((fields) => peer.request(fields, fields === POST));
  const [reads, posts, givesUp, , , trails] = opened;
  if (reads === undefined || posts === undefined || givesUp === undefined || trails === undefined) return opened;
  const { client } = peer;
  reads.sink.onCall = (call) => {
    if (call.startsWith("data")) client.consumed(reads.stream, reads.stream.unconsumedBytes);
    // From within a callback, as retries are.
    if (call.startsWith("reset")) client.open(sectionOf(GET), false, new NotedStream(), peer.nowMs);
  };
  givesUp.sink.onCall = (call) => {
    if (call.startsWith("data")) client.reset(givesUp.stream);
  };
  let sent = 0;
  const pump = (): void => {
    if (posts.stream.isReset || posts.stream.localEnded) return;
    sent += client.send(posts.stream, BODY, sent, BODY.length, true);
  };
  posts.sink.onCall = (call) => {
    if (call.startsWith("data")) client.consumed(posts.stream, posts.stream.unconsumedBytes);
    if (call === "writable") pump();
  };
  pump();
  client.send(trails.stream, BODY, 0, 10, false);
  client.sendTrailers(trails.stream, sectionOf([["x-sum", "1"]]));
  return opened;
}

/** What holds at any time. */
function expectSane(peer: H2Peer, streams: readonly Opened[]): void {
  if (peer.client.output.length > OUTPUT_BYTES_MAX) expect(peer.client.output.length).toBeLessThan(OUTPUT_BYTES_MAX);
  for (const { stream, sink } of streams) {
    const { receiveWindowBytes, creditBytes, unconsumedBytes } = stream;
    const window = receiveWindowBytes + creditBytes + unconsumedBytes;
    const isOpen = !stream.isReset && !stream.remoteEnded;
    if (isOpen && (receiveWindowBytes < 0 || window > LIMITS.h2StreamWindowBytesMax)) {
      expect(`${receiveWindowBytes} ${creditBytes} ${unconsumedBytes}`).toBe("a window within its limit");
    }
    const ends = sink.notes.filter((note) => note === "end" || note.startsWith("reset"));
    // Only a reset may follow the end, for a request whose body goes on.
    if (ends.length > 2 || (ends.length === 2 && (ends[0] !== "end" || ends[1] === "end")))
      expect(ends).toEqual(["end"]);
  }
}

/** The server can read what we sent: whole frames within its limits, blocks that a decoder takes. */
function expectReadable(before: Uint8Array, frames: readonly SentFrame[]): void {
  const decoder = new HpackDecoder();
  const writer = new FieldWriter();
  let block: Uint8Array = new Uint8Array(0);
  for (const { type, flags, payload } of [...framesOf(before), ...frames]) {
    expect(payload.length).toBeLessThanOrEqual(16_384);
    if (type !== FRAME.headers && type !== FRAME.continuation) continue;
    block = joined(block, payload);
    if ((flags & FLAG.endHeaders) === 0) continue;
    writer.begin();
    expect(decoder.decode(block, 0, block.length, writer)).toBeNull();
    block = new Uint8Array(0);
  }
}

function notesOf(sink: NotedStream): string {
  return sink.notes.filter((note) => !note.startsWith("data")).join("; ");
}

function textOf({ type, flags, streamId, payload }: SentFrame): string {
  return `${type} ${flags} ${streamId} ${payload.length > 100 ? `${payload.length} bytes` : payload.toHex()}`;
}
