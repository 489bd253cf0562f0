/**
 * The way of one request, in phases:
 *
 *     admit -> route -> { balance -> prepare -> attempt -> judge } -> respond or fail -> record
 *
 * `record` runs always and once. Everything is synchronous from the datagram to the upstream's frame; what comes back comes as
 * calls from the upstream (`ResponseSink`) or from the client's stream (`StreamOwner`).
 */
import type { BackendSettings } from "../config/snapshot.ts";
import type { HashKeyRequest } from "../balance/hash-key.ts";
import { NO_BACKEND, NONE_EXCLUDED } from "../balance/policy.ts";
import { ProxyError } from "../core/error.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { H3_CODE } from "../h3/codes.ts";
import type { RequestHead } from "../h3/head.ts";
import type { AbortReason, RequestStream, StreamOwner } from "../h3/stream.ts";
import { matchRoute, NO_ROUTE } from "../route/match.ts";
import { Attempt } from "./attempt.ts";
import type { Client, Generation, Services } from "./context.ts";
import { encodeAscii, failureText, writeFailureHead } from "./failure.ts";
import type { Pool } from "./pool.ts";
import type { ReceivedProtocol, ResponseSink, Upstream, UpstreamCall } from "./ports.ts";
import { mayTryAgain } from "./retry.ts";
import { requestIdOf, writeInformationalFields, writeResponseFields, writeResponseTrailers } from "./rewrite.ts";
import type { UpstreamFailure } from "./upstream-failure.ts";

/** One request with its answer. */
export class Exchange implements ResponseSink, StreamOwner, HashKeyRequest {
  readonly #services: Services;
  readonly #generation: Generation;
  readonly #client: Client;
  readonly #stream: RequestStream;
  readonly #head: RequestHead;
  readonly #requestId: string;
  readonly #startedMs: number;
  #pool: Pool | null = null;
  #poolIndex = NO_ROUTE;
  #backend: BackendSettings | null = null;
  #backendIndex: number = NO_BACKEND;
  #call: UpstreamCall | null = null;
  #attempts = 0;
  #status = 0;
  /** Why the answer is ours and not a backend's; null while all is well. */
  #error: ProxyError | null = null;
  /** The head has ended the response already: no body belongs to it. */
  #bodyless = false;
  /** The response was ended by its trailers, or with the last piece of its body. */
  #ended = false;
  #over = false;

  constructor(services: Services, generation: Generation, client: Client, stream: RequestStream, head: RequestHead) {
    this.#services = services;
    this.#generation = generation;
    this.#client = client;
    this.#stream = stream;
    this.#head = head;
    this.#startedMs = services.clock.nowMs();
    this.#requestId = requestIdOf(head) ?? services.requestIds.next(services.clock.epochMs());
  }

  run(): void {
    this.#admit();
    if (!this.#route()) this.#fail(new ProxyError("NO_ROUTE", "no route takes this request"));
    else if (!this.#balance(NONE_EXCLUDED)) this.#fail(this.#noBackend());
    else this.#attempt();
  }

  /** Admit: the stream answers to this exchange from here on. */
  #admit(): void {
    this.#stream.owner = this;
  }

  /** Route: which pool. */
  #route(): boolean {
    const { authority, path, method } = this.#head;
    this.#poolIndex = matchRoute(this.#generation.routes, authority, path, method);
    this.#pool = this.#generation.pools[this.#poolIndex] ?? null;
    return this.#pool !== null;
  }

  /** Balance: which backend of the pool. False: none, and all stays as it was. */
  #balance(excluded: number): boolean {
    const index = this.#pool?.pick(this, excluded) ?? NO_BACKEND;
    const backend = this.#pool?.backend(index) ?? null;
    if (backend === null) return false;
    this.#backendIndex = index;
    this.#backend = backend;
    return true;
  }

  #noBackend(): ProxyError {
    return new ProxyError("NO_HEALTHY_BACKEND", `no healthy backend in pool ${this.#pool?.settings.name ?? ""}`);
  }

  /** Prepare: the request as this backend gets it; its fields are written when the transport takes them. */
  #prepare(pool: Pool, backend: BackendSettings, upstream: Upstream): Attempt {
    return new Attempt({
      head: this.#head,
      pool: pool.settings,
      backend,
      body: this.#stream.state === "ended" ? null : this.#stream,
      forwardedFor: this.#client.forwardedFor,
      requestId: this.#requestId,
      takesTrailers: upstream.abilities.trailers,
      writer: this.#services.writer,
    });
  }

  /** Attempt: hands the request to the transport, which answers by the sink's calls below. */
  #attempt(): void {
    const pool = this.#pool;
    const backend = this.#backend;
    if (pool === null || backend === null) return;
    this.#attempts += 1;
    const attempt = this.#attempts;
    this.#services.counters.upstreamAttempts += 1;
    const upstream = this.#generation.upstreamOf(backend);
    const call = upstream.start(this.#prepare(pool, backend, upstream), this);
    // The transport may have failed before it returned, and then a retry or our own answer has begun since.
    if (this.#attempts !== attempt || this.#error !== null) return;
    // Or it has read from the client's stream and so found out that the client is gone.
    if (this.#over) call.cancel();
    else this.#call = call;
  }

  /** Judge: what a failed attempt means. */
  onFailure(error: UpstreamFailure): void {
    if (this.#over) return;
    this.#call = null;
    // The head was the whole answer: what becomes of the attempt changes nothing for the client.
    if (this.#bodyless) return;
    if (error.code === "CLIENT_GONE") {
      this.#error = error;
      this.onAborted("reset");
      this.#stream.reset(H3_CODE.requestCancelled);
      return;
    }
    const { counters } = this.#services;
    counters.upstreamFailures += 1;
    this.#generation.onFailure(this.#poolIndex, this.#backendIndex, error);
    const mayRetry = mayTryAgain(error, this.#head.method, this.#stream, this.#attempts);
    if (!mayRetry || !this.#balance(this.#backendIndex)) {
      this.#fail(error);
      return;
    }
    counters.retries += 1;
    this.#attempt();
  }

  /** Respond: the head. */
  onHead(status: number, fields: FieldSection, protocol: ReceivedProtocol): void {
    if (this.#over) return;
    const { writer } = this.#services;
    const refused = writeResponseFields(status, fields, writer, this.#requestId, protocol);
    const fault = refused ?? (writer.sectionBytes > LIMITS.responseHeadBytesMax ? "too large" : null);
    if (fault !== null) {
      this.#call?.cancel();
      this.#fail(new ProxyError("UPSTREAM_PROTOCOL", `the backend's response head cannot be passed on: ${fault}`));
      return;
    }
    this.#status = status;
    this.#bodyless = this.#head.method === "HEAD" || status === 204 || status === 304;
    this.#stream.sendHead(writer.finish(), this.#bodyless);
  }

  /** A 1xx that cannot be passed on is left out: the final head is still to come, and is what the client waits for. */
  onInformational(status: number, fields: FieldSection): void {
    if (this.#over || this.#stream.headSent) return;
    const { writer, counters } = this.#services;
    if (writeInformationalFields(status, fields, writer)) this.#stream.sendInformational(writer.finish());
    else counters.informationalDropped += 1;
  }

  onBody(piece: Uint8Array, last: boolean = false): boolean {
    // What does not belong to the answer is let pass and dropped, so that it does not hold the attempt up.
    if (this.#bodyless) return true;
    if (this.#over) return false;
    this.#ended = last;
    return this.#stream.sendBody(piece, last);
  }

  /** Trailers end the response with them; `onEnd` follows and finds it ended. */
  onTrailers(fields: FieldSection): void {
    if (this.#over || this.#bodyless) return;
    const { writer } = this.#services;
    const fault = writeResponseTrailers(fields, writer);
    if (fault !== null) {
      this.#call?.cancel();
      this.#fail(new ProxyError("UPSTREAM_PROTOCOL", `the backend's trailers cannot be passed on: ${fault}`));
    } else if (writer.count > 0) {
      this.#ended = true;
      this.#stream.sendTrailers(writer.finish());
    }
  }

  onEnd(): void {
    this.#call = null;
    if (!this.#over && !this.#bodyless && !this.#ended) this.#stream.end();
  }

  /** The client's connection has taken the whole answer. */
  onSent(): void {
    this.#record(this.#error);
  }

  /** The client has room again. */
  onRoom(): void {
    this.#call?.resume();
  }

  /** The client wants no answer, or cannot get it: nobody is to blame but the client, and nobody is told. */
  onAborted(reason: AbortReason): void {
    if (this.#over) return;
    this.#call?.cancel();
    const { counters } = this.#services;
    counters.requestsAborted += 1;
    if (reason === "malformed") {
      const fault = this.#stream.fault ?? "body-length";
      counters.requestsMalformed += 1;
      counters.malformedReasons.add(fault);
      this.#record(new ProxyError("BAD_REQUEST", `malformed request: ${fault}`));
      return;
    }
    this.#status = CLIENT_GONE_STATUS;
    this.#record(new ProxyError("CLIENT_GONE", `the client ended the request: ${reason}`));
  }

  /** Fail: an answer where there can be one, a reset where a response has begun. It never ends cleanly. */
  #fail(error: ProxyError): void {
    const { writer, counters } = this.#services;
    this.#error = error;
    this.#call = null;
    if (this.#stream.headSent) {
      counters.responsesReset += 1;
      this.#record(error);
      this.#stream.reset(H3_CODE.internalError);
      return;
    }
    this.#status = error.status;
    writeFailureHead(writer, error.status, this.#requestId);
    const withBody = this.#head.method !== "HEAD";
    this.#stream.sendHead(writer.finish(), !withBody);
    if (withBody) {
      this.#stream.sendBody(encodeAscii(failureText(error.status)));
      this.#stream.end();
    }
  }

  /** Record: once, whatever happened. */
  #record(error: ProxyError | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#call = null;
    const { counters, recorder, clock } = this.#services;
    if (error === null) counters.requestsCompleted += 1;
    else counters.requestsFailed += 1;
    recorder.record({
      requestId: this.#requestId,
      method: this.#head.method,
      path: this.#head.path,
      authority: this.#head.authority,
      status: this.#status,
      pool: this.#pool?.settings.name ?? "",
      backend: this.#backend?.id ?? "",
      durationMs: clock.nowMs() - this.#startedMs,
      bytesIn: this.#stream.receivedBytes,
      bytesOut: this.#stream.sentBytes,
      clientIp: this.#client.ip,
      clientPort: this.#client.port,
      attempts: this.#attempts,
      error,
    });
  }

  get clientIp(): string {
    return this.#client.ip;
  }

  get connectionIdHex(): string {
    return this.#client.connectionIdHex;
  }

  get authority(): string {
    return this.#head.authority;
  }

  get path(): string {
    return this.#head.path;
  }

  get method(): string {
    return this.#head.method;
  }

  /** A request field for the hash key; see `HashKeyRequest`. */
  header(name: string): string | null {
    const { fields, firstField } = this.#head;
    let joined: string | null = null;
    for (let i = firstField; i < fields.count; i++) {
      if (!fields.nameIs(i, name)) continue;
      joined = joined === null ? fields.value(i) : `${joined}${name === "cookie" ? "; " : ", "}${fields.value(i)}`;
    }
    return joined;
  }
}

/** For logs and metrics only: the client went away first (nginx's number; no answer is sent). */
const CLIENT_GONE_STATUS = 499;
