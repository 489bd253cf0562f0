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

  /** Progress was made: a response head came, or body bytes were sent that the peer will give credit for. */
  earn(tokens: number): void {
    this.#tokens = Math.min(LIMITS.h2FloodTokensMax, Math.max(0, this.#tokens) + tokens);
  }
}
