/** A pool's settings -> its balancer. */
import { unreachable } from "../core/assert.ts";
import type { Counters } from "../core/counters.ts";
import type { Random } from "../core/random.ts";
import type { PoolSettings } from "../config/snapshot.ts";
import { ConsistentHash } from "./consistent-hash.ts";
import type { Balancer } from "./policy.ts";
import { WeightedRandom } from "./random.ts";
import { RoundRobin } from "./round-robin.ts";

/** The balancer that the pool asks for. Indexes it picks are those of `pool.backends`; `random` becomes its own. */
export function createBalancer(
  pool: Pick<PoolSettings, "balancing" | "backends">,
  random: Random,
  counters: Pick<Counters, "ringWalksCut">,
): Balancer {
  switch (pool.balancing) {
    case "round-robin":
      return new RoundRobin(pool.backends);
    case "random":
      return new WeightedRandom(pool.backends, random);
    case "consistent-hash":
      return new ConsistentHash(pool.backends, counters);
    default:
      return unreachable(pool.balancing, "every balancing type has a policy");
  }
}
