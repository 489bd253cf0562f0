/** Active health checks at work: asks each backend when its schedule says so and writes the verdicts where the balancer reads. */
import { Availability } from "../balance/availability.ts";
import type { BackendSettings, HealthCheckSettings, PoolSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import type { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/random.ts";
import { ProbeSchedule } from "../health/schedule.ts";
import { HealthVerdict } from "../health/verdict.ts";
import type { Logger } from "../observe/log.ts";
import type { TimerHandle, Timers } from "../runtime/timers.ts";
import type { Probe, ProbeResult } from "../upstream/probe.ts";

/** What the monitor is made of. */
export interface HealthParts {
  readonly timers: Timers;
  readonly random: Random;
  readonly probe: Probe;
  readonly log: Logger;
  readonly counters: Counters;
  /** A backend has become healthy or unhealthy. */
  readonly onTransition: (backend: BackendSettings) => void;
}

interface Watched {
  readonly pool: PoolSettings;
  readonly backend: BackendSettings;
  readonly availability: Availability;
  readonly index: number;
  readonly check: HealthCheckSettings;
  readonly verdict: HealthVerdict;
  readonly schedule: ProbeSchedule;
  timer: TimerHandle | null;
  /** `planned`: its time has not come. `waiting`: it has, and as many probes run as may. `asking`: its probe runs. */
  state: "planned" | "waiting" | "asking";
}

/** Watches the backends of a snapshot. */
export class HealthMonitor {
  /** Of each pool's backends, by pool index. Those without a check are always healthy. */
  readonly availability: readonly Availability[];
  readonly #parts: HealthParts;
  readonly #pools: readonly PoolSettings[];
  /** When each backend was last said to be out of reach. */
  readonly #toldMs = new Map<BackendSettings, number>();
  readonly #watched: readonly (Watched | null)[][];
  readonly #waiting: Watched[] = [];
  #running = 0;
  #stopped = false;

  constructor(pools: readonly PoolSettings[], parts: HealthParts) {
    this.#parts = parts;
    this.#pools = pools;
    this.availability = pools.map((pool) => new Availability(pool.backends.length, pool.backendInFlightMax));
    this.#watched = pools.map((pool, i) => {
      const availability = this.availability[i];
      return pool.backends.map((_, index) => this.#watch(pool, index, availability));
    });
  }

  /** Begins to ask. */
  start(): void {
    for (const watched of this.#watched.flat()) if (watched !== null) this.#plan(watched);
  }

  /** Asks no more; answers that are under way are ignored. */
  stop(): void {
    this.#stopped = true;
    for (const watched of this.#watched.flat()) watched?.timer?.stop();
  }

  /** A request could not reach a backend: evidence, and a reason to ask soon. */
  onUnreachable(poolIndex: number, backendIndex: number, error: ProxyError): void {
    this.#tell(poolIndex, backendIndex, error);
    const watched = this.#watched[poolIndex]?.[backendIndex] ?? null;
    if (watched === null || this.#stopped) return;
    const nowMs = this.#parts.timers.nowMs();
    if (watched.verdict.onConnectFailure(nowMs)) this.#report(watched, error.message);
    watched.schedule.hurry(nowMs);
    if (watched.state === "planned") this.#plan(watched);
  }

  /** A request may still have been served by another backend, and then nothing else would say that this one is down. */
  #tell(poolIndex: number, backendIndex: number, error: ProxyError): void {
    const pool = this.#pools[poolIndex];
    const backend = pool?.backends[backendIndex];
    if (pool === undefined || backend === undefined || this.#stopped) return;
    const nowMs = this.#parts.timers.nowMs();
    if (nowMs - (this.#toldMs.get(backend) ?? -Infinity) < LIMITS.unreachableLineMsMin) return;
    this.#toldMs.set(backend, nowMs);
    const fields = { upstream: pool.name, backend: backend.id, address: backend.address, error: error.code };
    this.#parts.log.warn(`backend cannot be reached: ${error.message}`, fields);
  }

  #watch(pool: PoolSettings, index: number, availability: Availability | undefined): Watched | null {
    const backend = pool.backends[index];
    const check = backend?.healthCheck ?? null;
    if (backend === undefined || availability === undefined || check === null) return null;
    const schedule = new ProbeSchedule(check.intervalMs, this.#parts.timers.nowMs(), this.#parts.random);
    return {
      pool,
      backend,
      availability,
      index,
      check,
      verdict: new HealthVerdict(check),
      schedule,
      timer: null,
      state: "planned",
    };
  }

  #plan(watched: Watched): void {
    watched.state = "planned";
    watched.timer?.stop();
    const delayMs = Math.max(0, watched.schedule.nextProbeAtMs - this.#parts.timers.nowMs());
    watched.timer = this.#parts.timers.after(delayMs, () => this.#ask(watched));
  }

  #ask(watched: Watched): void {
    if (this.#stopped) return;
    if (this.#running >= LIMITS.probesAtOnceMax) {
      // At most one entry for each backend: it is planned anew only after its probe.
      watched.state = "waiting";
      this.#parts.counters.probesDelayed += 1;
      this.#waiting.push(watched);
      return;
    }
    this.#running += 1;
    watched.state = "asking";
    watched.schedule.onStarted(this.#parts.timers.nowMs());
    this.#parts.counters.probesSent += 1;
    void this.#parts.probe(watched.pool, watched.backend).then((result) => this.#onResult(watched, result));
  }

  #onResult(watched: Watched, { ok, reason }: ProbeResult): void {
    this.#running -= 1;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#ask(next);
    if (this.#stopped) return;
    if (!ok) this.#parts.counters.probesFailed += 1;
    const { pool, backend } = watched;
    this.#parts.log.debug("health check", { upstream: pool.name, backend: backend.id, ok, reason });
    if (watched.verdict.onProbe(ok, this.#parts.timers.nowMs())) this.#report(watched, reason);
    this.#plan(watched);
  }

  #report(watched: Watched, reason: string): void {
    const { pool, backend, verdict, availability, index, check } = watched;
    const healthy = verdict.isHealthy;
    availability.setHealthy(index, healthy);
    this.#parts.counters.healthTransitions += 1;
    this.#parts.onTransition(backend);
    const [from, to] = healthy ? ["unhealthy", "healthy"] : ["healthy", "unhealthy"];
    const what = { upstream: pool.name, backend: backend.id, address: backend.address, path: check.path };
    const fields = { ...what, from, to, reason };
    if (healthy) this.#parts.log.info("health check: backend is healthy again", fields);
    else this.#parts.log.warn("health check: backend is unhealthy", fields);
  }
}
