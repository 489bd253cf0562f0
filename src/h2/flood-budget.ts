/** A budget for frames that cost work and bring nothing: a token bucket that fills with time and with progress. */
import { LIMITS } from "../core/limits.ts";

/** The budget of one connection. */
export class FloodBudget {
  #tokens: number = LIMITS.h2FloodTokensMax;
  #filledMs: number;

  constructor(nowMs: number) {
    this.#filledMs = nowMs;
  }

  /** Pays for one such frame. False: the peer has used up its budget. The clock is looked at only when that seems so. */
  spend(nowMs: number): boolean {
    if (this.#tokens < 1) {
      this.earn(((nowMs - this.#filledMs) * LIMITS.h2FloodTokensPerSecond) / 1000);
      this.#filledMs = nowMs;
    }
    this.#tokens -= 1;
    return this.#tokens >= 0;
  }

  /** Progress was made, or we did what a good peer answers: a response head came, a piece of a body went out, a stream was given up. */
  earn(tokens: number): void {
    this.#tokens = Math.min(LIMITS.h2FloodTokensMax, Math.max(0, this.#tokens) + tokens);
  }
}
