/** Timers whose clock stands still until a test moves it. */
import type { TimerHandle, Timers } from "../../src/runtime/timers.ts";

interface Waiting {
  dueMs: number;
  readonly everyMs: number | null;
  readonly run: () => void;
}

/** A clock with timers; what is due runs inside `advance`, in order of time. */
export class ManualTimers implements Timers {
  readonly #waiting = new Set<Waiting>();
  #nowMs = 0;
  #epochMs: number;

  constructor(epochMs: number = Date.UTC(2026, 0, 2, 3, 4, 5, 6)) {
    this.#epochMs = epochMs;
  }

  /** Timers that have not run or been stopped. */
  get waiting(): number {
    return this.#waiting.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return this.#epochMs;
  }

  after(delayMs: number, run: () => void): TimerHandle {
    return this.#add({ dueMs: this.#nowMs + delayMs, everyMs: null, run });
  }

  every(intervalMs: number, run: () => void): TimerHandle {
    return this.#add({ dueMs: this.#nowMs + intervalMs, everyMs: intervalMs, run });
  }

  /** Moves the clock and runs what falls due on the way. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      let next: Waiting | null = null;
      for (const timer of this.#waiting) if (next === null || timer.dueMs < next.dueMs) next = timer;
      if (next === null || next.dueMs > untilMs) break;
      this.#moveTo(Math.max(next.dueMs, this.#nowMs));
      if (next.everyMs === null) this.#waiting.delete(next);
      else next.dueMs += next.everyMs;
      next.run();
    }
    this.#moveTo(untilMs);
  }

  #moveTo(ms: number): void {
    this.#epochMs += ms - this.#nowMs;
    this.#nowMs = ms;
  }

  #add(timer: Waiting): TimerHandle {
    this.#waiting.add(timer);
    return { stop: () => void this.#waiting.delete(timer) };
  }
}
