/** Waits until the last connection has gone: for so long at least, and no longer than their time allows. */
import { LIMITS } from "../core/limits.ts";
import type { Timers } from "../runtime/timers.ts";

/** How often it is looked whether connections are ending, milliseconds: nobody tells. */
const LOOK_EVERY_MS = 25;

interface Wait {
  readonly notBeforeMs: number;
  readonly resolve: () => void;
}

/** Whoever has connections. */
export interface House {
  /** All that there are. */
  readonly connectionCount: number;
  /** Those of them that nobody has closed. */
  readonly openCount: number;
}

/**
 * The connections of one server on their way out. One that is closed stays for three times its probe time-out, to say so again to a
 * client that has not heard it (RFC 9000 10.2), which takes seconds where the round trip does. When all are closed, that is waited for
 * a short while only: whoever asks later hears that the port is shut, or gets a stateless reset from another worker.
 */
export class Departures {
  readonly #house: House;
  readonly #timers: Timers;
  readonly #waits = new Set<Wait>();
  /** Since when none is open; Infinity while one is. */
  #shutSinceMs = Infinity;

  constructor(house: House, timers: Timers) {
    this.#house = house;
    this.#timers = timers;
  }

  /** Resolves when none is left and `leastMs` have passed, or when `mostMs` have, whoever is left. Several may wait. */
  async wait(leastMs: number, mostMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wait: Wait = { notBeforeMs: this.#timers.nowMs() + leastMs, resolve };
    this.#waits.add(wait);
    const looking = this.#timers.every(LOOK_EVERY_MS, () => this.check());
    const most = this.#timers.after(mostMs, resolve);
    this.check();
    await promise;
    looking.stop();
    most.stop();
    this.#waits.delete(wait);
  }

  /** One has gone, or may have been closed. */
  check(): void {
    if (this.#waits.size === 0) return;
    const nowMs = this.#timers.nowMs();
    if (this.#house.openCount > 0) this.#shutSinceMs = Infinity;
    else this.#shutSinceMs = Math.min(this.#shutSinceMs, nowMs);
    const isOver = this.#house.connectionCount === 0 || nowMs - this.#shutSinceMs >= LIMITS.closingMsMax;
    if (!isOver) return;
    for (const { notBeforeMs, resolve } of this.#waits) if (nowMs >= notBeforeMs) resolve();
  }
}
