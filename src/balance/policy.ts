/** What all balancing policies obey: from the backends that may be used now, choose one, by weight. */
import { assert } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import type { BackendSettings } from "../config/snapshot.ts";

/** No backend: the answer of `pick` when none may be used. */
export const NO_BACKEND = -1;

/** For `pick`: nothing is excluded, this is the first try. */
export const NONE_EXCLUDED = -1;

/** Chooses backends of one pool. Made for one snapshot; other weights or backends make a new one. */
export interface Balancer {
  /** Whether `pick` reads `hash`; where not, the caller need not compute one. */
  readonly needsHash: boolean;
  /**
   * The index of a backend, in the order it was made with, or `NO_BACKEND`.
   *
   * `usable` has one byte per backend: 1 may be picked (healthy), 0 may not. It is only read during the call, so one array per
   * pool, changed in place by health verdicts, serves every pick. `excluded` is the index of the backend that has just
   * failed this request, or `NONE_EXCLUDED`; who must exclude several passes a copy of `usable` with their bytes cleared.
   * `hash` is 0 to 2^32 - 1, from `hashBytesString` of the request's key. Allocates nothing.
   */
  pick(usable: Uint8Array, excluded: number, hash: number): number;
}

/** What a policy needs to know of a backend. */
export type WeightedBackend = Pick<BackendSettings, "id" | "weight">;

/** The weights as an array that is fast to read; checks what the configuration has promised. */
export function weightsOf(backends: readonly WeightedBackend[]): Int32Array {
  assert(backends.length <= LIMITS.backendsPerPoolMax, "a pool has at most backendsPerPoolMax backends");
  for (const { weight } of backends) {
    assert(Number.isInteger(weight) && weight >= 1 && weight <= 1000, "a weight is a whole number from 1 to 1000");
  }
  return Int32Array.from(backends, (backend) => backend.weight);
}
