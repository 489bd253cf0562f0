/** The streams of a connection that are not over, their windows, and what the connection as a whole may still receive. */
import { ById } from "../core/by-id.ts";
import type { Counters } from "../core/counters.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import { LIMITS } from "../core/limits.ts";
import type { ConnectionFault } from "./codes.ts";
import type { HpackEncoder } from "./hpack-encoder.ts";
import type { Liveness } from "./liveness.ts";
import type { FrameOutput } from "./output.ts";
import { SendQueue } from "./send-queue.ts";
import { H2Stream, type H2StreamSink } from "./stream.ts";

/**
 * Bytes that the peer may send over all streams: as much as all their windows together, so that streams whose consumers do not
 * read never stop the others. What waits in memory is bounded by the streams' own windows.
 */
export const CONNECTION_WINDOW_BYTES = LIMITS.h2StreamsMax * LIMITS.h2StreamWindowBytesMax;

/** Bytes of credit that a stream collects before the peer is told: half its window. */
const STREAM_CREDIT_BYTES = Math.floor(LIMITS.h2StreamWindowBytesMax / 2);

/** The connection, as those see it who read its frames. */
export interface ConnectionState {
  readonly output: FrameOutput;
  readonly counters: Counters;
  readonly writer: FieldWriter;
  readonly streams: StreamTable;
  readonly encoder: HpackEncoder;
  readonly liveness: Liveness;
  readonly failure: object | null;
  readonly sink: { onReady(): void };
  fail(fault: ConnectionFault, detail?: string): void;
  goaway(lastId: number, code: number): void;
  streamFreed(): void;
  /** Takes no new requests; those that run go on. Who floods one stream is still at it when the next one begins. */
  drain(): void;
}

/** All streams of one connection. */
export class StreamTable {
  readonly sending: SendQueue;
  readonly #output: FrameOutput;
  readonly #streams = new ById<H2Stream>(2 * LIMITS.h2StreamsMax);
  #lastId = 0;
  /** What the peer may send on the connection, and what was consumed but not yet given back. */
  #windowBytes = CONNECTION_WINDOW_BYTES;
  #creditBytes = 0;
  /** What the peer may have sent on streams that we reset, before it knew. */
  #strayBytes = 0;

  constructor(output: FrameOutput) {
    this.#output = output;
    this.sending = new SendQueue(output);
  }

  /** Streams that are not over. */
  get count(): number {
    return this.#streams.size;
  }

  /** The highest id that was used. */
  get lastId(): number {
    return this.#lastId;
  }

  get(id: number): H2Stream | undefined {
    return this.#streams.get(id);
  }

  /** A new stream, whose HEADERS are what the output takes next. */
  add(id: number, sink: H2StreamSink, sendWindowBytes: number): H2Stream {
    const stream = new H2Stream(id, sink, sendWindowBytes, this.#output.nextByte);
    this.#streams.add(stream);
    this.#lastId = id;
    return stream;
  }

  /** Both sides are done. Its consumer may still owe `consumed`. */
  remove(stream: H2Stream): void {
    this.#streams.delete(stream.id);
  }

  /** The stream is over before its time, by our will: the peer may go on until it hears of it. */
  abandon(stream: H2Stream): void {
    if (!stream.remoteEnded) this.#strayBytes += stream.receiveWindowBytes;
    this.drop(stream);
  }

  /** The stream is over before its time. What its consumer had not taken is given back. */
  drop(stream: H2Stream): void {
    stream.isReset = true;
    this.#streams.delete(stream.id);
    this.giveBack(stream.unconsumedBytes);
    stream.unconsumedBytes = 0;
  }

  /** The peer will not answer streams above `lastId`. */
  abandonAbove(lastId: number, code: number): void {
    for (const stream of this.#streams.list()) {
      if (stream.id <= lastId || stream.isReset) continue;
      this.drop(stream);
      stream.sink.onReset(code, true);
    }
  }

  /** The connection is gone. Heads from `takenBytes` on have not reached the socket. */
  abandonAll(code: number, takenBytes: number): void {
    const streams = this.#streams.list();
    this.#streams.clear();
    for (const stream of streams) stream.isReset = true;
    for (const stream of streams) stream.sink.onReset(code, stream.headByte >= takenBytes);
  }

  /** Whether there is a stream whose head begins at or behind this byte of the connection. */
  hasHeadFrom(byte: number): boolean {
    const last = this.#streams.get(this.#lastId);
    if (last !== undefined) return last.headByte >= byte;
    return this.#streams.list().some((stream) => stream.headByte >= byte);
  }

  /** SETTINGS changed the window that streams begin with. Null, or a stream whose window is now too large. */
  shiftSendWindows(bytes: number, windowBytesMax: number): H2Stream | null {
    for (const stream of this.#streams.list()) {
      stream.sendWindowBytes += bytes;
      if (stream.sendWindowBytes > windowBytesMax) return stream;
    }
    return null;
  }

  /** Body bytes came. False: more than the connection's window. */
  charge(flowBytes: number): boolean {
    this.#windowBytes -= flowBytes;
    return this.#windowBytes >= 0;
  }

  /** Body bytes came for a stream that is over. False: more than may have been under way when we reset streams. */
  chargeStray(flowBytes: number): boolean {
    this.#strayBytes -= flowBytes;
    return this.#strayBytes >= 0;
  }

  /** The consumer of a stream took bytes. Credit goes out when half a window has come together. */
  consumed(stream: H2Stream, bytes: number): void {
    const taken = Math.min(bytes, stream.unconsumedBytes);
    stream.unconsumedBytes -= taken;
    this.giveBackTo(stream, taken);
    this.giveBack(taken);
  }

  /** Credit for one stream. */
  giveBackTo(stream: H2Stream, bytes: number): void {
    stream.creditBytes += bytes;
    if (stream.creditBytes < STREAM_CREDIT_BYTES || stream.remoteEnded || stream.isReset) return;
    this.#output.windowUpdate(stream.id, stream.creditBytes);
    stream.receiveWindowBytes += stream.creditBytes;
    stream.creditBytes = 0;
  }

  /** Credit for the connection. */
  giveBack(bytes: number): void {
    this.#creditBytes += bytes;
    if (this.#creditBytes < CONNECTION_WINDOW_BYTES / 2) return;
    this.#output.windowUpdate(0, this.#creditBytes);
    this.#windowBytes += this.#creditBytes;
    this.#creditBytes = 0;
  }
}
