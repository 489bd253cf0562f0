/**
 * The way of one request, in phases:
 *
 *     admit -> route -> { balance -> prepare -> attempt -> judge } -> respond or fail -> record
 *
 * `record` runs always and once. Everything is synchronous from the datagram to the upstream's frame; what comes back comes as
 * calls from the upstream (`ResponseSink`) or from the client's stream (`StreamOwner`).
 */
import type { BackendSettings } from "../config/snapshot.ts";
import { NO_BACKEND, NONE_EXCLUDED } from "../balance/policy.ts";
import { ProxyError } from "../core/error.ts";
import type { FieldSection } from "../core/fields.ts";
import { H3_CODE } from "../h3/codes.ts";
import type { RequestHead } from "../h3/head.ts";
import type { RequestStream } from "../h3/stream.ts";
import type { AbortReason, StreamOwner } from "../h3/stream-host.ts";
import { matchRoute, NO_ROUTE } from "../route/match.ts";
import { Attempt } from "./attempt.ts";
import { type BodyLimitOwner, bodyTooLarge, limitedBody } from "./body-limit.ts";
import type { Client, Generation, Services } from "./context.ts";
import type { Bounded } from "./deadlines.ts";
import { ExchangeFacts } from "./exchange-facts.ts";
import { type EarlyRequest, TOO_EARLY, type Waiting } from "./early-requests.ts";
import { abortError, CLIENT_GONE_STATUS, countAbort, misdirected, sendFailure } from "./failure.ts";
import { Places } from "./places.ts";
import type { Pool } from "./pool.ts";
import type { ReceivedProtocol, ResponseSink, Upstream, UpstreamCall } from "./ports.ts";
import { mayTryAgain } from "./retry.ts";
import { requestIdOf, writeInformationalFields, writeResponseFields, writeResponseTrailers } from "./rewrite.ts";
import { Trace } from "./trace.ts";
import type { UpstreamFailure } from "./upstream-failure.ts";

/** One request with its answer. */
export class Exchange extends ExchangeFacts implements ResponseSink, StreamOwner, BodyLimitOwner, Bounded, Waiting {
  readonly #services: Services;
  readonly #generation: Generation;
  readonly #places: Places;
  readonly #early: EarlyRequest | null;
  /** See `Bounded`. */
  readonly startedMs: number;
  readonly #trace: Trace;
  #poolIndex = NO_ROUTE;
  #backendIndex: number = NO_BACKEND;
  #call: UpstreamCall | null = null;
  #attemptMs: number;
  /** The transport of the latest attempt has said its last word. */
  #attemptOver = true;
  /** The head has ended the response already: no body belongs to it. */
  #bodyless = false;
  /** The response was ended by its trailers, or with the last piece of its body. */
  #ended = false;
  #over = false;

  constructor(services: Services, generation: Generation, client: Client, stream: RequestStream, head: RequestHead) {
    super(client, stream, head, requestIdOf(head) ?? services.requestIds.next(services.clock.epochMs()));
    this.#services = services;
    this.#generation = generation;
    this.#places = new Places(services);
    this.#early = client.early?.take(head, stream) ?? null;
    this.startedMs = services.clock.nowMs();
    this.#attemptMs = this.startedMs;
    this.#trace = new Trace(services.random);
  }

  /** Admit: the stream answers to this exchange from here on, and it counts as under way. */
  run(): void {
    this.stream.owner = this;
    this.#generation.begin(this, this.head.fields);
    const refusal = this.#places.enterProcess(this.client.buffers);
    if (refusal !== null) this.#fail(refusal);
    this.proceed();
  }

  /** Goes on, unless it is over: at once, or when the handshake of a client in early data is done. */
  proceed(): void {
    if (this.#over || this.error !== null || this.#early?.holds(this) === true) return;
    const refusal = this.chosenPool === null ? this.#route() : null;
    if (refusal !== null) this.#fail(refusal);
    else if (this.#balance(NONE_EXCLUDED)) this.#attempt();
    else this.#fail(this.#places.noBackend());
  }

  /** Route: which pool, and whether it takes the request. */
  #route(): ProxyError | null {
    const { authority, path, method, contentLengthBytes } = this.head;
    if (this.client.asked?.isMisdirected(authority) === true) return misdirected(this.#services);
    this.#poolIndex = matchRoute(this.#generation.routes, authority, path, method);
    const pool = this.#generation.pools[this.#poolIndex];
    if (pool === undefined) return new ProxyError("NO_ROUTE", "no route takes this request");
    this.chosenPool = pool;
    this.stream.bodies = pool.bodies;
    if (contentLengthBytes > pool.settings.requestBodyBytesMax) return bodyTooLarge(pool.settings, this.#services);
    return this.#places.enterPool(pool);
  }

  /** Balance: which backend of the pool. False: none, and all stays as it was. */
  #balance(excluded: number): boolean {
    const index = this.chosenPool?.pick(this.head, this.client, excluded) ?? NO_BACKEND;
    const backend = this.chosenPool?.backend(index) ?? null;
    if (backend === null) return false;
    this.#places.enterBackend(index);
    this.#backendIndex = index;
    this.chosenBackend = backend;
    return true;
  }

  /** Prepare: the request as this backend gets it; fields are written when the transport takes them. */
  #prepare(pool: Pool, backend: BackendSettings, upstream: Upstream): Attempt {
    return new Attempt({
      head: this.head,
      pool: pool.settings,
      backend,
      body: limitedBody(this.stream, this.head.contentLengthBytes, pool.settings, this),
      provenance: this.client.provenance,
      requestId: this.id,
      trace: this.#trace,
      early: this.#early?.marked === true,
      takesTrailers: upstream.abilities.trailers,
      writer: this.#services.writer,
    });
  }

  /** Attempt: hands the request to the transport, which answers by the sink's calls below. */
  #attempt(): void {
    const pool = this.chosenPool;
    const backend = pool?.reach(this.#backendIndex) ?? null;
    if (pool === null || backend === null) return;
    // The first one begins with the request, unless that has had to wait for the handshake.
    if (this.attempts > 0 || this.#early !== null) this.#attemptMs = this.#services.clock.nowMs();
    const attempt = ++this.attempts;
    this.#attemptOver = false;
    this.#services.counters.upstreamAttempts += 1;
    const more = this.stream.state !== "ended";
    const upstream = this.#generation.upstreamOf(this.#poolIndex, this.#backendIndex, this.head, more);
    const call = upstream.start(this.#prepare(pool, backend, upstream), this);
    // The transport may have failed before it returned, and then a retry or our own answer has begun since.
    if (this.attempts !== attempt || this.#attemptOver) return;
    // Or it has read from the client's stream, and so found out that the client is gone or says too much.
    if (this.#over || this.error !== null) call.cancel();
    else this.#call = call;
  }

  /** Judge: what a failed attempt means. */
  onFailure(error: UpstreamFailure): void {
    this.#onAttemptOver();
    // When the head was the whole answer, what becomes of the attempt changes nothing for the client.
    if (this.#over || this.#bodyless) return;
    if (error.code === "CLIENT_GONE") {
      this.error = error;
      this.onAborted("reset");
      return this.stream.reset(H3_CODE.requestCancelled);
    }
    this.#services.counters.upstreamFailures.add(error.code);
    this.#generation.onFailure(this.#poolIndex, this.#backendIndex, error);
    const mayRetry = mayTryAgain(error, this.head.method, this.stream, this.attempts);
    if (!mayRetry || !this.#balance(this.#backendIndex)) return this.#fail(error);
    this.#services.counters.retries += 1;
    this.#attempt();
  }

  #onAttemptOver(): void {
    this.#services.counters.upstreamMs.record(this.#services.clock.nowMs() - this.#attemptMs);
    this.#attemptOver = true;
    this.#call = null;
    this.#places.leaveBackend();
  }

  /** Gives the attempt up: nothing more is heard of it. */
  #cancelAttempt(): void {
    this.#call?.cancel();
    this.#call = null;
    this.#places.leaveBackend();
  }

  #failUnpassable(what: string, fault: string): void {
    this.#fail(new ProxyError("UPSTREAM_PROTOCOL", `the backend's ${what} cannot be passed on: ${fault}`));
  }

  /** Respond: the head. */
  onHead(status: number, fields: FieldSection, protocol: ReceivedProtocol): void {
    if (this.#over) return;
    const { writer, counters, clock } = this.#services;
    const nowMs = clock.nowMs();
    counters.upstreamHeadMs.record(nowMs - this.#attemptMs);
    if (status === TOO_EARLY && this.#early?.mayRepeat(this.head, this.attempts) === true) {
      this.#cancelAttempt();
      return this.proceed();
    }
    const fault = writeResponseFields(status, fields, writer, this.id, protocol);
    if (fault !== null) return this.#failUnpassable("response head", fault);
    this.#generation.deadlines?.onHead(this, fields);
    counters.firstByteMs.record(nowMs - this.startedMs);
    this.status = status;
    this.#bodyless = this.head.method === "HEAD" || status === 204 || status === 304;
    this.stream.sendHead(writer.finish(), this.#bodyless);
  }

  /** A 1xx that cannot be passed on is left out: the final head is still to come, and is what the client waits for. */
  onInformational(status: number, fields: FieldSection): void {
    if (this.#over || this.stream.headSent) return;
    const { writer, counters } = this.#services;
    if (writeInformationalFields(status, fields, writer)) this.stream.sendInformational(writer.finish());
    else counters.informationalDropped += 1;
  }

  onBody(bytes: Uint8Array, at: number, end: number, last: boolean): boolean {
    // What does not belong to the answer is let pass and dropped, so that it does not hold the attempt up.
    if (this.#bodyless) return true;
    if (this.#over) return false;
    this.#ended = last;
    return this.stream.sendPart(bytes, at, end, last);
  }

  /** Trailers end the response with them; `onEnd` follows and finds it ended. */
  onTrailers(fields: FieldSection): void {
    if (this.#over || this.#bodyless) return;
    const { writer } = this.#services;
    const fault = writeResponseTrailers(fields, writer);
    if (fault !== null) return this.#failUnpassable("trailers", fault);
    if (writer.count === 0) return;
    this.#ended = true;
    this.stream.sendTrailers(writer.finish());
  }

  onEnd(): void {
    this.#onAttemptOver();
    if (!this.#over && !this.#bodyless && !this.#ended) this.stream.end();
  }

  /** The client's connection has taken the whole answer. */
  onSent(): void {
    this.#record(this.error);
  }

  /** The client has room again. */
  onRoom(): void {
    this.#call?.resume();
  }

  /** The request body turned out too large as it was read. */
  onBodyTooLarge(): void {
    if (this.#over || this.chosenPool === null) return;
    this.#fail(bodyTooLarge(this.chosenPool.settings, this.#services));
  }

  /** The whole request takes longer than it may, whoever is slow. */
  onTotalTimeout(error: ProxyError): void {
    if (this.#over) return;
    this.#services.counters.requestsTimedOut += 1;
    this.#fail(error);
  }

  /** The client wants no answer, or cannot get it: nobody is to blame but the client, and nobody is told. */
  onAborted(reason: AbortReason): void {
    if (this.#over) return;
    this.#cancelAttempt();
    if (countAbort(this.#services.counters, reason, this.stream.fault)) this.status = CLIENT_GONE_STATUS;
    this.#record(abortError(reason, this.stream.fault));
  }

  /** Fail: an answer where there can be one, a reset where a response has begun. It never ends cleanly. */
  #fail(error: ProxyError): void {
    const { writer, counters } = this.#services;
    this.error = error;
    this.#cancelAttempt();
    if (this.stream.headSent) {
      counters.responsesReset += 1;
      this.#record(error);
      this.stream.reset(H3_CODE.internalError);
      return;
    }
    this.status = error.status;
    const withBody = this.head.method !== "HEAD";
    sendFailure(this.stream, writer, { status: error.status, requestId: this.id, withBody });
  }

  /** Record: once, whatever happened. */
  #record(error: ProxyError | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#call = null;
    this.#places.leave();
    this.#generation.end(this);
    this.#early?.leave(this);
    const { counters, recorder, clock } = this.#services;
    this.error = error;
    this.durationMs = clock.nowMs() - this.startedMs;
    counters.requestMs.record(this.durationMs);
    if (error === null) counters.requestsCompleted += 1;
    else counters.requestsFailed += 1;
    recorder.record(this);
  }
}
