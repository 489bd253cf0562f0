/** A budget that fills with time: the shape of every bound of the form "so many at once, and so many each second beyond that". */
import { assert } from "../core/assert.ts";

/** How a bucket fills. */
export interface BucketShape {
  /** Tokens that come back each second; 0 for a budget that time does not fill. */
  readonly perSecond: number;
  /** Tokens that a full bucket holds, which is what may be taken at once. */
  readonly burst: number;
}

/** A full bucket to begin with. Time is given and may stand still; one that goes back is taken as standing still. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #filledMs: number;

  constructor({ perSecond, burst }: BucketShape, nowMs: number) {
    assert(perSecond >= 0 && Number.isFinite(perSecond), "a rate is a number of tokens for each second");
    assert(burst >= 0, "a burst is a number of tokens");
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledMs = nowMs;
  }

  /** Tokens that were left when some were last taken or given. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Takes `count` tokens. False: there are fewer, and none was taken. */
  take(nowMs: number, count: number = 1): boolean {
    if (nowMs > this.#filledMs) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#filledMs) * this.#perMs);
      this.#filledMs = nowMs;
    }
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** Gives tokens back, for work that turned out well; a full bucket takes no more. */
  give(count: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + count);
  }
}
