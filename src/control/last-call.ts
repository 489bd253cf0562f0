/** When whoever still lives is ended by force: the earliest of all times that were set. Pure but for the timers. */
import type { TimerHandle, Timers } from "../runtime/timers.ts";

/** Of one crew. */
export class LastCall {
  readonly #timers: Timers;
  readonly #onTime: () => void;
  #set: TimerHandle[] = [];
  #atMs = Infinity;

  constructor(timers: Timers, onTime: () => void) {
    this.#timers = timers;
    this.#onTime = onTime;
  }

  /** Until it comes, milliseconds; Infinity while nobody has set a time. */
  get leftMs(): number {
    return Math.max(0, this.#atMs - this.#timers.nowMs());
  }

  /** After so long at the latest. */
  after(delayMs: number): void {
    this.#atMs = Math.min(this.#atMs, this.#timers.nowMs() + delayMs);
    this.#set.push(this.#timers.after(delayMs, this.#onTime));
  }

  /** Nobody is left. */
  stop(): void {
    for (const timer of this.#set) timer.stop();
  }
}
