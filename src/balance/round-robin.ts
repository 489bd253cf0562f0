/**
 * Smooth weighted round-robin, as nginx does it: each pick raises every candidate's credit by its weight, takes the largest
 * credit and lowers it by the sum of the weights. Backends of large weight come often but not in a row.
 */
import { NO_BACKEND, weightsOf, type Balancer, type WeightedBackend } from "./policy.ts";

/** Deterministic: the same calls give the same picks. A pick looks at every backend of the pool. */
export class RoundRobin implements Balancer {
  readonly needsHash = false;
  readonly #weights: Int32Array;
  /**
   * Over all backends they sum to zero. A backend keeps its credit while it is not usable, so one that flaps neither gains nor
   * loses. In 200,000 picks with every pattern of flapping that was tried, no credit passed the sum of the weights, which is
   * 1,024,000 at most.
   */
  readonly #credits: Int32Array;

  constructor(backends: readonly WeightedBackend[]) {
    this.#weights = weightsOf(backends);
    this.#credits = new Int32Array(backends.length);
  }

  pick(usable: Uint8Array, excluded: number, _hash: number): number {
    const weights = this.#weights;
    const credits = this.#credits;
    let best = NO_BACKEND;
    let bestCredit = 0;
    let total = 0;
    for (let i = 0; i < weights.length; i++) {
      if (usable[i] !== 1 || i === excluded) continue;
      const weight = weights[i] ?? 0;
      const credit = (credits[i] ?? 0) + weight;
      credits[i] = credit;
      total += weight;
      if (best === NO_BACKEND || credit > bestCredit) {
        best = i;
        bestCredit = credit;
      }
    }
    if (best !== NO_BACKEND) credits[best] = bestCredit - total;
    return best;
  }
}
