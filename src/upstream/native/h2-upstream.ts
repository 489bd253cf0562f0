/** The native HTTP/2 transport: many requests on few connections, for each backend. */
import type { BackendSettings } from "../../config/snapshot.ts";
import { FieldWriter } from "../../core/field-writer.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ResponseSink, TransportAbilities, Upstream, UpstreamCall, UpstreamRequest } from "../../proxy/ports.ts";
import { NOT_SENT, UpstreamFailure } from "../../proxy/upstream-failure.ts";
import type { TimerHandle } from "../../runtime/timers.ts";
import { H2Pool, type H2UpstreamParts } from "./h2-pool.ts";

const OVER: UpstreamCall = { resume() {}, cancel() {} };

/** HTTP/2 over sockets of our own, by prior knowledge or by ALPN. */
export class H2Upstream implements Upstream {
  readonly abilities: TransportAbilities = { trailers: true, informational: true, fullDuplex: true };
  readonly #parts: H2UpstreamParts;
  readonly #pools = new Map<BackendSettings, H2Pool>();
  /** Of backends that were retired, until their last calls are over. */
  readonly #retired = new Set<H2Pool>();
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
    const pool = this.#poolOf(request);
    if (pool !== null) return pool.start(request, sink);
    sink.onFailure(new UpstreamFailure("DRAINING", `${request.backend.address} is retired`, NOT_SENT));
    return OVER;
  }

  /** What was learned of a backend may not hold any more: whether it speaks HTTP/2 is asked again. */
  relearn(backend: BackendSettings): void {
    this.#pools.get(backend)?.relearn();
  }

  /** No connection to a backend is kept beyond the calls that run. */
  retire(backend: BackendSettings): void {
    const pool = this.#pools.get(backend);
    if (pool === undefined) return;
    this.#pools.delete(backend);
    pool.drain();
    this.#retired.add(pool);
  }

  close(): void {
    this.#closed = true;
    for (const pool of this.#pools.values()) pool.drain();
    this.#stopIfDone();
  }

  #poolOf({ backend, pool }: UpstreamRequest): H2Pool | null {
    let known = this.#pools.get(backend);
    if (known === undefined) {
      const target = this.#parts.targetOf(backend);
      if (target === null) return null;
      known = new H2Pool(this.#parts, backend, target, pool.backendConnectionsMax, this.#writer);
      this.#pools.set(backend, known);
    }
    return known;
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
    for (const pool of this.#pools.values()) if (!pool.isEmpty) return;
    if (this.#retired.size > 0) return;
    this.#sweep.stop();
  }
}
