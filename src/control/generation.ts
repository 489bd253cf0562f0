/**
 * One configuration at work for requests: its routes, its pools, its deadlines. Another one takes over from it in one step; requests that
 * have begun keep it, and with the last of them it is given up.
 */
import { Availability } from "../balance/availability.ts";
import { createBalancer } from "../balance/create.ts";
import type { Balancer } from "../balance/policy.ts";
import type { PoolSettings, Snapshot } from "../config/snapshot.ts";
import { assert, must } from "../core/assert.ts";
import type { Counters } from "../core/counters.ts";
import { InFlight } from "../core/in-flight.ts";
import type { Random } from "../core/random.ts";
import type { RequestHead } from "../h3/head.ts";
import type { Generation } from "../proxy/context.ts";
import type { FieldSection } from "../core/fields.ts";
import { type Bounded, RequestDeadlines } from "../proxy/deadlines.ts";
import { Pool } from "../proxy/pool.ts";
import type { Upstream } from "../proxy/ports.ts";
import { showsUnreachable } from "../proxy/retry.ts";
import type { UpstreamFailure } from "../proxy/upstream-failure.ts";
import type { RouteTable } from "../route/table.ts";
import { compileRoutes } from "../route/table.ts";
import type { TimerHandle, Timers } from "../runtime/timers.ts";
import type { Backends, BackendsOfPools, KnownBackend } from "./backends.ts";
import type { HealthMonitor, WatchedBackend } from "./health.ts";

/** What all generations of a process share. */
export interface GenerationParts {
  readonly backends: Backends;
  readonly health: HealthMonitor;
  readonly timers: Timers;
  readonly random: Random;
  readonly counters: Counters;
}

/** A generation, from its making to its end. */
export class LiveGeneration implements Generation {
  readonly snapshot: Snapshot;
  readonly routes: RouteTable;
  readonly pools: readonly Pool[];
  readonly deadlines: RequestDeadlines | null;
  readonly #parts: GenerationParts;
  readonly #backends: BackendsOfPools;
  readonly #watched: readonly (readonly WatchedBackend[])[];
  #running = 0;
  #onFreed: (() => void) | null = null;
  #late: TimerHandle | null = null;
  #freed = false;

  /**
   * Made beside the one `before`, which serves on: nothing of it changes. Throws `ProxyError` for backends that cannot be reached as
   * configured, with nothing left open.
   */
  constructor(snapshot: Snapshot, parts: GenerationParts, before: LiveGeneration | null = null) {
    this.snapshot = snapshot;
    this.#parts = parts;
    this.routes = compileRoutes(snapshot.pools);
    const { requestTotalMs } = snapshot.timeouts;
    this.deadlines = requestTotalMs === Infinity ? null : new RequestDeadlines(requestTotalMs);
    this.#backends = parts.backends.take(snapshot);
    this.pools = snapshot.pools.map((settings, i) => this.#poolOf(settings, this.#known(i), before));
    this.#watched = snapshot.pools.map((pool, i) =>
      this.#known(i).map(({ reach, state, transports }, j) => {
        const backend = must(pool.backends[j], "what is known is known of a backend");
        return { pool, backend, reach, state, way: transports };
      }),
    );
  }

  /** Exchanges that began with it and are not over. */
  get running(): number {
    return this.#running;
  }

  /** It is the one at work from now on: its bounds hold, and its backends are those that are asked how they are. */
  enter(): void {
    for (const { inFlight, settings } of this.pools) inFlight.resize(settings.inFlightMax);
    this.#parts.health.watch(this.#watched.flat());
  }

  /**
   * Another one is. It is freed with its last exchange, or after `mostMs`: an exchange that still runs then finishes on the connections
   * that it has. `onFreed` is called once, later.
   */
  supersede(mostMs: number, onFreed: () => void): void {
    assert(this.#onFreed === null, "a generation is superseded once");
    this.#onFreed = onFreed;
    this.#late = this.#parts.timers.after(this.#running === 0 ? 0 : mostMs, () => this.free());
  }

  /** Gives up what nobody else uses. Idempotent. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#late?.stop();
    for (const { availability } of this.pools) availability.close();
    this.#parts.backends.giveBack(this.#backends);
    this.#onFreed?.();
  }

  begin(exchange: Bounded, fields: FieldSection): void {
    this.#running += 1;
    this.deadlines?.begin(exchange, fields);
  }

  end(exchange: Bounded): void {
    this.#running -= 1;
    this.deadlines?.end(exchange);
    if (this.#running > 0 || this.#onFreed === null || this.#freed) return;
    // Not now: the transport that has ended this exchange is still at work on it.
    this.#late?.stop();
    this.#late = this.#parts.timers.after(0, () => this.free());
  }

  upstreamOf(poolIndex: number, backendIndex: number, head: RequestHead, hasBody: boolean): Upstream {
    const { transports, reach } = must(this.#backends[poolIndex]?.[backendIndex], "the pool has picked one of its own");
    return transports.forRequest(reach, head, hasBody);
  }

  onFailure(poolIndex: number, backendIndex: number, failure: UpstreamFailure): void {
    const watched = this.#watched[poolIndex]?.[backendIndex];
    const known = this.#backends[poolIndex]?.[backendIndex];
    if (watched === undefined || known === undefined) return;
    known.transports.onFailure(known.reach, failure);
    if (showsUnreachable(failure)) this.#parts.health.onUnreachable(watched, failure);
  }

  #known(index: number): readonly KnownBackend[] {
    return must(this.#backends[index], "every pool has its backends");
  }

  #poolOf(settings: PoolSettings, known: readonly KnownBackend[], before: LiveGeneration | null): Pool {
    const former = before?.pools.find((pool) => pool.settings.name === settings.name) ?? null;
    return new Pool({
      settings,
      balancer: this.#balancerOf(settings, former),
      availability: new Availability(
        known.map(({ state }) => state),
        settings.backendInFlightMax,
      ),
      bodies: this.#parts.counters.bodies.of(settings.name),
      inFlight: former?.inFlight ?? new InFlight(settings.inFlightMax),
      reaches: known.map(({ reach }) => reach),
    });
  }

  /** One that would choose alike goes on where it is. */
  #balancerOf(settings: PoolSettings, former: Pool | null): Balancer {
    if (former !== null && choiceOf(former.settings) === choiceOf(settings)) return former.balancer;
    return createBalancer(settings, this.#parts.random.fork(), this.#parts.counters);
  }
}

/** What a balancer goes by. */
function choiceOf({ balancing, backends }: PoolSettings): string {
  return JSON.stringify([balancing, backends.map(({ id, address, weight }) => [id, address, weight])]);
}
