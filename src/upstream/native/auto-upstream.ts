/**
 * The transport for backends that are given as bare `host:port`: finds out what each of them speaks, remembers it, and passes
 * requests to the client of that protocol. It is found out anew after failures and on health transitions, for another server may
 * stand at the address then.
 */
import type { BackendSettings, TimeoutSettings } from "../../config/snapshot.ts";
import type { Counters } from "../../core/counters.ts";
import { ProxyError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ResponseSink, TransportAbilities, Upstream, UpstreamCall, UpstreamRequest } from "../../proxy/ports.ts";
import { NOT_SENT, UpstreamFailure } from "../../proxy/upstream-failure.ts";
import type { ConnectStream, StreamTarget } from "../../runtime/streams.ts";
import type { Timers } from "../../runtime/timers.ts";
import { type ClearProtocol, ProtocolInquiry } from "./protocol-inquiry.ts";

/** What the transport is made of. */
export interface AutoUpstreamParts {
  readonly connect: ConnectStream;
  readonly timers: Timers;
  readonly timeouts: TimeoutSettings;
  readonly counters: Counters;
  /** Where a backend is; null: not to be reached any more. */
  readonly targetOf: (backend: BackendSettings) => StreamTarget | null;
  readonly http1: Upstream;
  readonly h2c: Upstream;
  /** For the log: what a backend was found to speak, the first time and whenever it is another than before. */
  readonly onLearned: (backend: BackendSettings, protocol: ClearProtocol) => void;
}

const OVER: UpstreamCall = { resume() {}, cancel() {} };

/** Asks each backend what it speaks. */
export class AutoUpstream implements Upstream {
  readonly abilities: TransportAbilities = { trailers: true, informational: true, fullDuplex: true };
  readonly #parts: AutoUpstreamParts;
  readonly #learners = new Map<BackendSettings, Learner>();
  #closed = false;

  constructor(parts: AutoUpstreamParts) {
    this.#parts = parts;
  }

  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
    if (this.#closed) {
      sink.onFailure(new UpstreamFailure("DRAINING", "the transport is closed", NOT_SENT));
      return OVER;
    }
    const learner = this.#learnerOf(request.backend);
    if (learner !== null) return learner.start(request, sink);
    sink.onFailure(new UpstreamFailure("DRAINING", `${request.backend.address} is retired`, NOT_SENT));
    return OVER;
  }

  /** What was learned of a backend may not hold any more: the next request asks again. */
  relearn(backend: BackendSettings): void {
    this.#learners.get(backend)?.forget();
  }

  /** What a backend is known to speak; null while nobody knows. */
  protocolOf(backend: BackendSettings): ClearProtocol | null {
    return this.#learners.get(backend)?.protocol ?? null;
  }

  /** Forgets a backend; requests that wait for what it speaks fail. */
  retire(backend: BackendSettings): void {
    this.#learners.get(backend)?.close();
    this.#learners.delete(backend);
  }

  close(): void {
    this.#closed = true;
    for (const learner of this.#learners.values()) learner.close();
  }

  #learnerOf(backend: BackendSettings): Learner | null {
    let known = this.#learners.get(backend);
    if (known === undefined) {
      const target = this.#parts.targetOf(backend);
      if (target === null) return null;
      known = new Learner(this.#parts, backend, target);
      this.#learners.set(backend, known);
    }
    return known;
  }
}

/** What is known of one backend, and the requests that wait until it is. */
class Learner {
  readonly #parts: AutoUpstreamParts;
  readonly #backend: BackendSettings;
  readonly #target: StreamTarget;
  protocol: ClearProtocol | null = null;
  #lastTold: ClearProtocol | null = null;
  #learnedMs = -Infinity;
  #inquiry: ProtocolInquiry | null = null;
  #waiting: WaitingCall[] = [];

  constructor(parts: AutoUpstreamParts, backend: BackendSettings, target: StreamTarget) {
    this.#parts = parts;
    this.#backend = backend;
    this.#target = target;
  }

  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
    if (this.protocol !== null) return this.#upstreamFor(this.protocol).start(request, sink);
    if (this.#waiting.length >= LIMITS.h2WaitingMax) {
      this.#parts.counters.upstreamOverflows += 1;
      const why = `too many requests wait for ${this.#backend.address}`;
      sink.onFailure(new UpstreamFailure("OVERLOADED", why, NOT_SENT));
      return OVER;
    }
    const call = new WaitingCall(request, sink);
    this.#waiting.push(call);
    this.#inquiry ??= this.#ask();
    return call;
  }

  /** A backend that fails often is not asked with each failure. */
  forget(): void {
    if (this.protocol === null) return;
    if (this.#parts.timers.nowMs() - this.#learnedMs < LIMITS.protocolRelearnMsMin) return;
    this.protocol = null;
  }

  close(): void {
    this.#inquiry?.stop();
    this.#inquiry = null;
    this.#end(new ProxyError("DRAINING", "the transport is closed"));
  }

  #ask(): ProtocolInquiry {
    const { connect, timers, timeouts, counters } = this.#parts;
    counters.protocolInquiries += 1;
    const target = this.#target;
    // Both waits together are no longer than the time for a connection.
    const deadlineMs = timers.nowMs() + timeouts.backendConnectMs;
    const onResult = (result: ClearProtocol | ProxyError): void => this.#onResult(result);
    const waits = { silenceMs: LIMITS.protocolSilenceMsMax, deadlineMs };
    return new ProtocolInquiry({ connect, timers, target, ...waits, onResult });
  }

  #onResult(result: ClearProtocol | ProxyError): void {
    this.#inquiry = null;
    if (result instanceof ProxyError) return this.#end(result);
    this.protocol = result;
    this.#learnedMs = this.#parts.timers.nowMs();
    if (this.#lastTold !== result) this.#parts.onLearned(this.#backend, result);
    this.#lastTold = result;
    const upstream = this.#upstreamFor(result);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call.goOn(upstream);
  }

  #end(error: ProxyError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call.fail(error);
  }

  #upstreamFor(protocol: ClearProtocol): Upstream {
    return protocol === "h2c" ? this.#parts.h2c : this.#parts.http1;
  }
}

/** A request that waits until it is known how to send it. */
class WaitingCall implements UpstreamCall {
  readonly #request: UpstreamRequest;
  readonly #sink: ResponseSink;
  #heir: UpstreamCall | null = null;
  #over = false;

  constructor(request: UpstreamRequest, sink: ResponseSink) {
    this.#request = request;
    this.#sink = sink;
  }

  goOn(upstream: Upstream): void {
    if (this.#over) return;
    const heir = upstream.start(this.#request, this.#sink);
    // The client may have been found gone while its body was read.
    if (this.#over) heir.cancel();
    else this.#heir = heir;
  }

  fail(error: ProxyError): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink.onFailure(UpstreamFailure.of(error, NOT_SENT));
  }

  resume(): void {
    this.#heir?.resume();
  }

  cancel(): void {
    this.#over = true;
    this.#heir?.cancel();
  }
}
