/** The runtime's clock and timers, for everything that is not driven by the event loop's own timer wheel. */
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";

/** A timer under way. */
export interface TimerHandle {
  /** Idempotent. */
  stop(): void;
}

/** Time and waiting, injected so that tests move the clock themselves. No timer keeps the process alive. */
export interface Timers {
  /** Monotonic milliseconds, fractions included. */
  nowMs(): number;
  /** Wall clock, milliseconds since the epoch. */
  epochMs(): number;
  after(delayMs: number, run: () => void): TimerHandle;
  every(intervalMs: number, run: () => void): TimerHandle;
}

/** The process's own. */
export const systemTimers: Timers = {
  nowMs: () => performance.now(),
  epochMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return { stop: () => clearTimeout(timer) };
  },
  every(intervalMs, run) {
    const timer = setInterval(run, intervalMs);
    timer.unref();
    return { stop: () => clearInterval(timer) };
  },
};
