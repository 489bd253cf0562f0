/**
 * One request stream as the server sees it: the request body is pulled from it, the response is written to it. Nothing is read from
 * the client that nobody asked for, and what the client does not take is kept here, bounded by the writer who is told to stop.
 */
import { assert } from "../core/assert.ts";
import type { BodyTally } from "../core/body-tallies.ts";
import { copyOf } from "../core/bytes.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { SECTION, type SectionKind, STREAM } from "../quic/engine.ts";
import { H3_CODE } from "./codes.ts";
import type { MalformedReason } from "./head.ts";
import { OutputQueue } from "./output-queue.ts";
import { ABORT_CODES, type AbortReason, type StreamHost, type StreamOwner } from "./stream-host.ts";

const NOTHING = new Uint8Array(0);

/** A request stream. Implements `BodySource` of the proxy's ports. */
export class RequestStream {
  readonly id: number;
  /** Called when `pull` may have something new to say. */
  onReadable: (() => void) | null = null;
  owner: StreamOwner | null = null;
  /** What followed the request's body; see `BodySource`. */
  trailers: FieldSection | null = null;
  /** Which rule the request broke behind its head; null while it broke none. */
  fault: MalformedReason | null = null;
  /** Where its body bytes are counted together with those of others. */
  bodies: BodyTally | null = null;
  /** Body bytes read from the client. */
  receivedBytes = 0;
  /** Body bytes taken for the client. */
  sentBytes = 0;
  readonly #host: StreamHost;
  readonly #expectedBytes: number;
  #bodyState: "open" | "ended" | "broken";
  #readable = false;
  readonly #queue = new OutputQueue();
  /** Counts what the client has taken: only that it changes is of interest. */
  #taken = 0;
  #takenSeen = -1;
  #takenSeenMs = 0;
  /** The room there was when the engine took no more: with as little it would refuse again. -1 when it was not asked. */
  #refusedRoom = -1;
  #headSent = false;
  #headOffered = false;
  #finished = false;
  #dead = false;

  /** `expectedBytes` is the request's Content-Length, -1 for none. */
  constructor(host: StreamHost, id: number, options: { hasBody: boolean; expectedBytes: number }) {
    this.#host = host;
    this.id = id;
    this.#bodyState = options.hasBody ? "open" : "ended";
    this.#expectedBytes = options.expectedBytes;
  }

  /** Of the request body; see `BodySource`. */
  get state(): "open" | "ended" | "broken" {
    return this.#bodyState;
  }

  /** True when output waits for the client. */
  get blocked(): boolean {
    return !this.#queue.isEmpty;
  }

  /** True when the final head was written. */
  get headSent(): boolean {
    return this.#headSent;
  }

  /** True when all of the response was taken for the client. */
  get sent(): boolean {
    return this.#finished;
  }

  /** The next piece of the request body, or null; see `BodySource`. */
  pull(): Uint8Array | null {
    if (this.#bodyState !== "open" || !this.#readable || this.#dead) return null;
    const { engine } = this.#host;
    const size = engine.readBody(this.id);
    // Trailers may be among the events that reading came upon: then the end is told by its own event, behind them.
    const mayEnd = !engine.hasPending;
    if (!mayEnd) this.#host.again();
    if (size > 0) {
      this.receivedBytes += size;
      if (this.bodies !== null) this.bodies.requestBytes += size;
      this.#host.received();
      const piece = engine.bodyBytes.slice(0, size);
      const tooLong = this.#expectedBytes >= 0 && this.receivedBytes > this.#expectedBytes;
      if (tooLong || (mayEnd && engine.isFinished(this.id))) this.#endBody();
      // What was read opens the client's window again.
      this.#host.wake();
      // Where the length is wrong, whoever reads has just been told to stop.
      return this.#dead ? null : piece;
    }
    this.#readable = false;
    if (size === STREAM.blocked || size === 0) {
      if (mayEnd && engine.isFinished(this.id)) this.#endBody();
    } else {
      // The engine tells of a reset once: whoever reads first hears of it.
      this.onAborted("reset");
    }
    return null;
  }

  /** The reader wants no more of the body. */
  stop(): void {
    this.onReadable = null;
    if (this.#bodyState !== "open" || this.#dead) return;
    this.#bodyState = "broken";
    this.#host.engine.stopReading(this.id, H3_CODE.noError);
    this.#host.wake();
  }

  /** Writes an informational head. `section` is only read during the call. */
  sendInformational(section: Uint8Array): void {
    assert(!this.#headSent, "informational heads come before the final one");
    if (this.#dead) return;
    this.#write(section, 0, section.length, SECTION.head, false);
  }

  /** Writes the final head. `section` is only read during the call. */
  sendHead(section: Uint8Array, fin: boolean): void {
    assert(!this.#headSent, "a response has one final head");
    if (this.#dead) return;
    this.#headSent = true;
    this.#host.answered(this);
    this.#write(section, 0, section.length, SECTION.head, fin);
  }

  /** Writes a piece of the body, which is only read during the call; with `last` it ends. False: no more until `onRoom`. */
  sendBody(piece: Uint8Array, last: boolean = false): boolean {
    return this.sendPart(piece, 0, piece.length, last);
  }

  /** As `sendBody`, for the piece `bytes[at..end)`. */
  sendPart(bytes: Uint8Array, at: number, end: number, last: boolean): boolean {
    assert(this.#headSent || this.#dead, "a body comes after its head");
    if (end > at || last) this.#write(bytes, at, end, "body", last);
    return !this.blocked && !this.#dead;
  }

  /** Writes trailers and ends the response. */
  sendTrailers(section: Uint8Array): void {
    this.#write(section, 0, section.length, SECTION.trailers, true);
  }

  /** Ends the response. */
  end(): void {
    this.#write(NOTHING, 0, 0, "body", true);
  }

  /** Ends the stream now, both ways, with an HTTP/3 code. Idempotent. */
  reset(code: number): void {
    if (this.#dead) return;
    this.#host.engine.resetStream(this.id, code);
    this.#die();
    this.#host.wake();
  }

  /** From the session: body bytes can be read. quiche lets DATA pass behind trailers where none came before (RFC 9114 4.1). */
  onData(): void {
    if (this.trailers !== null) return this.onMalformed("body-after-trailers");
    if (this.#bodyState !== "open") return;
    this.#readable = true;
    this.onReadable?.();
  }

  /** From the session: fields after the body, checked. The stream's end is told after them. */
  onTrailers(section: FieldSection): void {
    this.trailers = section;
  }

  /** From the session: the client has ended its side. Bytes that were not pulled yet still come first. */
  onFinished(): void {
    if (this.#bodyState !== "open") return;
    if (this.#host.engine.isFinished(this.id)) this.#endBody();
    else this.#readable = true;
    if (!this.#dead) this.onReadable?.();
  }

  /** From the session: the client reset the stream, stopped reading, broke the rules, takes nothing, or is gone. */
  onAborted(reason: AbortReason): void {
    if (this.#dead) return;
    const { owner } = this;
    if (reason !== "closed") this.#host.engine.resetStream(this.id, ABORT_CODES[reason]);
    this.#die();
    owner?.onAborted(reason);
    this.#host.aborted(reason);
  }

  /** Body bytes have come that nobody has pulled. */
  get hasUnread(): boolean {
    return this.#readable && this.#bodyState === "open";
  }

  /** From the session, now and then: for how long nothing of what waits has been taken, as far as it has looked. */
  stalledMs(nowMs: number): number {
    if (this.#taken !== this.#takenSeen) {
      this.#takenSeen = this.#taken;
      this.#takenSeenMs = nowMs;
    }
    return nowMs - this.#takenSeenMs;
  }

  /** From the session, or found here: the request breaks a rule behind its head. */
  onMalformed(reason: MalformedReason): void {
    this.fault ??= reason;
    this.onAborted("malformed");
  }

  /** From the session: has the client given up, without anybody having noticed by reading or writing? */
  checkAborted(): void {
    if (this.#dead) return;
    const { engine } = this.#host;
    const writable = engine.checkWritable(this.id);
    // Gone: it was stopped before its request was read to the end, and with that the engine let go of it.
    if (writable === STREAM.stopped || writable === STREAM.gone) this.onAborted("stopped");
    else if (this.#readable && this.#bodyState === "open" && engine.isReset(this.id)) this.onAborted("reset");
  }

  /**
   * From the session: the connection may take more. The engine is asked first, for some 70 ns: to offer a head only to have it refused
   * costs many times that, and any packet of a client's makes all its blocked streams try.
   */
  retryOutput(): void {
    const room = this.#host.engine.roomOf(this.id);
    if (room >= 0 && room <= this.#refusedRoom) return;
    this.#offerWaiting();
    if (this.blocked) this.#refusedRoom = this.#host.engine.roomOf(this.id);
  }

  #offerWaiting(): void {
    for (let next = this.#queue.next; next !== null; next = this.#queue.next) {
      const { bytes, kind, fin } = next;
      const taken = this.#offer(bytes, 0, bytes.length, kind, fin);
      // The stream may be over with it, and then nothing waits any more.
      if (taken < 0 || this.#dead) return;
      this.#queue.take(taken);
      this.#host.buffers.remove(taken);
      if (taken < bytes.length) return;
    }
    if (!this.#dead && !this.#finished) this.owner?.onRoom();
  }

  /** What is not taken at once is copied to wait: it lies in a writer's memory or a socket's. */
  #write(bytes: Uint8Array, at: number, end: number, kind: SectionKind | "body", fin: boolean): void {
    assert(!this.#finished, "nothing is written after the end of a response");
    if (this.#dead) return;
    const taken = this.blocked ? -1 : this.#offer(bytes, at, end, kind, fin);
    this.#host.wake();
    if (this.#dead || (taken >= end - at && taken >= 0)) return;
    const restAt = at + Math.max(0, taken);
    if (!this.blocked) this.#refusedRoom = -1;
    this.#queue.push(copyOf(bytes, restAt, end), kind, fin);
    this.#host.buffers.add(end - restAt);
    if (this.#queue.waitingBytes > LIMITS.streamBufferBytesMax) this.onAborted("overfull");
    else this.#host.block(this);
  }

  /** Bytes taken of `bytes[at..end)` (all of a section or none), -1 for none now. A section is a whole array. */
  #offer(bytes: Uint8Array, at: number, end: number, kind: SectionKind | "body", fin: boolean): number {
    const { engine } = this.#host;
    const isBody = kind === "body";
    const result = isBody ? engine.sendBody(this.id, bytes, at, end, fin) : this.#offerSection(bytes, kind, fin);
    if (result === STREAM.blocked) return -1;
    if (result < 0) {
      this.onAborted(result === STREAM.stopped ? "stopped" : "reset");
      return -1;
    }
    if (isBody) this.#countSent(result);
    const taken = isBody ? result : end - at;
    this.#taken += 1;
    this.#host.delivered();
    if (fin && taken === end - at) this.#finish();
    return taken;
  }

  #countSent(bytes: number): void {
    this.sentBytes += bytes;
    if (this.bodies !== null) this.bodies.responseBytes += bytes;
  }

  /** The engine wants to know whether a head is the stream's first. */
  #offerSection(bytes: Uint8Array, kind: SectionKind, fin: boolean): number {
    const actual = kind === SECTION.head && this.#headOffered ? SECTION.additionalHead : kind;
    const result = this.#host.engine.sendSection(this.id, bytes, actual, fin);
    if (result >= 0) this.#headOffered = true;
    return result;
  }

  #endBody(): void {
    const short = this.#expectedBytes >= 0 && this.receivedBytes !== this.#expectedBytes;
    if (!short) {
      this.#bodyState = "ended";
      return;
    }
    // RFC 9114 4.1.2: a body that differs from its Content-Length is malformed. Some resets also arrive looking like an end.
    this.onMalformed("body-length");
  }

  #finish(): void {
    this.#finished = true;
    // RFC 9114 4.1: an answer may end before the request has; the rest of the request is not wanted then.
    if (this.#bodyState === "open") this.#host.engine.stopReading(this.id, H3_CODE.noError);
    const { owner } = this;
    this.#die();
    owner?.onSent();
  }

  #die(): void {
    this.#dead = true;
    if (this.#bodyState === "open") this.#bodyState = "broken";
    this.#host.buffers.remove(this.#queue.waitingBytes);
    this.#queue.clear();
    this.#host.forget(this);
  }
}
