/**
 * When one backend is probed. The first probe comes at a random time within the first interval and every later interval
 * varies a little, so that the probes of many backends, and of many proxies started together, do not fire together.
 */
import { assert } from "../core/assert.ts";
import type { Random } from "../core/random.ts";

/** Intervals vary by this share up and down: they stay close to what is configured, and drift apart within some ten probes. */
const JITTER_SHARE = 0.1;

/** A hurried probe comes this share of the interval after the one before: quick, and still bounded under a storm of failures. */
const HURRY_SHARE = 0.1;

/** The schedule of one backend's probes. Pure: the owner starts a probe when it is due, one at a time. */
export class ProbeSchedule {
  readonly #intervalMs: number;
  readonly #random: Random;
  #startedMs: number;
  #nextMs: number;

  /** `random` is shared by the schedules of a process. */
  constructor(intervalMs: number, nowMs: number, random: Random) {
    assert(intervalMs > 0, "an interval is longer than nothing");
    this.#intervalMs = intervalMs;
    this.#random = random;
    this.#startedMs = nowMs;
    this.#nextMs = nowMs + this.#upTo(intervalMs);
  }

  /** When the next probe is due. In the past when a probe took longer than the interval: then start at once. */
  get nextProbeAtMs(): number {
    return this.#nextMs;
  }

  /** A probe starts now. Intervals run from start to start, so a slow backend is not probed less. */
  onStarted(nowMs: number): void {
    const jitterMs = this.#intervalMs * JITTER_SHARE;
    this.#startedMs = nowMs;
    this.#nextMs = nowMs + this.#intervalMs - jitterMs + this.#upTo(2 * jitterMs);
  }

  /** The backend is in doubt: brings the next probe forward, to a tenth of the interval after the last one or to now. */
  hurry(nowMs: number): void {
    const soonMs = Math.max(nowMs, this.#startedMs + this.#intervalMs * HURRY_SHARE);
    this.#nextMs = Math.min(this.#nextMs, soonMs);
  }

  /** A random time from 0 to below the given one, in steps finer than a timer's. */
  #upTo(spanMs: number): number {
    return (this.#random.nextUint32() / 0x1_0000_0000) * spanMs;
  }
}
