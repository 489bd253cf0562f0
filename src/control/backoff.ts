/** How long to wait before a worker that has ended is started again. Pure. */
import { LIMITS } from "../core/limits.ts";

const FIRST_MS = 100;

/** Of one slot. */
export class RestartBackoff {
  /** Ends in a row that came soon after the start. */
  #failures: number;

  /** `failures`: as another one has counted them. */
  constructor(failures = 0) {
    this.#failures = failures;
  }

  get failures(): number {
    return this.#failures;
  }

  /**
   * A worker has ended after `servedMs` of service, 0 when it never served. Gives the wait: none after a life of some length, so that
   * the slot serves again at once, and longer and longer ones while it keeps ending.
   */
  delayAfter(servedMs: number): number {
    if (servedMs >= LIMITS.workerSteadyMs) this.#failures = 0;
    const delayMs =
      this.#failures === 0 ? 0 : Math.min(FIRST_MS * 2 ** (this.#failures - 1), LIMITS.workerRestartMsMax);
    this.#failures += 1;
    return delayMs;
  }
}
