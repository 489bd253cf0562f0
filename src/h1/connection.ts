/**
 * One HTTP/1.1 connection to a backend as a state machine without I/O: one exchange at a time, requests into an output buffer,
 * received bytes to a sink. It is used again only after an exchange that ended on both sides without a byte too many; everything
 * else makes it `closed`, and its owner closes the socket.
 */
import { leavesBodyUnread } from "../core/methods.ts";
import { assert } from "../core/assert.ts";
import type { Counters } from "../core/counters.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { type H1Fault, H1_FAULTS } from "./faults.ts";
import { OutputBuffer } from "./output.ts";
import {
  type H1Request,
  type RequestFraming,
  requestFramingOf,
  writeChunk,
  writeLastChunk,
  writeRequestHead,
} from "./request-writer.ts";
import { ResponseParser, type ResponseReceiver } from "./response-parser.ts";

/** Where an exchange is delivered. Exactly one of `onEnd` and `onError` comes last, unless it was cancelled. */
export interface ExchangeSink extends ResponseReceiver {
  /** The output has room for more of the body, after `sendBody` said that it had none. */
  onWritable(): void;
  /** The response is complete. `reusable`: the connection may serve another request, from within this call on. */
  onEnd(reusable: boolean): void;
  /** The exchange failed and the connection with it. `bytesReceived`: some byte of an answer to this request had come. */
  onError(fault: H1Fault, bytesReceived: boolean): void;
}

/** A connection's state. `closed`: no exchange will run on it any more. */
export type H1ConnectionState = "idle" | "busy" | "closed";

/** The machine. The owner moves bytes between it and a socket: `output` and `sent` one way, `feed` and `onClose` the other. */
export class H1Connection {
  /** Bytes for the socket, waiting. Only to be read; what the socket took is told by `sent`. */
  readonly output = new OutputBuffer();
  readonly #parser = new ResponseParser();
  readonly #counters: Counters;
  #state: H1ConnectionState = "idle";
  #sink: ExchangeSink | null = null;
  #framing: RequestFraming = "none";
  #requestEnded = true;
  /** The backend may take the request's body for a request. */
  #isAmbiguous = false;
  #bodyLeft = 0;
  #isFull = false;
  #sentBytes = 0;
  #bodyBytes = 0;
  #bytesReceived = false;
  #exchanges = 0;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  get state(): H1ConnectionState {
    return this.#state;
  }

  /** Exchanges started, this one included: above 1 the connection is one that the backend may have closed while it was idle. */
  get exchanges(): number {
    return this.#exchanges;
  }

  /** Bytes of the current or last request that the socket took. 0: nothing of it can have been processed. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Bytes of the current or last request's body that were handed over. 0: it can be sent elsewhere. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** `sendBody` has said that it has no room, and `onWritable` has not yet been called. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** The version of the latest response's head, as Via wants it. */
  get receivedProtocol(): "1.0" | "1.1" {
    return this.#parser.minorVersion === 0 ? "1.0" : "1.1";
  }

  /** How long the peer says it keeps this connection when idle, seconds; -1 when it says nothing. */
  get idleSeconds(): number {
    return this.#parser.idleSeconds;
  }

  /**
   * Starts an exchange on an idle connection and writes the request's head to the output. `hasBody`: `sendBody` and `endBody`
   * follow. `upgradeTo`: the protocol that a 101 may change to, "" for none; then `sendBody` carries the tunnel's bytes. Calls nothing
   * of the sink. Throws an assertion when the request could not be written as one, and is idle as before.
   */
  start(request: H1Request, hasBody: boolean, sink: ExchangeSink, upgradeTo: string = ""): void {
    assert(this.#state === "idle", "an exchange starts on an idle connection");
    assert(upgradeTo === "" || !hasBody, "a request for another protocol has no body");
    const framing = requestFramingOf(request, hasBody);
    writeRequestHead(request, framing, upgradeTo, this.output);
    this.#parser.begin(request.method === "HEAD", upgradeTo);
    this.#state = "busy";
    this.#sink = sink;
    this.#framing = framing;
    this.#requestEnded = !hasBody;
    this.#isAmbiguous = hasBody && leavesBodyUnread(request.method);
    this.#bodyLeft = framing === "length" ? request.contentLengthBytes : 0;
    this.#isFull = false;
    this.#sentBytes = 0;
    this.#bodyBytes = 0;
    this.#bytesReceived = false;
    this.#exchanges += 1;
  }

  /**
   * Takes a copy of `piece[at..end)` of the request's body or of a tunnel. False: full, send no more until `onWritable`. After the
   * end of the exchange it takes nothing and says false.
   */
  sendBody(piece: Uint8Array, at: number = 0, end: number = piece.length): boolean {
    if (this.#state !== "busy") return false;
    this.#openTunnel();
    assert(!this.#requestEnded, "a request's body is sent before its end");
    assert(!this.#isFull, "a full output takes no further piece");
    if (this.#framing === "length" && end - at > this.#bodyLeft) {
      this.#fail("request-body-length");
      return false;
    }
    this.#bodyBytes += end - at;
    if (this.#framing === "chunked") {
      writeChunk(piece, at, end, this.output);
    } else {
      if (this.#framing === "length") this.#bodyLeft -= end - at;
      this.output.putBytes(piece, at, end);
    }
    this.#isFull = this.output.waitingBytes >= LIMITS.h1OutputBytesMax;
    return !this.#isFull;
  }

  /** Ends the request's body. Trailers go along only when it is chunked; a tunnel's owner closes its half after the output. */
  endBody(trailers: FieldSection | null = null): void {
    if (this.#state !== "busy") return;
    this.#openTunnel();
    assert(!this.#requestEnded, "a request's body ends once");
    if (this.#bodyLeft > 0) {
      this.#fail("request-body-length");
      return;
    }
    if (this.#framing === "chunked") writeLastChunk(trailers, this.output);
    this.#requestEnded = true;
  }

  /** The socket took this many bytes of the output. */
  sent(lengthBytes: number): void {
    if (this.#state === "closed") return;
    this.output.sent(lengthBytes);
    this.#sentBytes += lengthBytes;
    if (!this.#isFull || this.output.waitingBytes > LIMITS.h1OutputBytesMax / 2) return;
    this.#isFull = false;
    if (!this.#requestEnded) this.#sink?.onWritable();
  }

  /**
   * The socket received bytes; they are not looked at after the call. Bytes that answer no request, for none was
   * started or nothing of it was sent, close the connection: look at `state` afterwards.
   */
  feed(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#state === "closed") return;
    const sink = this.#sink;
    if (sink === null) {
      this.#counters.upstreamH1Surplus += 1;
      this.#state = "closed";
      return;
    }
    if (this.#sentBytes === 0) {
      // A 408 to an idle connection, or the tail of an earlier answer: taken for ours, it would answer the wrong request.
      this.#counters.upstreamH1Surplus += 1;
      this.#fail("unsolicited");
      return;
    }
    this.#bytesReceived = true;
    const parser = this.#parser;
    const taken = parser.read(bytes, 0, bytes.length, sink);
    if (this.#state !== "busy") return;
    if (parser.complete) this.#finish(sink, taken < bytes.length);
    else if (parser.fault !== null) this.#fail(parser.fault);
  }

  /** The connection has ended. `clean`: in order (by FIN and not by a reset), so that a body without a length may end with it. */
  onClose(clean: boolean): void {
    const sink = this.#sink;
    if (sink === null) this.#state = "closed";
    else if (clean && this.#parser.isUntilClose) this.#finish(sink, false);
    else this.#fail(this.#parser.hasHead ? "closed-in-body" : "closed-in-head");
  }

  /** Gives the exchange up; nothing more is called. What was sent cannot be unsent, so the connection is closed with it. */
  cancel(): void {
    if (this.#state === "busy") this.#close();
  }

  /** After a 101 the way out is open again, without any framing. */
  #openTunnel(): void {
    if (this.#framing !== "none" || !this.#parser.isTunnel) return;
    this.#framing = "raw";
    this.#requestEnded = false;
  }

  /** An answer that came before the end of its request leaves a backend that still waits for the rest: never reused. */
  #finish(sink: ExchangeSink, hasSurplus: boolean): void {
    if (hasSurplus) this.#counters.upstreamH1Surplus += 1;
    const isClean = !hasSurplus && this.#requestEnded && this.output.waitingBytes === 0;
    const reusable = isClean && !this.#isAmbiguous && this.#parser.persists;
    this.#sink = null;
    if (reusable) this.#state = "idle";
    else this.#close();
    sink.onEnd(reusable);
  }

  #fail(fault: H1Fault): void {
    const sink = this.#sink;
    const kind = H1_FAULTS[fault];
    if (kind === "limit") this.#counters.upstreamH1Limits += 1;
    else if (kind === "syntax" || kind === "framing") this.#counters.upstreamH1Refused += 1;
    this.#close();
    sink?.onError(fault, this.#bytesReceived);
  }

  #close(): void {
    this.#state = "closed";
    this.#sink = null;
    this.#parser.stop();
    this.output.clear();
  }
}
