/** A pool at work: its settings, its balancer, which of its backends may be used now, and how many requests it has under way. */
import type { Availability } from "../balance/availability.ts";
import { hashKeyOf } from "../balance/hash-key.ts";
import { hashBytesString } from "../balance/hash-ring.ts";
import { type Balancer, NO_BACKEND } from "../balance/policy.ts";
import type { BackendSettings, PoolSettings } from "../config/snapshot.ts";
import { BodyTally } from "../core/body-tallies.ts";
import { InFlight } from "../core/in-flight.ts";
import type { RequestHead } from "../h3/head.ts";
import type { Client } from "./context.ts";
import { KeyedRequest } from "./keyed-request.ts";

/** What a pool is made of. */
export interface PoolParts {
  readonly settings: PoolSettings;
  readonly balancer: Balancer;
  /** Health checks write to it too. */
  readonly availability: Availability;
  /** Bytes of bodies that pass; null: nobody counts them. */
  readonly bodies?: BodyTally | null;
  /** Requests under way; null: nobody has counted any yet. */
  readonly inFlight?: InFlight | null;
  /** By index, what transports know each backend by; null: by its settings. */
  readonly reaches?: readonly BackendSettings[] | null;
}

/** Chooses backends for requests. */
export class Pool {
  readonly settings: PoolSettings;
  readonly availability: Availability;
  /** Bytes of bodies that pass. */
  readonly bodies: BodyTally;
  /** Requests under way. */
  readonly inFlight: InFlight;
  readonly balancer: Balancer;
  readonly #reaches: readonly BackendSettings[];

  constructor(parts: PoolParts) {
    this.settings = parts.settings;
    this.availability = parts.availability;
    this.inFlight = parts.inFlight ?? new InFlight(parts.settings.inFlightMax);
    this.bodies = parts.bodies ?? new BodyTally(parts.settings.name);
    this.balancer = parts.balancer;
    this.#reaches = parts.reaches ?? parts.settings.backends;
  }

  /** A backend's index, or `NO_BACKEND`. `excluded` is the one that has just failed this request. */
  pick(head: RequestHead, client: Client, excluded: number): number {
    const { needsHash } = this.balancer;
    const hash = needsHash ? hashBytesString(hashKeyOf(this.settings.hashKey, new KeyedRequest(head, client))) : 0;
    return this.balancer.pick(this.availability.usable, excluded, hash);
  }

  /** A backend's settings; the index came from `pick`. */
  backend(index: number): BackendSettings | null {
    return index === NO_BACKEND ? null : (this.settings.backends[index] ?? null);
  }

  /**
   * The settings that transports know a backend by: those that it had when it was first reached so. What has changed since, such as its
   * weight, means nothing to them.
   */
  reach(index: number): BackendSettings | null {
    return index === NO_BACKEND ? null : (this.#reaches[index] ?? null);
  }
}
