/** Random secrets of tokens and session tickets do not stay for as long as the program runs: the next ones take over again and again. */
import type { TimerHandle, Timers } from "../runtime/timers.ts";

/** What a rotation works on. */
export interface SecretRotationParts {
  readonly timers: Timers;
  /** How long secrets make tokens and tickets, milliseconds; null: they are not ours to change now. Asked again and again. */
  readonly periodMs: () => number | null;
  /** False: it cannot be done now, and is tried again soon. */
  readonly rotate: () => boolean;
}

/** Another period, or none, is noticed after this. */
const LOOK_MS_MAX = 60_000;
const RETRY_MS = 1000;

/** Rotates until it is stopped. Its time is that of the process: secrets that stood still with the machine were not used either. */
export class SecretRotation {
  readonly #parts: SecretRotationParts;
  #sinceMs: number;
  #timer: TimerHandle;

  constructor(parts: SecretRotationParts) {
    this.#parts = parts;
    this.#sinceMs = parts.timers.nowMs();
    this.#timer = this.#plan();
  }

  stop(): void {
    this.#timer.stop();
  }

  #plan(): TimerHandle {
    const { timers, periodMs } = this.#parts;
    const leftMs = this.#sinceMs + (periodMs() ?? Infinity) - timers.nowMs();
    return timers.after(Math.min(Math.max(0, leftMs), LOOK_MS_MAX), () => this.#look());
  }

  #look(): void {
    const { timers, periodMs, rotate } = this.#parts;
    const period = periodMs();
    const nowMs = timers.nowMs();
    // Whoever begins to have random secrets has fresh ones.
    if (period === null) this.#sinceMs = nowMs;
    else if (nowMs - this.#sinceMs >= period)
      this.#sinceMs = rotate() ? nowMs : nowMs - period + Math.min(RETRY_MS, period);
    this.#timer = this.#plan();
  }
}
