/** Weighted random: each usable backend is picked with the chance of its weight among the usable ones. */
import type { Random } from "../core/random.ts";
import { NO_BACKEND, weightsOf, type Balancer, type WeightedBackend } from "./policy.ts";

/** Keeps no state but the generator, so picks of several processes do not march in step. */
export class WeightedRandom implements Balancer {
  readonly needsHash = false;
  readonly #weights: Int32Array;
  readonly #random: Random;

  constructor(backends: readonly WeightedBackend[], random: Random) {
    this.#weights = weightsOf(backends);
    this.#random = random;
  }

  pick(usable: Uint8Array, excluded: number, _hash: number): number {
    const weights = this.#weights;
    let total = 0;
    for (let i = 0; i < weights.length; i++) {
      if (usable[i] === 1 && i !== excluded) total += weights[i] ?? 0;
    }
    if (total === 0) return NO_BACKEND;
    let left = this.#random.nextBelow(total);
    for (let i = 0; i < weights.length; i++) {
      if (usable[i] !== 1 || i === excluded) continue;
      left -= weights[i] ?? 0;
      if (left < 0) return i;
    }
    return NO_BACKEND;
  }
}
