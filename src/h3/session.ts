/** One HTTP/3 session: the engine's events become request streams; blocked output goes on when there is room. */
import type { Counters } from "../core/counters.ts";
import { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import type { BufferAccount } from "../guard/buffer-account.ts";
import type { SessionDriver } from "../quic/connection.ts";
import { type EngineSession, EVENT, type EventKind } from "../quic/engine.ts";
import { H3_CODE } from "./codes.ts";
import { type HeadLimits, Malformed, readRequestHead, type RequestHead } from "./head.ts";
import { RequestStream, type StreamHost } from "./stream.ts";
import { STREAM_ID_STEP, StreamIds } from "./stream-ids.ts";
import { readTrailers } from "./trailers.ts";

/** Whoever answers requests. */
export interface RequestHandler {
  onRequest(stream: RequestStream, head: RequestHead): void;
  /** A head that breaks the rules; `answer` says whether the client gets a 400, a 431 or a reset. */
  onMalformed(stream: RequestStream, malformed: Malformed): void;
}

/** What a session needs from its connection. */
export interface SessionHost {
  readonly counters: Counters;
  /** Of the connection's output that waits for its client. */
  readonly buffers: BufferAccount;
  /** Something is to be sent. */
  wake(): void;
  /** There is more to do than one turn allows. */
  again(): void;
  /** Close the connection with an HTTP/3 code. */
  close(code: number): void;
}

/** Responses on their way after which those that have arrived are sorted out, at some 10 ns each. */
const LEAVING_SORT = 64;

/** The streams of one connection. */
export class Http3Session implements SessionDriver, StreamHost {
  readonly engine: EngineSession;
  readonly #host: SessionHost;
  readonly #handler: RequestHandler;
  readonly #limits: HeadLimits;
  readonly #streams = new Map<number, RequestStream>();
  #blocked: RequestStream[] = [];
  /** Streams whose response has not begun. */
  #unanswered = 0;
  /** Streams whose response the engine has taken and the client, as far as is known, has not. The client's stream limit bounds it. */
  #leaving: number[] = [];
  #leavingSort = LEAVING_SORT;
  /** Of `EngineSession.aborts`, when streams were last asked. */
  #abortsSeen = 0;
  /** A stream began since then. */
  #begun = false;
  #draining = false;
  /** Streams whose request has begun, or has ended before it could. */
  readonly #ids = new StreamIds();
  #goawayId = Infinity;
  #gone = false;

  constructor(engine: EngineSession, host: SessionHost, handler: RequestHandler, limits: HeadLimits) {
    this.engine = engine;
    this.#host = host;
    this.#handler = handler;
    this.#limits = limits;
  }

  get buffers(): BufferAccount {
    return this.#host.buffers;
  }

  get awaitsAnswer(): boolean {
    return this.#unanswered > 0 && this.#unanswered === this.#streams.size;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  get deadlineMs(): number {
    return Infinity;
  }

  /** Never called: there is no deadline. */
  onTime(_nowMs: number): void {
    return;
  }

  process(): void {
    let events = 0;
    while (events < LIMITS.eventsPerConnectionTurnMax) {
      const kind = this.engine.poll();
      if (kind === EVENT.none) break;
      events += 1;
      if (kind === EVENT.failed) {
        this.#host.wake();
        break;
      }
      this.#onEvent(kind);
    }
    if (events === LIMITS.eventsPerConnectionTurnMax) this.#host.again();
    this.#retryBlocked();
    this.#checkAborts();
    this.#closeIfDrained();
  }

  /** RFC 9114 5.2: says which requests are still taken; every later one is rejected and may be sent elsewhere. */
  drain(): void {
    if (this.#draining || this.#gone) return;
    this.#draining = true;
    this.#goawayId = this.#ids.highest + STREAM_ID_STEP;
    this.engine.sendGoaway(this.#goawayId);
    this.#host.wake();
    this.#closeIfDrained();
  }

  abandon(): void {
    this.#gone = true;
    for (const stream of [...this.#streams.values()]) stream.onAborted("closed");
  }

  wake(): void {
    this.#host.wake();
  }

  again(): void {
    this.#host.again();
  }

  block(stream: RequestStream): void {
    if (!this.#blocked.includes(stream)) this.#blocked.push(stream);
  }

  answered(): void {
    this.#unanswered -= 1;
  }

  forget(stream: RequestStream): void {
    if (!this.#streams.delete(stream.id)) return;
    if (!stream.headSent) this.#unanswered -= 1;
    if (stream.sent && this.#leaving.push(stream.id) >= this.#leavingSort) this.#sortLeaving();
    if (this.#draining) this.#closeIfDrained();
  }

  #onEvent(kind: EventKind): void {
    const { streamId } = this.engine;
    if (kind === EVENT.fields) {
      this.#onFields(streamId);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#onStranger(streamId, kind);
      return;
    }
    if (kind === EVENT.data) this.#onData(stream);
    else if (kind === EVENT.finished) stream.onFinished();
    else if (kind === EVENT.reset) stream.onAborted("reset");
  }

  /**
   * The end of a stream that is none of ours: it is over, or its request never came. In the latter case nobody would end our side of it,
   * and until that has an end too the engine keeps the stream and the client is short of one.
   */
  #onStranger(streamId: number, kind: EventKind): void {
    if ((kind !== EVENT.finished && kind !== EVENT.reset) || this.#ids.has(streamId)) return;
    this.#ids.note(streamId);
    this.engine.resetStream(streamId, kind === EVENT.reset ? H3_CODE.requestCancelled : H3_CODE.requestIncomplete);
    this.#host.wake();
  }

  /** quiche refuses DATA behind trailers where DATA came before them, too, and else lets it pass (RFC 9114 4.1). */
  #onData(stream: RequestStream): void {
    if (stream.trailers === null) stream.onData();
    else stream.onMalformed("body-after-trailers");
  }

  #onFields(streamId: number): void {
    const known = this.#streams.get(streamId);
    if (known !== undefined) {
      this.#onTrailers(known);
      return;
    }
    this.#ids.note(streamId);
    if (streamId >= this.#goawayId) {
      this.#host.counters.requestsRejectedDraining += 1;
      this.engine.resetStream(streamId, H3_CODE.requestRejected);
      this.#host.wake();
      return;
    }
    this.#begin(streamId, this.engine.moreFrames);
  }

  /** A second section on a stream; its end follows. */
  #onTrailers(stream: RequestStream): void {
    const section = this.#takeSection();
    const malformed = section === null ? new Malformed("section-too-large") : readTrailers(section);
    if (section !== null && malformed === null) stream.onTrailers(section);
    else stream.onMalformed(malformed?.reason ?? "section-too-large");
  }

  /** The section of the last event; null when it was too large. */
  #takeSection(): FieldSection | null {
    const { section, sectionBytes } = this.engine;
    return section === null ? null : FieldSection.from(section, sectionBytes);
  }

  #begin(streamId: number, hasBody: boolean): void {
    this.#host.counters.requestsStarted += 1;
    const head = this.#readHead(this.#takeSection(), hasBody);
    const expectedBytes = head instanceof Malformed ? -1 : head.contentLengthBytes;
    const stream = new RequestStream(this, streamId, { hasBody, expectedBytes });
    this.#streams.set(streamId, stream);
    this.#unanswered += 1;
    this.#begun = true;
    if (head instanceof Malformed) this.#handler.onMalformed(stream, head);
    else this.#handler.onRequest(stream, head);
  }

  #readHead(section: FieldSection | null, hasBody: boolean): RequestHead | Malformed {
    if (section === null) return new Malformed("section-too-large");
    const head = readRequestHead(section, this.#limits);
    if (head instanceof Malformed || hasBody || head.contentLengthBytes <= 0) return head;
    // RFC 9114 4.1.2: a body was promised and none follows.
    return new Malformed("body-length");
  }

  /** Any datagram may have opened a window; each blocked stream tries once. There are at most as many as streams. */
  #retryBlocked(): void {
    if (this.#blocked.length === 0) return;
    const blocked = this.#blocked;
    this.#blocked = [];
    for (const stream of blocked) {
      stream.retryOutput();
      if (stream.blocked) this.block(stream);
    }
    // Whoever was first goes last next time, so that one stream cannot have every window.
    const [first] = this.#blocked;
    if (this.#blocked.length > 1 && first !== undefined) this.#blocked.push(...this.#blocked.splice(0, 1));
  }

  /**
   * quiche has no event for STOP_SENDING, nor for a reset behind unread bytes, but counts both. When the count has changed, or may have
   * been changed by a stream whose head came only now, each stream is asked: two calls of some 10 ns.
   */
  #checkAborts(): void {
    const aborts = this.engine.aborts();
    const isNews = aborts !== this.#abortsSeen || (this.#begun && aborts > 0);
    this.#abortsSeen = aborts;
    this.#begun = false;
    if (!isNews) return;
    for (const stream of this.#streams.values()) stream.checkAborted();
  }

  /** A close cuts off whatever the engine has not sent or the network has lost: it comes when every response has arrived. */
  #closeIfDrained(): void {
    if (!this.#draining || this.#gone || this.#streams.size > 0) return;
    this.#sortLeaving();
    if (this.#leaving.length === 0) this.#host.close(H3_CODE.noError);
  }

  /** The engine lets go of a stream when the client has confirmed its end; then, and when the client stops reading, it is over. */
  #sortLeaving(): void {
    this.#leaving = this.#leaving.filter((id) => this.engine.checkWritable(id) === 0);
    this.#leavingSort = this.#leaving.length + LEAVING_SORT;
  }
}
