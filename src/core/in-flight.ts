/** Things under way against a maximum. */
import { assert } from "./assert.ts";

/** A count with a bound. Who takes a place gives it back, once. */
export class InFlight {
  readonly max: number;
  #count = 0;

  constructor(max: number) {
    this.max = max;
  }

  /** Places taken. */
  get count(): number {
    return this.#count;
  }

  /** Takes a place. False: there is none, and nothing is taken. */
  take(): boolean {
    if (this.#count >= this.max) return false;
    this.#count += 1;
    return true;
  }

  give(): void {
    assert(this.#count > 0, "a place is given back once");
    this.#count -= 1;
  }
}
