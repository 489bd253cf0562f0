/** A pool at work: its settings, its balancer and which of its backends may be used now. */
import { hashKeyOf, type HashKeyRequest } from "../balance/hash-key.ts";
import { hashBytesString } from "../balance/hash-ring.ts";
import { type Balancer, NO_BACKEND } from "../balance/policy.ts";
import type { BackendSettings, PoolSettings } from "../config/snapshot.ts";

/** What a pool is made of. `usable` is changed in place by health verdicts, one byte per backend. */
export interface PoolParts {
  readonly settings: PoolSettings;
  readonly balancer: Balancer;
  readonly usable: Uint8Array;
}

/** Chooses backends for requests. */
export class Pool {
  readonly settings: PoolSettings;
  readonly #balancer: Balancer;
  readonly #usable: Uint8Array;

  constructor(parts: PoolParts) {
    this.settings = parts.settings;
    this.#balancer = parts.balancer;
    this.#usable = parts.usable;
  }

  /** A backend's index, or `NO_BACKEND`. `excluded` is the one that has just failed this request. */
  pick(request: HashKeyRequest, excluded: number): number {
    const { needsHash } = this.#balancer;
    const hash = needsHash ? hashBytesString(hashKeyOf(this.settings.hashKey, request)) : 0;
    return this.#balancer.pick(this.#usable, excluded, hash);
  }

  /** A backend's settings; the index came from `pick`. */
  backend(index: number): BackendSettings | null {
    return index === NO_BACKEND ? null : (this.settings.backends[index] ?? null);
  }
}
