/** One request and its response on an HTTP/2 connection, and who hears of it. */
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import type { StreamFault } from "./codes.ts";

/**
 * Hears what becomes of a request. Called from within `Http2Connection`'s verbs, mostly `receive`; may call any of them. The last
 * call is `onEnd` or `onReset`; only while the request's body is unfinished may `onReset` still come after `onEnd`: it then
 * means that nobody wants the rest of that body.
 */
export interface H2StreamSink {
  /** A response head of 1xx, without its `:status`. Sections are there only during the call, here and below. */
  onInformational(status: number, section: FieldSection): void;
  /** The response head, once, without its `:status`. Names are checked, values are not. With `endStream`, `onEnd` follows. */
  onHead(status: number, section: FieldSection, endStream: boolean): void;
  /**
   * A piece of the body: `bytes[at..end)`, there only during the call. Every byte is owed to `Http2Connection.consumed`. With `last`,
   * `onEnd` follows at once, and the body is as long as it was said to be.
   */
  onData(bytes: Uint8Array, at: number, end: number, last: boolean): void;
  onTrailers(section: FieldSection): void;
  /** The response is complete. */
  onEnd(): void;
  /** The stream is over. `surelyNotProcessed`: the backend did not act on the request, which may be sent again. */
  onReset(code: number, surelyNotProcessed: boolean): void;
  /** After a `send` that took less than all: there is room again. */
  onWritable(): void;
}

/** A stream. Everybody may read its fields, `src/h2` alone writes them. */
export class H2Stream {
  readonly id: number;
  readonly sink: H2StreamSink;
  /** What the peer lets us send; below 0 when it took some back (RFC 9113 6.9.2). */
  sendWindowBytes: number;
  /** What we let the peer send. */
  receiveWindowBytes: number = LIMITS.h2StreamWindowBytesMax;
  /** Received and not yet consumed. */
  unconsumedBytes = 0;
  /** What the head says that the body still has; `Infinity` when it does not say. */
  bodyBytesLeft = Infinity;
  /** The request's method is HEAD: the answer has no body, whatever its head says. */
  toHead = false;
  /** Consumed and not yet given back to the peer. */
  creditBytes = 0;
  /** Where its HEADERS begin among the bytes of the connection. */
  readonly headByte: number;
  headSeen = false;
  informationalCount = 0;
  /** Our side is done: everything was put, the last frame with END_STREAM. */
  localEnded = false;
  /** The peer's side is done. */
  remoteEnded = false;
  /** Reset by either side, or the connection failed. */
  isReset = false;
  /** A `send` was cut short, and `onWritable` has not been called since. */
  isBlocked = false;
  /** Why we reset it; null when we did not, or were asked to. */
  fault: StreamFault | null = null;

  constructor(id: number, sink: H2StreamSink, sendWindowBytes: number, headByte: number) {
    this.id = id;
    this.sink = sink;
    this.sendWindowBytes = sendWindowBytes;
    this.headByte = headByte;
  }

  /** The answer would be shorter than its head says if it ended here. */
  get isShort(): boolean {
    return this.bodyBytesLeft > 0 && this.bodyBytesLeft < Infinity;
  }

  /** Counts a DATA frame: its payload for the window, what is no padding for the body. What is wrong with it, null for nothing. */
  takeData(payloadBytes: number, bodyBytes: number, endStream: boolean): StreamFault | null {
    if (this.remoteEnded) return "after-end";
    if (!this.headSeen) return "data-before-head";
    if (payloadBytes > this.receiveWindowBytes) return "flow-control";
    this.receiveWindowBytes -= payloadBytes;
    this.bodyBytesLeft -= bodyBytes;
    return this.bodyBytesLeft < 0 || (endStream && this.isShort) ? "body-length" : null;
  }
}
