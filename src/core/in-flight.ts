/** Things under way against a maximum. */
import { assert } from "./assert.ts";

/** A count with a bound. Who takes a place gives it back, once. */
export class InFlight {
  #max: number;
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Places at most. */
  get max(): number {
    return this.#max;
  }

  /** Places taken. */
  get count(): number {
    return this.#count;
  }

  /** Takes a place. False: there is none, and nothing is taken. */
  take(): boolean {
    if (this.#count >= this.#max) return false;
    this.#count += 1;
    return true;
  }

  /** Another bound from now on; who has a place keeps it. */
  resize(max: number): void {
    this.#max = max;
  }

  give(): void {
    assert(this.#count > 0, "a place is given back once");
    this.#count -= 1;
  }
}
