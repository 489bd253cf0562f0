/** Which backends of a pool may be used now: those that are healthy and have room for one more request. */
import { assert } from "../core/assert.ts";

/** Kept by index, in the order of the settings. Health and room change one byte when they change, so a pick pays nothing for them. */
export class Availability {
  /** One byte per backend, 1 may be picked; changed in place. What balancers read. */
  readonly usable: Uint8Array;
  readonly #healthy: Uint8Array;
  readonly #inFlight: Int32Array;
  readonly #inFlightMax: number;

  /** All are healthy at first. `inFlightMax` is the most requests that one of them has under way. */
  constructor(backends: number, inFlightMax: number = Infinity) {
    this.usable = new Uint8Array(backends).fill(1);
    this.#healthy = new Uint8Array(backends).fill(1);
    this.#inFlight = new Int32Array(backends);
    this.#inFlightMax = inFlightMax;
  }

  setHealthy(index: number, healthy: boolean): void {
    this.#healthy[index] = healthy ? 1 : 0;
    this.#judge(index);
  }

  /** Requests under way at a backend. */
  inFlight(index: number): number {
    return this.#inFlight[index] ?? 0;
  }

  /** A request goes to a backend that was usable. */
  take(index: number): void {
    const count = this.inFlight(index) + 1;
    assert(count <= this.#inFlightMax, "only a backend with room is picked");
    this.#inFlight[index] = count;
    if (count >= this.#inFlightMax) this.#judge(index);
  }

  /** It is over there. */
  give(index: number): void {
    const count = this.inFlight(index);
    assert(count > 0, "a request ends once");
    this.#inFlight[index] = count - 1;
    if (count >= this.#inFlightMax) this.#judge(index);
  }

  /** Whether a healthy backend lacks nothing but room: where none is usable, that is why. Looks at all of them. */
  isFull(): boolean {
    return this.#healthy.some((healthy, index) => healthy === 1 && this.inFlight(index) >= this.#inFlightMax);
  }

  #judge(index: number): void {
    this.usable[index] = this.#healthy[index] === 1 && this.inFlight(index) < this.#inFlightMax ? 1 : 0;
  }
}
