/** One request over a native HTTP/1.1 connection, from its head to the last byte of its answer. */
import { ProxyError } from "../../core/error.ts";
import type { Rostered } from "../../core/roster.ts";
import type { FieldSection } from "../../core/fields.ts";
import type { ExchangeSink } from "../../h1/connection.ts";
import { type H1Fault, H1_FAULTS } from "../../h1/faults.ts";
import type { ResponseSink, UpstreamCall, UpstreamRequest } from "../../proxy/ports.ts";
import { type AttemptProgress, CUT_OFF, NOT_SENT, UNANSWERED, UpstreamFailure } from "../../proxy/upstream-failure.ts";
import type { TimedCall } from "./deadlines.ts";
import type { H1Link } from "./h1-link.ts";

/** What calls report to. */
export interface H1CallOwner {
  nowMs(): number;
  /** The call needs a connection that was never used before. */
  startFresh(call: H1Call): void;
  /** The call is over. */
  forget(call: H1Call): void;
}

/** Methods that may be sent again when nobody knows whether the first was processed (RFC 9110 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** A call. */
export class H1Call implements UpstreamCall, TimedCall, Rostered, ExchangeSink {
  readonly request: UpstreamRequest;
  /** When something last moved. */
  movedMs: number;
  /** The head has come: from here on the idle time counts. */
  answered = false;
  rosterPlace = -1;
  readonly #sink: ResponseSink;
  readonly #owner: H1CallOwner;
  #link: H1Link | null = null;
  /** A link that is being made for this call. */
  #coming: H1Link | null = null;
  #broken: ProxyError | null = null;
  #retried = false;
  #full = false;
  #over = false;

  constructor(request: UpstreamRequest, sink: ResponseSink, owner: H1CallOwner) {
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
    return this.#link !== null && this.request.body?.state === "open" && !this.#link.machine.isFull;
  }

  /** A link is being made for this call; it has nothing to do if the call is given up first. */
  awaitLink(link: H1Link): void {
    if (this.#link === null && !this.#over) this.#coming = link;
  }

  /** The link is open and this call's. */
  begin(link: H1Link): void {
    this.#link = link;
    this.#coming = null;
    this.onMoved();
    const { body } = this.request;
    link.machine.start(this.request, body !== null, this);
    if (body === null) return;
    body.onReadable = () => this.#pump();
    this.#pump();
  }

  resume(): void {
    if (!this.#full || this.#over) return;
    this.#full = false;
    this.onMoved();
    this.#link?.resume();
  }

  cancel(): void {
    if (this.#over) return;
    this.#finish();
    this.#coming?.close();
    this.#link?.machine.cancel();
    this.#link?.close();
  }

  /** The deadline is over. */
  expire(error: ProxyError): void {
    if (this.#over) return;
    const progress = this.#progress;
    this.cancel();
    this.#sink.onFailure(UpstreamFailure.of(error, progress));
  }

  onMoved(): void {
    this.movedMs = this.#owner.nowMs();
  }

  /** Something came. Before the head is whole it buys no time, or a head that drips would never be late. */
  onReceived(): void {
    if (this.answered) this.onMoved();
  }

  /** The connection could not be made. */
  onConnectFailed(error: ProxyError): void {
    this.#fail(error, NOT_SENT);
  }

  /** Why the connection is about to be reported as closed. */
  noteBreak(error: ProxyError | null): void {
    this.#broken = error;
  }

  onInformational(status: number, section: FieldSection): void {
    if (!this.#over) this.#sink.onInformational(status, section);
  }

  onHead(status: number, section: FieldSection): void {
    this.answered = true;
    this.onMoved();
    if (!this.#over) this.#sink.onHead(status, section, this.#link?.machine.receivedProtocol ?? "1.1");
  }

  onData(bytes: Uint8Array, at: number, end: number): void {
    if (this.#over) return;
    if (this.#sink.onBody(bytes, at, end, false) || this.#full) return;
    this.#full = true;
    this.#link?.pause();
  }

  onTrailers(section: FieldSection): void {
    if (!this.#over) this.#sink.onTrailers(section);
  }

  onWritable(): void {
    this.#pump();
  }

  onEnd(): void {
    const over = this.#over;
    this.#finish();
    // RFC 9112 9.6: an answer may end before its request; nobody wants the rest of the request then.
    const { body } = this.request;
    if (!over && body?.state === "open") body.stop();
    this.#link?.resume();
    this.#link?.release();
    if (!over) this.#sink.onEnd();
  }

  onError(fault: H1Fault, bytesReceived: boolean): void {
    if (this.#over) return;
    const link = this.#link;
    const progress = bytesReceived ? CUT_OFF : this.#progress;
    link?.close();
    if (!bytesReceived && H1_FAULTS[fault] === "closed" && this.#mayRepeat(link)) {
      this.#retried = true;
      this.#link = null;
      this.#broken = null;
      this.#owner.startFresh(this);
      return;
    }
    this.#fail(this.#broken ?? faultError(fault, this.request.backend.address), progress);
  }

  /** A connection that had idled may have been closed by the backend while the request was on its way. */
  #mayRepeat(link: H1Link | null): boolean {
    if (this.#retried || link === null || link.machine.exchanges < 2 || link.machine.bodyBytes > 0) return false;
    return link.machine.sentBytes === 0 || IDEMPOTENT.has(this.request.method);
  }

  #pump(): void {
    const { body } = this.request;
    const machine = this.#link?.machine;
    if (this.#over || body === null || machine === undefined || machine.state !== "busy") return;
    let room = !machine.isFull;
    while (room) {
      const piece = body.pull();
      if (piece === null) break;
      this.onMoved();
      room = machine.sendBody(piece);
    }
    if (room && body.state === "ended") {
      body.onReadable = null;
      machine.endBody(body.trailers);
    } else if (body.state === "broken") {
      body.onReadable = null;
    }
    this.#link?.flush();
  }

  /** How far it has come, but for an answer of which no whole head is there. */
  get #progress(): AttemptProgress {
    if (this.answered) return CUT_OFF;
    return this.#link === null || this.#link.machine.sentBytes === 0 ? NOT_SENT : UNANSWERED;
  }

  #fail(error: ProxyError, progress: AttemptProgress): void {
    if (this.#over) return;
    this.#finish();
    this.#sink.onFailure(UpstreamFailure.of(error, progress));
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    const { body } = this.request;
    if (body !== null) body.onReadable = null;
    this.#owner.forget(this);
  }
}

/** A fault of the machine as an error of ours. */
function faultError(fault: H1Fault, where: string): ProxyError {
  const closed = H1_FAULTS[fault] === "closed";
  return closed
    ? new ProxyError("UPSTREAM_RESET", `${where} closed the connection (${fault})`)
    : new ProxyError("UPSTREAM_PROTOCOL", `${where} broke HTTP/1.1 (${fault})`);
}
