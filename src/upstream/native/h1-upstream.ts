/** The native HTTP/1.1 transport: a pool of connections for each backend, one exchange at a time on each. */
import type { BackendSettings, TimeoutSettings } from "../../config/snapshot.ts";
import type { Counters } from "../../core/counters.ts";
import { Roster } from "../../core/roster.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ResponseSink, TransportAbilities, Upstream, UpstreamCall, UpstreamRequest } from "../../proxy/ports.ts";
import { NOT_SENT, UpstreamFailure } from "../../proxy/upstream-failure.ts";
import type { ConnectStream, StreamTarget } from "../../runtime/streams.ts";
import type { TimerHandle, Timers } from "../../runtime/timers.ts";
import { expireLate } from "./deadlines.ts";
import { H1Call, type H1CallOwner } from "./h1-call.ts";
import { H1Link, type LinkOwner } from "./h1-link.ts";

/** What the transport is made of. */
export interface H1UpstreamParts {
  readonly connect: ConnectStream;
  readonly timers: Timers;
  readonly timeouts: TimeoutSettings;
  readonly counters: Counters;
  /** Where and how a backend is reached; null: not any more. */
  readonly targetOf: (backend: BackendSettings) => StreamTarget | null;
}

/** Calls that never began. */
const OVER: UpstreamCall = { resume() {}, cancel() {} };

/** HTTP/1.1 over sockets of our own. */
export class H1Upstream implements Upstream {
  readonly abilities: TransportAbilities = { trailers: true, informational: true, fullDuplex: true };
  readonly #parts: H1UpstreamParts;
  readonly #pools = new Map<BackendSettings, H1Pool>();
  /** Of backends that were retired, until their last calls are over. */
  readonly #retired = new Set<H1Pool>();
  readonly #sweep: TimerHandle;
  #closed = false;

  constructor(parts: H1UpstreamParts) {
    this.#parts = parts;
    this.#sweep = parts.timers.every(LIMITS.upstreamSweepMsMax, () => this.#onSweep());
  }

  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
    if (this.#closed) {
      sink.onFailure(new UpstreamFailure("DRAINING", "the transport is closed", NOT_SENT));
      return OVER;
    }
    let pool = this.#pools.get(request.backend);
    if (pool === undefined) {
      const target = this.#parts.targetOf(request.backend);
      if (target === null) {
        sink.onFailure(new UpstreamFailure("DRAINING", `${request.backend.address} is retired`, NOT_SENT));
        return OVER;
      }
      pool = new H1Pool(this.#parts, target, request.pool.backendConnectionsMax);
      this.#pools.set(request.backend, pool);
    }
    return pool.start(request, sink);
  }

  /** No connection to a backend is kept beyond the calls that run. */
  retire(backend: BackendSettings): void {
    const pool = this.#pools.get(backend);
    if (pool === undefined) return;
    this.#pools.delete(backend);
    pool.retire();
    if (!pool.isEmpty) this.#retired.add(pool);
  }

  close(): void {
    this.#closed = true;
    this.#stopIfDone();
  }

  #onSweep(): void {
    const nowMs = this.#parts.timers.nowMs();
    for (const pool of this.#pools.values()) pool.sweep(nowMs);
    for (const pool of this.#retired) {
      pool.sweep(nowMs);
      if (pool.isEmpty) this.#retired.delete(pool);
    }
    if (this.#closed) this.#stopIfDone();
  }

  /** Deadlines hold until the last call is over. */
  #stopIfDone(): void {
    let isDone = this.#retired.size === 0;
    for (const pool of this.#pools.values()) {
      pool.closeIdle(Infinity);
      isDone &&= pool.isEmpty;
    }
    if (isDone) this.#sweep.stop();
  }
}

/** The connections of one backend. */
class H1Pool implements LinkOwner, H1CallOwner {
  readonly counters: Counters;
  readonly #parts: H1UpstreamParts;
  readonly #target: StreamTarget;
  #idleMax: number;
  /** The one used last is used next, so that the others can age. */
  readonly #idle: H1Link[] = [];
  readonly #links = new Set<H1Link>();
  readonly #calls = new Roster<H1Call>();

  constructor(parts: H1UpstreamParts, target: StreamTarget, idleMax: number) {
    this.counters = parts.counters;
    this.#parts = parts;
    this.#target = target;
    this.#idleMax = idleMax;
  }

  nowMs(): number {
    return this.#parts.timers.nowMs();
  }

  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
    const link = this.#idle.pop();
    if (link === undefined && this.#links.size >= LIMITS.h1ConnectionsPerBackendMax) {
      this.counters.upstreamOverflows += 1;
      const why = `${request.backend.address} has as many connections as are allowed`;
      sink.onFailure(new UpstreamFailure("OVERLOADED", why, NOT_SENT));
      return OVER;
    }
    const call = new H1Call(request, sink, this);
    this.#calls.add(call);
    if (link === undefined) this.startFresh(call);
    else link.serve(call);
    return call;
  }

  startFresh(call: H1Call): void {
    const link = new H1Link(this.#parts.connect, this.#target, this, call);
    this.#links.add(link);
    call.awaitLink(link);
  }

  forget(call: H1Call): void {
    this.#calls.remove(call);
  }

  onIdle(link: H1Link): void {
    const keepMs = keepMsOf(link.machine.idleSeconds);
    if (keepMs <= 0 || this.#idle.length >= this.#idleMax) {
      link.close();
      return;
    }
    link.idleUntilMs = this.nowMs() + keepMs;
    this.#idle.push(link);
  }

  onGone(link: H1Link): void {
    this.#links.delete(link);
    const at = this.#idle.indexOf(link);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** No connection and no call is left. */
  get isEmpty(): boolean {
    return this.#links.size === 0 && this.#calls.size === 0;
  }

  /** Keeps no idle connection from now on. */
  retire(): void {
    this.#idleMax = 0;
    this.closeIdle(Infinity);
  }

  /** Closes connections whose time is over by then. */
  closeIdle(byMs: number): void {
    for (const link of this.#idle.filter((idle) => idle.idleUntilMs <= byMs)) link.close();
  }

  sweep(nowMs: number): void {
    this.closeIdle(nowMs);
    expireLate(this.#calls, nowMs, this.#parts.timeouts, this.counters);
  }
}

/** How long an idle connection is kept: shorter than its backend says it does (Keep-Alive), or a request might cross its end. */
function keepMsOf(idleSeconds: number): number {
  if (idleSeconds < 0) return LIMITS.upstreamIdleMsMax;
  return Math.min(LIMITS.upstreamIdleMsMax, idleSeconds * 1000 - LIMITS.h1KeepAliveMarginMs);
}
