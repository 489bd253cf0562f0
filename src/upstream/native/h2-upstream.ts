/** The native HTTP/2 transport: many requests on few connections, for each backend. */
import type { BackendSettings, TimeoutSettings } from "../../config/snapshot.ts";
import type { Counters } from "../../core/counters.ts";
import { ProxyError } from "../../core/error.ts";
import { FieldWriter } from "../../core/fields.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ResponseSink, TransportAbilities, Upstream, UpstreamCall, UpstreamRequest } from "../../proxy/ports.ts";
import { NOT_SENT, UpstreamFailure } from "../../proxy/upstream-failure.ts";
import type { ConnectStream, StreamTarget } from "../../runtime/streams.ts";
import type { TimerHandle, Timers } from "../../runtime/timers.ts";
import { expireLate } from "./deadlines.ts";
import { H2Call, type H2CallOwner } from "./h2-call.ts";
import { H2Link, type H2LinkOwner } from "./h2-link.ts";

/** What the transport is made of. */
export interface H2UpstreamParts {
  readonly connect: ConnectStream;
  readonly timers: Timers;
  readonly timeouts: TimeoutSettings;
  readonly counters: Counters;
  /** Where and how a backend is reached. */
  readonly targetOf: (backend: BackendSettings) => StreamTarget;
  /** For backends that ALPN shows not to speak HTTP/2. */
  readonly fallback: Upstream;
}

const OVER: UpstreamCall = { resume() {}, cancel() {} };

/** HTTP/2 over sockets of our own, by prior knowledge or by ALPN. */
export class H2Upstream implements Upstream {
  readonly abilities: TransportAbilities = { trailers: true, informational: true, fullDuplex: true };
  readonly #parts: H2UpstreamParts;
  readonly #pools = new Map<BackendSettings, H2Pool>();
  readonly #writer = new FieldWriter();
  readonly #sweep: TimerHandle;
  #closed = false;

  constructor(parts: H2UpstreamParts) {
    this.#parts = parts;
    this.#sweep = parts.timers.every(LIMITS.upstreamSweepMsMax, () => this.#onSweep());
  }

  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
    if (this.#closed) {
      sink.onFailure(new UpstreamFailure("DRAINING", "the transport is closed", NOT_SENT));
      return OVER;
    }
    return this.#poolOf(request).start(request, sink);
  }

  close(): void {
    this.#closed = true;
    for (const pool of this.#pools.values()) pool.drain();
    this.#sweep.stop();
  }

  #poolOf({ backend, pool }: UpstreamRequest): H2Pool {
    let known = this.#pools.get(backend);
    if (known === undefined) {
      const target = this.#parts.targetOf(backend);
      known = new H2Pool(this.#parts, target, backend.address, pool.backendConnectionsMax, this.#writer);
      this.#pools.set(backend, known);
    }
    return known;
  }

  #onSweep(): void {
    const nowMs = this.#parts.timers.nowMs();
    for (const pool of this.#pools.values()) pool.sweep(nowMs);
  }
}

/** The connections of one backend, and the calls that wait for room on one. */
class H2Pool implements H2LinkOwner, H2CallOwner {
  readonly counters: Counters;
  readonly writer: FieldWriter;
  readonly where: string;
  readonly #parts: H2UpstreamParts;
  readonly #target: StreamTarget;
  readonly #linksMax: number;
  readonly #links: H2Link[] = [];
  readonly #calls = new Set<H2Call>();
  #waiting: H2Call[] = [];
  /** ALPN did not choose HTTP/2 here; remembered for the life of the configuration. */
  #isOther = false;

  constructor(parts: H2UpstreamParts, target: StreamTarget, where: string, linksMax: number, writer: FieldWriter) {
    this.counters = parts.counters;
    this.writer = writer;
    this.where = where;
    this.#parts = parts;
    this.#target = target;
    this.#linksMax = linksMax;
  }

  nowMs(): number {
    return this.#parts.timers.nowMs();
  }

  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
    if (this.#isOther) return this.#parts.fallback.start(request, sink);
    const call = new H2Call(request, sink, this);
    this.#calls.add(call);
    this.#place(call);
    return call;
  }

  repeat(call: H2Call): boolean {
    this.#place(call);
    return true;
  }

  forget(call: H2Call): void {
    this.#calls.delete(call);
    if (this.#waiting.length > 0) this.#waiting = this.#waiting.filter((other) => other !== call);
  }

  onRoom(link: H2Link): void {
    while (this.#waiting.length > 0 && link.canOpen) {
      const call = this.#waiting.shift();
      if (call !== undefined && !call.begin(link)) {
        this.#waiting.unshift(call);
        return;
      }
    }
  }

  onClosing(): void {
    this.#openForWaiting();
  }

  onGone(link: H2Link, error: ProxyError | null): void {
    const at = this.#links.indexOf(link);
    if (at >= 0) this.#links.splice(at, 1);
    if (error !== null && !this.#links.some((other) => other.isUsable)) this.#failWaiting(error);
    else this.#openForWaiting();
  }

  onOtherProtocol(link: H2Link): void {
    if (this.#target.tls?.alpn.includes("http/1.1") !== true) {
      link.close();
      this.#failWaiting(new ProxyError("UPSTREAM_PROTOCOL", `${this.where} does not speak HTTP/2`));
      return;
    }
    this.#isOther = true;
    this.counters.upstreamFallbacks += 1;
    const waiting = this.#waiting;
    this.#waiting = [];
    link.close();
    for (const call of waiting) call.handOver(this.#parts.fallback);
  }

  drain(): void {
    for (const link of [...this.#links]) link.drain();
  }

  sweep(nowMs: number): void {
    for (const link of [...this.#links]) {
      link.onTime(nowMs);
      if (link.isUsable && link.connection.streams.count === 0 && nowMs - link.idleSinceMs > LIMITS.upstreamIdleMsMax)
        link.drain();
    }
    expireLate(this.#calls, nowMs, this.#parts.timeouts, this.counters);
  }

  /** Few connections are cheapest: the first with room takes the call; another is made only when all are full. */
  #place(call: H2Call): void {
    for (const link of this.#links) if (link.canOpen && call.begin(link)) return;
    if (this.#waiting.length >= LIMITS.h2WaitingMax) {
      this.counters.upstreamOverflows += 1;
      call.onUnplaced(new ProxyError("OVERLOADED", `too many requests wait for ${this.where}`));
      return;
    }
    this.#waiting.push(call);
    this.#openForWaiting();
  }

  #openForWaiting(): void {
    if (this.#waiting.length === 0 || this.#links.length >= this.#linksMax) return;
    // One at a time: a connection that is being made will take what waits.
    if (this.#links.some((link) => link.isConnecting)) return;
    this.#links.push(new H2Link(this.#parts.connect, this.#target, this));
  }

  #failWaiting(error: ProxyError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call.onUnplaced(error);
  }
}
