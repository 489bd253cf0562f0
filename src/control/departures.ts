/** Waits until the last connection has gone: for so long at least, and no longer than their time allows. */
import type { Timers } from "../runtime/timers.ts";

interface Wait {
  readonly notBeforeMs: number;
  readonly resolve: () => void;
}

/** The connections of one server on their way out. */
export class Departures {
  readonly #count: () => number;
  readonly #timers: Timers;
  readonly #waits = new Set<Wait>();

  /** `count`: connections that are there now. */
  constructor(count: () => number, timers: Timers) {
    this.#count = count;
    this.#timers = timers;
  }

  /** Resolves when none is left and `leastMs` have passed, or when `mostMs` have, whoever is left. Several may wait. */
  async wait(leastMs: number, mostMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wait: Wait = { notBeforeMs: this.#timers.nowMs() + leastMs, resolve };
    this.#waits.add(wait);
    // A runtime's timer may come a little early.
    const least = this.#timers.after(leastMs + 1, () => this.check());
    const most = this.#timers.after(mostMs, resolve);
    this.check();
    await promise;
    least.stop();
    most.stop();
    this.#waits.delete(wait);
  }

  /** One has gone. */
  check(): void {
    if (this.#waits.size === 0 || this.#count() > 0) return;
    const nowMs = this.#timers.nowMs();
    for (const { notBeforeMs, resolve } of this.#waits) if (nowMs >= notBeforeMs) resolve();
  }
}
