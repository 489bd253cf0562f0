/** Active health checks at work: asks each backend when its schedule says so and writes the verdicts where the balancer reads. */
import type { BackendState } from "../balance/availability.ts";
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
  readonly log: Logger;
  readonly counters: Counters;
}

/** How a backend is asked, and what hears of its health. */
export interface HealthWay {
  readonly probe: Probe;
  /** It has become healthy or unhealthy. */
  relearn(backend: BackendSettings): void;
}

/** A backend of the configuration at work. */
export interface WatchedBackend {
  readonly pool: PoolSettings;
  readonly backend: BackendSettings;
  /** What its way knows it by. */
  readonly reach: BackendSettings;
  /** Where its verdict is written; the same from one configuration to the next for a backend that stays. */
  readonly state: BackendState;
  readonly way: HealthWay;
}

interface Watched {
  /** As the configuration at work has it. */
  who: WatchedBackend;
  readonly check: HealthCheckSettings;
  readonly verdict: HealthVerdict;
  readonly schedule: ProbeSchedule;
  timer: TimerHandle | null;
  /** `planned`: its time has not come. `waiting`: it has, and as many probes run as may. `asking`: its probe runs. `over`: nobody asks any more. */
  phase: "planned" | "waiting" | "asking" | "over";
}

/** Watches the backends of one configuration after the other. */
export class HealthMonitor {
  readonly #parts: HealthParts;
  /** When each backend was last said to be out of reach. */
  readonly #toldMs = new WeakMap<BackendState, number>();
  #watched = new Map<BackendState, Watched>();
  readonly #waiting: Watched[] = [];
  #running = 0;
  #started = false;
  #stopped = false;

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /**
   * Watches these from now on and no others. The verdict on a backend whose state and check are the ones that it had goes on, with the
   * probe that may be under way; all others begin as healthy. Those without a check are always healthy.
   */
  watch(backends: readonly WatchedBackend[]): void {
    const before = this.#watched;
    this.#watched = new Map();
    for (const who of backends) {
      const check = who.backend.healthCheck;
      const known = before.get(who.state);
      if (known !== undefined && check !== null && isSameCheck(known.check, check)) {
        known.who = who;
        this.#watched.set(who.state, known);
        before.delete(who.state);
      } else {
        if (!who.state.healthy) who.state.setHealthy(true);
        if (check !== null) this.#watched.set(who.state, this.#begin(who, check));
      }
    }
    for (const watched of before.values()) end(watched);
  }

  /** Begins to ask. */
  start(): void {
    this.#started = true;
    for (const watched of this.#watched.values()) this.#plan(watched);
  }

  /** Asks no more; answers that are under way are ignored. */
  stop(): void {
    this.#stopped = true;
    for (const watched of this.#watched.values()) end(watched);
  }

  /** A request could not reach a backend: evidence, and a reason to ask soon. */
  onUnreachable(who: WatchedBackend, error: ProxyError): void {
    this.#tell(who, error);
    const watched = this.#watched.get(who.state) ?? null;
    if (watched === null || this.#stopped) return;
    const nowMs = this.#parts.timers.nowMs();
    if (watched.verdict.onConnectFailure(nowMs)) this.#report(watched, error.message);
    watched.schedule.hurry(nowMs);
    if (watched.phase === "planned") this.#plan(watched);
  }

  /** A request may still have been served by another backend, and then nothing else would say that this one is down. */
  #tell({ pool, backend, state }: WatchedBackend, error: ProxyError): void {
    if (this.#stopped) return;
    const nowMs = this.#parts.timers.nowMs();
    if (nowMs - (this.#toldMs.get(state) ?? -Infinity) < LIMITS.unreachableLineMsMin) return;
    this.#toldMs.set(state, nowMs);
    const fields = { upstream: pool.name, backend: backend.id, address: backend.address, error: error.code };
    this.#parts.log.warn(`backend cannot be reached: ${error.message}`, fields);
  }

  #begin(who: WatchedBackend, check: HealthCheckSettings): Watched {
    const schedule = new ProbeSchedule(check.intervalMs, this.#parts.timers.nowMs(), this.#parts.random);
    const watched: Watched = {
      ...{ who, check, verdict: new HealthVerdict(check), schedule, timer: null, phase: "planned" },
    };
    if (this.#started) this.#plan(watched);
    return watched;
  }

  #plan(watched: Watched): void {
    watched.phase = "planned";
    watched.timer?.stop();
    const delayMs = Math.max(0, watched.schedule.nextProbeAtMs - this.#parts.timers.nowMs());
    watched.timer = this.#parts.timers.after(delayMs, () => this.#ask(watched));
  }

  #ask(watched: Watched): void {
    if (watched.phase === "over") return;
    if (this.#running >= LIMITS.probesAtOnceMax) {
      // At most one entry for each backend: it is planned anew only after its probe.
      watched.phase = "waiting";
      this.#parts.counters.probesDelayed += 1;
      this.#waiting.push(watched);
      return;
    }
    this.#running += 1;
    watched.phase = "asking";
    watched.schedule.onStarted(this.#parts.timers.nowMs());
    this.#parts.counters.probesSent += 1;
    const { pool, backend, reach, way } = watched.who;
    void way.probe(pool, backend, reach).then((result) => this.#onResult(watched, result));
  }

  #onResult(watched: Watched, { ok, reason, isOurs = false }: ProbeResult): void {
    this.#running -= 1;
    this.#askNext();
    if (watched.phase === "over") return;
    if (!ok) this.#parts.counters.probesFailed += 1;
    const { pool, backend } = watched.who;
    this.#parts.log.debug("health check", { upstream: pool.name, backend: backend.id, ok, reason });
    if (!isOurs && watched.verdict.onProbe(ok, this.#parts.timers.nowMs())) this.#report(watched, reason);
    this.#plan(watched);
  }

  /** The first of those that wait and are still asked. */
  #askNext(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      if (next.phase !== "over") return this.#ask(next);
  }

  #report({ who, verdict, check }: Watched, reason: string): void {
    const { pool, backend, state, reach, way } = who;
    const healthy = verdict.isHealthy;
    state.setHealthy(healthy);
    this.#parts.counters.healthTransitions += 1;
    way.relearn(reach);
    const [from, to] = healthy ? ["unhealthy", "healthy"] : ["healthy", "unhealthy"];
    const what = { upstream: pool.name, backend: backend.id, address: backend.address, path: check.path };
    const fields = { ...what, from, to, reason };
    if (healthy) this.#parts.log.info("health check: backend is healthy again", fields);
    else this.#parts.log.warn("health check: backend is unhealthy", fields);
  }
}

function end(watched: Watched): void {
  watched.phase = "over";
  watched.timer?.stop();
}

function isSameCheck(one: HealthCheckSettings, other: HealthCheckSettings): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
