/**
 * Healthy or not: what the evidence about one backend means. Pure; times are given.
 *
 *                 failureThreshold failures in a row
 *     healthy  ----------------------------------------->  unhealthy
 *              <-----------------------------------------
 *                 successThreshold successes in a row, and the cooldown is over
 *
 * A backend starts healthy: traffic need not wait for the first probes after a start or a reload, and a dead backend is found
 * by them or by the first refused connection. Successes during the cooldown count; the change itself comes with the first
 * success after it. A failure starts the count of successes anew but does not lengthen the cooldown.
 */
import { assert } from "../core/assert.ts";
import type { HealthCheckSettings } from "../config/snapshot.ts";

/** The thresholds that a verdict reads. */
export type VerdictSettings = Pick<HealthCheckSettings, "failureThreshold" | "successThreshold" | "cooldownMs">;

/** The verdict on one backend that has active probes. One without probes is always taken as healthy and needs none. */
export class HealthVerdict {
  readonly #settings: VerdictSettings;
  #healthy = true;
  /** Evidence in a row against the present state: failures while healthy, successes while not. */
  #against = 0;
  /** End of the cooldown; read only while unhealthy. */
  #cooledMs = 0;
  /** Whether a connect failure was counted since the last probe. */
  #connectFailureCounted = false;

  constructor(settings: VerdictSettings) {
    assert(settings.failureThreshold >= 1 && settings.successThreshold >= 1, "thresholds are at least 1");
    assert(settings.cooldownMs >= 0, "a cooldown is not negative");
    this.#settings = settings;
  }

  /** Whether requests may be sent to the backend. */
  get isHealthy(): boolean {
    return this.#healthy;
  }

  /** A probe ended. True when the state changed with it. */
  onProbe(ok: boolean, nowMs: number): boolean {
    this.#connectFailureCounted = false;
    if (this.#healthy) return ok ? this.#restart() : this.#onFailure(nowMs);
    return ok ? this.#onSuccess(nowMs) : this.#restart();
  }

  /**
   * A request could not reach the backend: nothing was sent. Counts as one failed probe, but once between two probes only: a
   * burst of requests in a bad second must not outvote a threshold that was chosen for probes. (Ask for the next probe
   * soon, see `ProbeSchedule.hurry`.) Ignored while unhealthy: those requests began before. True when the state changed.
   */
  onConnectFailure(nowMs: number): boolean {
    if (!this.#healthy || this.#connectFailureCounted) return false;
    this.#connectFailureCounted = true;
    return this.#onFailure(nowMs);
  }

  #onFailure(nowMs: number): boolean {
    this.#against++;
    if (this.#against < this.#settings.failureThreshold) return false;
    this.#healthy = false;
    this.#against = 0;
    this.#cooledMs = nowMs + this.#settings.cooldownMs;
    return true;
  }

  #onSuccess(nowMs: number): boolean {
    this.#against++;
    if (this.#against < this.#settings.successThreshold || nowMs < this.#cooledMs) return false;
    this.#healthy = true;
    this.#against = 0;
    return true;
  }

  /** Evidence for the present state ends the row against it. */
  #restart(): false {
    this.#against = 0;
    return false;
  }
}
