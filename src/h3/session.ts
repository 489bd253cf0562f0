/** One HTTP/3 session: the engine's events become request streams; blocked output goes on when there is room. */
import { ById } from "../core/by-id.ts";
import { LIMITS } from "../core/limits.ts";
import type { BufferAccount } from "../guard/buffer-account.ts";
import type { SessionDriver } from "../quic/connection-host.ts";
import { type EngineSession, EVENT, type EventKind } from "../quic/engine.ts";
import { Batch } from "./batch.ts";
import { H3_CODE } from "./codes.ts";
import { Departure } from "./departure.ts";
import { Deliveries } from "./deliveries.ts";
import { Malformed } from "./head.ts";
import { HeadWatch } from "./head-watch.ts";
import { IdleClock } from "./idle-clock.ts";
import { PeerBudget } from "./peer-budget.ts";
import { takeHead, takeTrailers } from "./sections.ts";
import type { RequestHandler, SessionHost, SessionRules } from "./session-host.ts";
import { RequestStream } from "./stream.ts";
import { type AbortReason, isClientsDoing, type StreamHost } from "./stream-host.ts";
import { StreamIds } from "./stream-ids.ts";

/** The streams of one connection. */
export class Http3Session implements SessionDriver, StreamHost {
  readonly engine: EngineSession;
  readonly #host: SessionHost;
  readonly #handler: RequestHandler;
  readonly #rules: SessionRules;
  /** Streams whose request has begun, or has ended before it could. */
  readonly #ids = new StreamIds();
  readonly #heads: HeadWatch;
  readonly #deliveries: Deliveries;
  readonly #budget: PeerBudget;
  readonly #batch: Batch;
  readonly #streams = new ById<RequestStream>();
  /** Streams whose response has not begun. */
  #unanswered = 0;
  /** Of `EngineSession.aborts`, when streams were last asked. */
  #abortsSeen = 0;
  /** A stream began since then. */
  #begun = false;
  /** Requests so far. */
  #requests = 0;
  readonly #idle: IdleClock;
  readonly #departure: Departure;
  #gone = false;

  constructor(engine: EngineSession, host: SessionHost, handler: RequestHandler, rules: SessionRules) {
    const { nowMs, counters } = host;
    this.engine = engine;
    this.#host = host;
    this.#handler = handler;
    this.#rules = rules;
    this.#heads = new HeadWatch(engine, this.#ids, rules.streamsPerConnectionMax, rules.requestHeadMs, nowMs);
    this.#deliveries = new Deliveries(engine, counters, rules.clientSendMs, nowMs);
    this.#budget = new PeerBudget(rules, counters, nowMs);
    this.#batch = new Batch(engine);
    this.#departure = new Departure(engine);
    this.#idle = new IdleClock(rules.connectionIdleMs, nowMs);
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

  get unfinished(): number {
    return this.#streams.size + this.#deliveries.leaving();
  }

  get deadlineMs(): number {
    if (this.#gone) return Infinity;
    const deadlineMs = Math.min(this.#heads.deadlineMs, this.#deliveries.deadlineMs, this.#departure.deadlineMs);
    return this.#mayIdle ? Math.min(deadlineMs, this.#idle.deadlineMs) : deadlineMs;
  }

  onTime(nowMs: number): void {
    this.#endLateHeads(nowMs);
    if (this.#gone) return;
    if (this.#deliveries.sweep(nowMs)) this.#host.wake();
    if (this.#mayIdle && nowMs >= this.#idle.deadlineMs) this.#endIdle(nowMs);
    this.#advance(nowMs);
    this.#closeIfOver();
  }

  process(): void {
    if (this.#gone) return;
    this.#batch.begin();
    this.#idle.onBatch(this.#host.nowMs, this.#streams.size > 0);
    this.#takeEvents();
    // Before the answers that wait for room, or a long one would leave it none.
    this.#advance(this.#host.nowMs);
    this.#deliveries.retry();
    this.#checkAborts();
    this.#judgeBatch();
    this.#closeIfOver();
  }

  leave(atMs: number): void {
    if (!this.#gone) this.#departure.plan(atMs);
  }

  abandon(): void {
    this.#gone = true;
    for (const stream of this.#streams.list()) stream.onAborted("closed");
  }

  /** Ends the connection now: its client has asked for too much. What runs for it towards backends ends in the same breath. */
  #endOverloaded(reason: string): void {
    if (this.#gone) return;
    this.abandon();
    this.#host.close(H3_CODE.excessiveLoad, reason);
  }

  wake(): void {
    this.#host.wake();
  }

  again(): void {
    this.#host.again();
  }

  block(stream: RequestStream): void {
    this.#deliveries.block(stream, this.#host.nowMs);
  }

  answered(): void {
    this.#unanswered -= 1;
  }

  forget(stream: RequestStream): void {
    if (!this.#streams.delete(stream.id)) return;
    if (!stream.headSent) this.#unanswered -= 1;
    this.#idle.onEnd();
    if (stream.sent) this.#deliveries.leave(stream.id, this.#host.nowMs);
    this.#closeIfOver();
  }

  received(): void {
    this.#batch.brought = true;
  }

  delivered(): void {
    this.#budget.onSent();
  }

  aborted(reason: AbortReason): void {
    if (reason === "overfull") this.#host.counters.streamBuffersOverfull += 1;
    if (!isClientsDoing(reason) || this.#gone) return;
    if (!this.#budget.onReset(this.#host.nowMs)) this.#endOverloaded("too many requests were given up or broken");
  }

  #takeEvents(): void {
    let events = 0;
    while (events < LIMITS.eventsPerConnectionTurnMax && !this.#gone) {
      const kind = this.engine.poll();
      if (kind === EVENT.none) return;
      events += 1;
      if (kind === EVENT.failed) {
        this.#host.wake();
        return;
      }
      this.#batch.onEvent();
      this.#onEvent(kind);
    }
    if (!this.#gone) this.#host.again();
  }

  #onEvent(kind: EventKind): void {
    const { streamId } = this.engine;
    if (kind === EVENT.fields) {
      this.#batch.brought = true;
      this.#onFields(streamId);
      return;
    }
    if (kind === EVENT.other || kind === EVENT.goaway) return void (this.#batch.idleFrames += 1);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (kind !== EVENT.data && !this.#ids.has(streamId)) this.#onHeadless(streamId, kind);
      return;
    }
    if (kind === EVENT.data) stream.onData();
    else if (kind === EVENT.finished) stream.onFinished();
    else if (kind === EVENT.reset) stream.onAborted("reset");
    if (kind === EVENT.finished || stream.hasUnread) this.#batch.brought = true;
  }

  #onFields(streamId: number): void {
    const known = this.#streams.get(streamId);
    if (known !== undefined) {
      this.#onTrailers(known);
      return;
    }
    // A stream that is over has nothing more to say.
    if (this.#ids.has(streamId)) return;
    this.#heads.settle(streamId);
    if (this.#departure.refuses(streamId)) {
      this.#host.counters.requestsRejectedDraining += 1;
      this.engine.resetStream(streamId, H3_CODE.requestRejected);
      this.#host.wake();
      return;
    }
    this.#begin(streamId, this.engine.moreFrames);
  }

  /** A second section on a stream; its end follows. */
  #onTrailers(stream: RequestStream): void {
    const section = takeTrailers(this.engine);
    if (section instanceof Malformed) stream.onMalformed(section.reason);
    else stream.onTrailers(section);
  }

  #begin(streamId: number, hasBody: boolean): void {
    this.#host.counters.requestsStarted += 1;
    const head = takeHead(this.engine, hasBody, this.#rules);
    const expectedBytes = head instanceof Malformed ? -1 : head.contentLengthBytes;
    const stream = new RequestStream(this, streamId, { hasBody, expectedBytes });
    this.#streams.add(stream);
    this.#unanswered += 1;
    this.#begun = true;
    this.#requests += 1;
    if (head instanceof Malformed) {
      this.#handler.onMalformed(stream, head);
      this.aborted("malformed");
    } else {
      this.#handler.onRequest(stream, head);
    }
    if (this.#requests < this.#rules.requestsPerConnectionMax || this.#departure.isPlanned) return;
    this.#host.counters.connectionsOverRequests += 1;
    this.#departure.plan(this.#host.nowMs);
  }

  /** A stream that ends before its head is whole (RFC 9114 4.1): there is nobody to be answered. */
  #onHeadless(streamId: number, kind: EventKind): void {
    this.#heads.settle(streamId);
    this.#host.counters.requestHeadsBroken += 1;
    const code = kind === EVENT.finished ? H3_CODE.requestIncomplete : H3_CODE.requestCancelled;
    this.engine.resetStream(streamId, code);
    this.#host.wake();
    this.aborted(kind === EVENT.finished ? "malformed" : "reset");
  }

  /**
   * Heads that do not become whole are answered 408 where the engine lets us answer. Where it does not, for it knows no HTTP/3 stream yet,
   * the stream is reset with H3_REQUEST_CANCELLED: H3_REQUEST_INCOMPLETE would say that the client has ended it.
   */
  #endLateHeads(nowMs: number): void {
    for (const id of this.#heads.late(nowMs)) {
      this.#heads.settle(id);
      this.#host.counters.requestHeadsLate += 1;
      this.#host.counters.requestsStarted += 1;
      const stream = new RequestStream(this, id, { hasBody: true, expectedBytes: -1 });
      this.#streams.add(stream);
      this.#unanswered += 1;
      this.#handler.onMalformed(stream, new Malformed("head-late"));
      this.aborted("malformed");
      if (this.#gone) return;
    }
  }

  /**
   * quiche has no event for STOP_SENDING, nor for a reset behind unread bytes, but counts both. When the count has changed, or may have
   * been changed by a stream whose head came only now, each stream is asked: two calls of some 10 ns.
   */
  #checkAborts(): void {
    const { aborts } = this.engine;
    const isNews = aborts !== this.#abortsSeen || (this.#begun && aborts > 0);
    this.#abortsSeen = aborts;
    this.#begun = false;
    if (!isNews) return;
    for (const stream of this.#streams.list()) stream.checkAborted();
  }

  /** What has come is paid for, and heads that do not become whole are looked for. A turn without a new packet is a rest of the last. */
  #judgeBatch(): void {
    const batch = this.#batch;
    if (batch.packets === 0 || this.#gone) return;
    const { isUnexplained } = batch;
    batch.close();
    if (!batch.brought && isUnexplained) batch.brought = this.#hasUnread();
    const isFair = this.#budget.onBatch(batch, this.#host.nowMs);
    batch.forget();
    if (isFair) this.#heads.onBatch(this.#host.nowMs, isUnexplained);
    else this.#endOverloaded("too many packets or frames without a use");
  }

  /** Body bytes that the backend does not take yet are no fault of the client's. */
  #hasUnread(): boolean {
    return this.#streams.list().some((stream) => stream.hasUnread);
  }

  /** Nothing runs, and nothing is planned for its end: it may be idle for too long. */
  get #mayIdle(): boolean {
    return this.#streams.size === 0 && !this.#departure.isPlanned;
  }

  #endIdle(nowMs: number): void {
    this.#idle.restart(nowMs);
    // A response on its way is a request under way.
    if (!this.#deliveries.allArrived) return;
    this.#host.counters.connectionsIdle += 1;
    this.#departure.plan(nowMs);
  }

  #advance(nowMs: number): void {
    if (!this.#gone && this.#departure.advance(nowMs, this.#ids.highest)) this.#host.wake();
  }

  /** A close cuts off whatever the engine has not sent or the network has lost: it comes when every response has arrived. */
  #closeIfOver(): void {
    if (this.#gone || !this.#departure.isPlanned) return;
    if (this.#departure.mayClose(this.unfinished, this.#host.nowMs)) this.#host.close(H3_CODE.noError, "");
  }
}
