/** One request over a native HTTP/2 connection, from its head to the last byte of its answer. */
import { ProxyError } from "../../core/error.ts";
import type { Counters } from "../../core/counters.ts";
import type { Rostered } from "../../core/roster.ts";
import type { FieldSection } from "../../core/fields.ts";
import { H2_CODE } from "../../h2/codes.ts";
import type { H2Stream, H2StreamSink } from "../../h2/stream.ts";
import type { ResponseSink, Upstream, UpstreamCall, UpstreamRequest } from "../../proxy/ports.ts";
import {
  type AttemptProgress,
  CUT_OFF,
  NOT_SENT,
  REFUSED,
  UNANSWERED,
  UpstreamFailure,
} from "../../proxy/upstream-failure.ts";
import type { TimedCall } from "./deadlines.ts";
import type { H2Link } from "./h2-link.ts";

/** What calls report to. */
export interface H2CallOwner {
  readonly counters: Counters;
  nowMs(): number;
  /** Surely nothing of the call was processed: it may go on another connection. False: there is none to be had. */
  repeat(call: H2Call): boolean;
  /** The call is over. */
  forget(call: H2Call): void;
}

/** Other connections a call is moved to at most, when the one it was on refused it. */
const MOVES_MAX = 1;

/** A call. */
export class H2Call implements UpstreamCall, TimedCall, Rostered, H2StreamSink {
  readonly request: UpstreamRequest;
  /** When something last moved. */
  movedMs: number;
  answered = false;
  rosterPlace = -1;
  readonly #sink: ResponseSink;
  readonly #owner: H2CallOwner;
  #link: H2Link | null = null;
  #stream: H2Stream | null = null;
  /** A piece of the request body that the connection took in part. */
  #piece: Uint8Array | null = null;
  #pieceAt = 0;
  #pulled = false;
  #bodyEnded = false;
  /** Bytes given to the receiver for which the backend has no credit yet. */
  #owedBytes = 0;
  #full = false;
  #moves = 0;
  #over = false;
  /** Another transport has taken the call over. */
  #heir: UpstreamCall | null = null;
  #cancelled = false;

  constructor(request: UpstreamRequest, sink: ResponseSink, owner: H2CallOwner) {
    this.request = request;
    this.#sink = sink;
    this.#owner = owner;
    this.movedMs = owner.nowMs();
  }

  /** True while the receiver has no room: the backend is not the one who is slow. */
  get waitsForReceiver(): boolean {
    return this.#full;
  }

  /** The connection has room for a body that the client does not send. */
  get waitsForClient(): boolean {
    return this.#stream !== null && this.request.body?.state === "open" && this.#piece === null;
  }

  /** It is on no connection yet. */
  get isUnplaced(): boolean {
    return this.#link === null;
  }

  /** Opens the stream on a connection, or finds that it never can be. False: the connection takes none now. */
  begin(link: H2Link, nowMs: number = this.#owner.nowMs()): boolean {
    const { body, backend } = this.request;
    const scheme = backend.scheme === "https" ? "https" : "http";
    const { method, path, authority, fields } = this.request;
    this.movedMs = nowMs;
    const line = { method, scheme, authority, path };
    if (link.connection.isTooLarge(line, fields)) {
      this.#refuseHead();
      return true;
    }
    const stream = link.connection.openLine(line, fields, body !== null, this, this.movedMs);
    if (stream === null) return false;
    this.#link = link;
    this.#stream = stream;
    link.idleSinceMs = this.movedMs;
    if (body !== null) {
      body.onReadable = () => this.#pump();
      this.#pump();
    }
    link.wake();
    return true;
  }

  /** The backend turned out not to speak HTTP/2 before anything was sent: another transport takes over. */
  handOver(upstream: Upstream): void {
    if (this.#over) return;
    this.#finish();
    const heir = upstream.start(this.request, this.#sink);
    // The client may have been found gone, or its body too large, while its body was read.
    if (this.#cancelled) heir.cancel();
    else this.#heir = heir;
  }

  resume(): void {
    this.#heir?.resume();
    if (!this.#full || this.#over) return;
    this.#full = false;
    this.movedMs = this.#owner.nowMs();
    this.#giveCredit();
  }

  cancel(): void {
    this.#cancelled = true;
    this.#heir?.cancel();
    if (this.#over) return;
    this.#finish();
    if (this.#stream !== null) this.#link?.connection.reset(this.#stream);
    this.#link?.wake();
  }

  /** The deadline is over. */
  expire(error: ProxyError): void {
    if (this.#over) return;
    const progress = this.#progress;
    this.cancel();
    this.#sink.onFailure(UpstreamFailure.of(error, progress));
  }

  /** No connection could be made, or none was free. */
  onUnplaced(error: ProxyError): void {
    this.#fail(error, NOT_SENT);
  }

  onInformational(status: number, section: FieldSection): void {
    this.#heard();
    if (!this.#over) this.#sink.onInformational(status, section);
  }

  onHead(status: number, section: FieldSection): void {
    this.#heard();
    this.answered = true;
    if (!this.#over) this.#sink.onHead(status, section, "2");
  }

  onData(bytes: Uint8Array, at: number, end: number, last: boolean): void {
    if (this.#over) {
      if (this.#stream !== null) this.#link?.connection.consumed(this.#stream, end - at);
      return;
    }
    this.#heard();
    this.#owedBytes += end - at;
    this.#full = !this.#sink.onBody(bytes, at, end, last);
    if (!this.#full) this.#giveCredit();
  }

  onTrailers(section: FieldSection): void {
    if (!this.#over) this.#sink.onTrailers(section);
  }

  onEnd(): void {
    if (this.#over) return;
    this.#giveCredit();
    const { body } = this.request;
    const unfinished = body !== null && !this.#bodyEnded;
    this.#finish();
    if (unfinished) this.#stopRequest();
    this.#sink.onEnd();
  }

  onReset(code: number, surelyNotProcessed: boolean): void {
    if (this.#over) return;
    if (code === H2_CODE.noError && this.#isWhole) {
      this.#owner.counters.h2EndsByReset += 1;
      return this.onEnd();
    }
    const { address } = this.request.backend;
    const untouched = surelyNotProcessed && !this.#pulled && !this.answered;
    if (untouched && this.#moves < MOVES_MAX) {
      this.#moves += 1;
      this.#link = null;
      this.#stream = null;
      if (this.#owner.repeat(this)) return;
    }
    const failure = this.#link?.failureError ?? null;
    const fault = this.#stream?.fault ?? null;
    const reset =
      fault === null
        ? new ProxyError("UPSTREAM_RESET", `${address} reset the stream (code ${code})`)
        : new ProxyError("UPSTREAM_PROTOCOL", `${address} broke HTTP/2 (${fault})`);
    this.#fail(failure ?? reset, surelyNotProcessed && !this.answered ? REFUSED : this.#progress);
  }

  onWritable(): void {
    this.#pump();
    this.#link?.wake();
  }

  /**
   * All that the Content-Length promised is there, and the stream alone is over. Node's server resets a stream instead of ending it when
   * its window is used up with the last byte (20.20.2); without a length nothing tells such an answer from one that was cut.
   */
  get #isWhole(): boolean {
    return this.#stream?.bodyBytesLeft === 0 && this.#link?.connection.failure === null;
  }

  /** RFC 9113 8.1: an answer may end before its request; nobody wants the rest of the request then. */
  #stopRequest(): void {
    if (this.#stream !== null) this.#link?.connection.reset(this.#stream);
    this.request.body?.stop();
    this.#link?.wake();
  }

  #refuseHead(): void {
    this.#owner.counters.h2RequestsTooLarge += 1;
    const why = `the request's head is larger than ${this.request.backend.address} takes`;
    this.#fail(new ProxyError("REQUEST_HEAD_TOO_LARGE", why), NOT_SENT);
  }

  /** The time of what came last is read once for all that came with it. */
  #heard(): void {
    this.movedMs = this.#link?.heardMs ?? this.movedMs;
  }

  #giveCredit(): void {
    if (this.#owedBytes === 0 || this.#stream === null || this.#link === null) return;
    this.#link.connection.consumed(this.#stream, this.#owedBytes);
    this.#owedBytes = 0;
    this.#link.wake();
  }

  #pump(): void {
    const { body } = this.request;
    const stream = this.#stream;
    const connection = this.#link?.connection;
    if (this.#over || this.#bodyEnded || body === null || stream === null || connection === undefined) return;
    while (!stream.isReset) {
      this.#piece ??= body.pull();
      if (this.#piece === null) break;
      this.#pulled = true;
      const last = body.state === "ended" && body.trailers === null;
      const taken = connection.send(stream, this.#piece, this.#pieceAt, this.#piece.length, last);
      // Pieces wait in parts for a backend that gives credit by the byte: slow, and not late.
      if (taken > 0) this.movedMs = this.#owner.nowMs();
      this.#pieceAt += taken;
      if (this.#pieceAt < this.#piece.length) break;
      this.#piece = null;
      this.#pieceAt = 0;
      if (last) return this.#endBody();
    }
    if (this.#piece === null && body.state === "ended" && !stream.isReset) {
      if (body.trailers === null) connection.send(stream, NOTHING, 0, 0, true);
      else connection.sendTrailers(stream, body.trailers);
      this.#endBody();
    }
    this.#link?.wake();
  }

  #endBody(): void {
    this.#bodyEnded = true;
    if (this.request.body !== null) this.request.body.onReadable = null;
    this.#link?.wake();
  }

  get #progress(): AttemptProgress {
    if (this.answered) return CUT_OFF;
    return this.#stream === null ? NOT_SENT : UNANSWERED;
  }

  #fail(error: ProxyError, progress: AttemptProgress): void {
    if (this.#over) return;
    this.#finish();
    this.#sink.onFailure(UpstreamFailure.of(error, progress));
  }

  #finish(): void {
    this.#over = true;
    this.#piece = null;
    if (this.request.body !== null) this.request.body.onReadable = null;
    this.#owner.forget(this);
  }
}

const NOTHING = new Uint8Array(0);
