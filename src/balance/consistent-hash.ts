/**
 * Consistent hash: equal keys go to the same backend as long as it is usable. The ring holds all backends and stays as it is
 * when health changes; points of backends that are not usable are passed over, so only their keys move, and they come back.
 */
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import { HashRing } from "./hash-ring.ts";
import { NO_BACKEND, type Balancer, type WeightedBackend } from "./policy.ts";

/** The keys of a backend that leaves are shared by all others, for its points are spread over the ring. */
export class ConsistentHash implements Balancer {
  readonly needsHash = true;
  readonly #ring: HashRing;
  readonly #backendCount: number;
  readonly #counters: Pick<Counters, "ringWalksCut">;

  constructor(backends: readonly WeightedBackend[], counters: Pick<Counters, "ringWalksCut">) {
    this.#ring = new HashRing(backends);
    this.#backendCount = backends.length;
    this.#counters = counters;
  }

  pick(usable: Uint8Array, excluded: number, hash: number): number {
    const owners = this.#ring.owners;
    const pointCount = owners.length;
    const steps = Math.min(pointCount, LIMITS.ringWalkPointsMax);
    let point = this.#ring.pointAt(hash);
    for (let step = 0; step < steps; step++) {
      const owner = owners[point] ?? 0;
      if (usable[owner] === 1 && owner !== excluded) return owner;
      point = point + 1 === pointCount ? 0 : point + 1;
    }
    // Every backend has a point, so a whole turn has asked all of them.
    return steps === pointCount ? NO_BACKEND : this.#scan(usable, excluded, hash);
  }

  /**
   * For a pool nearly all of which is down: the walk met nothing within its limit. Still the same backend for the same key while
   * health stays as it is, but no longer by weight.
   */
  #scan(usable: Uint8Array, excluded: number, hash: number): number {
    this.#counters.ringWalksCut++;
    const count = this.#backendCount;
    let index = hash % count;
    for (let step = 0; step < count; step++) {
      if (usable[index] === 1 && index !== excluded) return index;
      index = index + 1 === count ? 0 : index + 1;
    }
    return NO_BACKEND;
  }
}
