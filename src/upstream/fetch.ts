/**
 * The transport over the runtime's `fetch`: HTTP/2 by ALPN or HTTP/1.1 for `https`, HTTP/1.1 for `http` and bare addresses,
 * HTTP/3 for `h3`. It gives no trailers and no 1xx, and for a request without a body it does not say whether it is still
 * connecting; a connection of our own finds that out.
 */
import type {
  BackendSettings,
  PoolSettings,
  Snapshot,
  TimeoutSettings,
  UpstreamTlsSettings,
} from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import { ProxyError } from "../core/error.ts";
import { FieldWriter } from "../core/field-writer.ts";
import { LIMITS } from "../core/limits.ts";
import type { ResponseSink, TransportAbilities, Upstream, UpstreamCall, UpstreamRequest } from "../proxy/ports.ts";
import { NOT_SENT, UpstreamFailure } from "../proxy/upstream-failure.ts";
import type { RuntimeFetch, TrustMaterial } from "../runtime/fetch-options.ts";
import type { TimerHandle, Timers } from "../runtime/timers.ts";
import type { Dial } from "./dial.ts";
import { FetchCall } from "./fetch-call.ts";
import type { CallOwner } from "./fetch-owner.ts";
import { firstWire, laneGap, originOf, type Lane } from "./lane.ts";

/** What the transport is made of. */
export interface FetchUpstreamParts {
  readonly snapshot: Pick<Snapshot, "pools" | "timeouts">;
  readonly runtime: RuntimeFetch;
  readonly timers: Timers;
  /** Reads certificate authorities, once for each pool. Throws `ProxyError`. */
  readonly readTrust: (tls: UpstreamTlsSettings) => TrustMaterial;
  readonly dial: Dial;
  readonly counters: Counters;
}

/** Fetch as a transport. */
export class FetchUpstream implements Upstream, CallOwner {
  readonly abilities: TransportAbilities;
  readonly runtime: RuntimeFetch;
  readonly timers: Timers;
  readonly timeouts: TimeoutSettings;
  readonly counters: Counters;
  readonly writer = new FieldWriter();
  readonly #dialer: Dial;
  readonly #lanes = new Map<BackendSettings, Lane>();
  readonly #calls = new Set<FetchCall>();
  #sweeping: TimerHandle | null = null;
  #closed = false;

  /** Throws `ProxyError` CONFIG_INVALID for backends that fetch cannot reach, CERTIFICATE for unusable authorities. */
  constructor(parts: FetchUpstreamParts) {
    this.runtime = parts.runtime;
    this.timers = parts.timers;
    this.timeouts = parts.snapshot.timeouts;
    this.counters = parts.counters;
    this.#dialer = parts.dial;
    this.abilities = { trailers: false, informational: false, fullDuplex: parts.runtime.fullDuplex };
    for (const pool of parts.snapshot.pools) {
      const trust = parts.readTrust(pool.tls);
      for (const backend of pool.backends) this.open(pool, backend, trust);
    }
  }

  /** A backend more. Throws `CONFIG_INVALID` for one that fetch cannot reach. */
  open(pool: PoolSettings, backend: BackendSettings, trust: TrustMaterial): void {
    const { runtime } = this;
    const gap = laneGap(backend, trust, runtime);
    if (gap !== null) throw new ProxyError("CONFIG_INVALID", `pool ${pool.name}, backend ${backend.id}: ${gap}`);
    const fetch = runtime.open({
      trust,
      idleConnectionsMax: pool.backendConnectionsMax,
      idleMs: LIMITS.upstreamIdleMsMax,
    });
    const learned = { wire: firstWire(backend), reachedMs: -Infinity, dialing: false, stalledCalls: 0 };
    this.#lanes.set(backend, { backend, origin: originOf(backend), fetch, ...learned });
  }

  /** Takes no further calls to a backend; those that run go on. */
  retire(backend: BackendSettings): void {
    this.#lanes.get(backend)?.fetch.close();
    this.#lanes.delete(backend);
  }

  /** Requests under way. */
  get running(): number {
    return this.#calls.size;
  }

  /** Calls to any backend whose receiver takes nothing. */
  stalledCalls = 0;

  /**
   * Whether a request that may go another way should. A receiver that takes nothing holds the HTTP/2 window of the runtime's one connection
   * to its backend, so that further requests over it may wait as long as it does; and each may leave a whole window unread in the
   * runtime's memory, where nothing of ours counts or bounds it (Bun 1.4.5: 60 stalled answers held 1 GiB).
   */
  isCrowded(backend: BackendSettings): boolean {
    if (this.stalledCalls === 0 && this.#calls.size < LIMITS.fetchHttp2CallsMax) return false;
    const lane = this.#lanes.get(backend);
    return lane?.wire === "http2" && (lane.stalledCalls > 0 || this.#calls.size >= LIMITS.fetchHttp2CallsMax);
  }

  onStall(lane: Lane, by: 1 | -1): void {
    lane.stalledCalls += by;
    this.stalledCalls += by;
  }

  start(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
    const lane = this.#lanes.get(request.backend);
    if (this.#closed || lane === undefined) {
      const why = this.#closed ? "the transport is closed" : `${request.backend.address} is retired`;
      sink.onFailure(new UpstreamFailure("DRAINING", why, NOT_SENT));
      return OVER;
    }
    const call = new FetchCall(this, lane, request, sink);
    this.#calls.add(call);
    // One look at all requests now and then is cheaper than a timer for each.
    this.#sweeping ??= this.timers.every(LIMITS.upstreamSweepMsMax, () => this.#sweep());
    call.begin();
    return call;
  }

  close(): void {
    this.#closed = true;
    for (const lane of this.#lanes.values()) lane.fetch.close();
  }

  forget(call: FetchCall): void {
    this.#calls.delete(call);
  }

  /** Asks once for all calls that wait. */
  dial(lane: Lane): void {
    if (lane.dialing || lane.wire === "http3") return;
    lane.dialing = true;
    this.counters.upstreamDials += 1;
    const beganMs = this.timers.nowMs();
    const { host, port } = lane.backend;
    void this.#dialer(host, port, this.timeouts.backendConnectMs / 2).then((error) => {
      lane.dialing = false;
      if (error === null) lane.reachedMs = Math.max(lane.reachedMs, beganMs);
      else for (const call of this.#calls) call.onUnreachable(lane, error, beganMs);
    });
  }

  #sweep(): void {
    const nowMs = this.timers.nowMs();
    for (const call of this.#calls) call.onSweep(nowMs);
    if (this.#calls.size > 0) return;
    this.#sweeping?.stop();
    this.#sweeping = null;
  }
}

/** For calls that ended before they began. */
const OVER: UpstreamCall = { resume() {}, cancel() {} };
