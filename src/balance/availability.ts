/** Which backends of a pool may be used now: those that are healthy and have room for one more request. */
import { assert } from "../core/assert.ts";

/**
 * What is known of one backend, whatever configurations it is in: while one of them takes over from another, the requests of both count
 * here. Whoever looks at it is told of what may matter to it.
 */
export class BackendState {
  #healthy = true;
  #inFlight = 0;
  /** Hardly ever more than one, and two while a configuration takes over from another. */
  readonly #views: { readonly availability: Availability; readonly index: number }[] = [];

  get healthy(): boolean {
    return this.#healthy;
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  setHealthy(healthy: boolean): void {
    this.#healthy = healthy;
    this.#tell();
  }

  /** Requests begin or end: `by` is 1 or -1. */
  count(by: 1 | -1): void {
    assert(this.#inFlight + by >= 0, "a request ends once");
    this.#inFlight += by;
    // Whoever counts looks for itself; the others have bounds of their own.
    if (this.#views.length > 1) this.#tell();
  }

  show(availability: Availability, index: number): void {
    this.#views.push({ availability, index });
  }

  hide(availability: Availability): void {
    const at = this.#views.findIndex((view) => view.availability === availability);
    if (at >= 0) this.#views.splice(at, 1);
  }

  #tell(): void {
    for (const { availability, index } of this.#views) availability.judge(index);
  }
}

/** Kept by index, in the order of the settings. Health and room change one byte when they change, so a pick pays nothing for them. */
export class Availability {
  /** One byte per backend, 1 may be picked; changed in place. What balancers read. */
  readonly usable: Uint8Array;
  readonly #states: readonly BackendState[];
  readonly #inFlightMax: number;

  /** `backends`: how many that nobody knows yet, or what is known of each. `inFlightMax` is the most requests that one of them has under way. */
  constructor(backends: number | readonly BackendState[], inFlightMax: number = Infinity) {
    const isNew = typeof backends === "number";
    this.#states = isNew ? Array.from({ length: backends }, () => new BackendState()) : backends;
    this.usable = new Uint8Array(this.#states.length);
    this.#inFlightMax = inFlightMax;
    for (const [index, state] of this.#states.entries()) {
      state.show(this, index);
      this.judge(index);
    }
  }

  setHealthy(index: number, healthy: boolean): void {
    this.#states[index]?.setHealthy(healthy);
  }

  isHealthy(index: number): boolean {
    return this.#states[index]?.healthy ?? false;
  }

  /** Requests under way at a backend. */
  inFlight(index: number): number {
    return this.#states[index]?.inFlight ?? 0;
  }

  /** A request goes to a backend that was usable. */
  take(index: number): void {
    assert(this.inFlight(index) < this.#inFlightMax, "only a backend with room is picked");
    this.#states[index]?.count(1);
    if (this.inFlight(index) >= this.#inFlightMax) this.judge(index);
  }

  /** It is over there. */
  give(index: number): void {
    const wasFull = this.inFlight(index) >= this.#inFlightMax;
    this.#states[index]?.count(-1);
    if (wasFull) this.judge(index);
  }

  /** Whether a healthy backend lacks nothing but room: where none is usable, that is why. Looks at all of them. */
  isFull(): boolean {
    return this.#states.some(({ healthy, inFlight }) => healthy && inFlight >= this.#inFlightMax);
  }

  /** Something about a backend is another than it was. */
  judge(index: number): void {
    const state = this.#states[index];
    this.usable[index] = state?.healthy === true && state.inFlight < this.#inFlightMax ? 1 : 0;
  }

  /** Nobody picks by it any more. Requests that were counted here may still end. */
  close(): void {
    for (const state of this.#states) state.hide(this);
  }
}
