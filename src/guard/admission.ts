/** Who may become a connection. The checks are cheap and come before anything is made for a client; each has its own counter. */
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import { type AddressKey, AddressTable } from "./address-table.ts";
import { TokenBucket } from "./token-bucket.ts";

/** The bounds that a configuration sets. */
export interface AdmissionBounds {
  /** Connections at once. */
  readonly connectionsMax: number;
  /** Connections of one client address, IPv6 by its /64; `Infinity` without a bound. */
  readonly connectionsPerAddressMax: number;
  readonly newConnectionsPerSecond: number;
  readonly newConnectionsBurst: number;
  /** Unfinished handshakes at once. */
  readonly handshakesMax: number;
  /** From so many of them on clients show their address before they become a connection: 0 for always, `Infinity` for never. */
  readonly retryFromHandshakes: number;
}

/** What becomes of a client's first packet. */
export const VERDICT = {
  /** It becomes a connection. */
  accept: 0,
  /** The client is told to go away, at once, so that it does not wait: there is no room and soon will not be. */
  refuse: 1,
  /** Nothing is said: the client sends it again within a second or so, when there may be room. */
  drop: 2,
  /** Nothing is kept, and the client is told to come back with a token that shows its address. */
  retry: 3,
} as const;

/** One of `VERDICT`. */
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

/** The gate of a process: it counts who is inside and says who may enter. */
export class Admission {
  #bounds: AdmissionBounds;
  readonly #counters: Counters;
  #rate: TokenBucket;
  /** Refusals cost an answer each, and the sender's address may be forged. */
  readonly #answers: TokenBucket;
  readonly #retries: TokenBucket;
  readonly #addresses = new AddressTable();
  #connections = 0;
  #handshakes = 0;

  constructor(bounds: AdmissionBounds, counters: Counters, nowMs: number) {
    this.#bounds = bounds;
    this.#counters = counters;
    const { newConnectionsPerSecond: perSecond, newConnectionsBurst: burst } = bounds;
    this.#rate = new TokenBucket({ perSecond, burst }, nowMs);
    this.#retries = new TokenBucket({ perSecond: LIMITS.retriesPerSecond, burst: LIMITS.retriesAtOnceMax }, nowMs);
    this.#answers = new TokenBucket({ perSecond: LIMITS.refusalsPerSecond, burst: LIMITS.refusalsAtOnceMax }, nowMs);
  }

  /** Other bounds from now on. Who is inside stays, and counts. */
  configure(bounds: AdmissionBounds, nowMs: number): void {
    const { newConnectionsPerSecond: perSecond, newConnectionsBurst: burst } = bounds;
    const { newConnectionsPerSecond, newConnectionsBurst } = this.#bounds;
    // A bucket that is full again with each reload would be no bound.
    if (perSecond !== newConnectionsPerSecond || burst !== newConnectionsBurst)
      this.#rate = new TokenBucket({ perSecond, burst }, nowMs);
    this.#bounds = bounds;
  }

  /** Connections that were let in and have not left. */
  get connections(): number {
    return this.#connections;
  }

  /** Those of them whose handshake is not done. */
  get handshakes(): number {
    return this.#handshakes;
  }

  /** Client addresses with a connection, while there is a bound on connections of one. */
  get addresses(): number {
    return this.#addresses.size;
  }

  /** True while connections are counted by address, so that `judge` wants to know the client's. */
  get countsAddresses(): boolean {
    return this.#bounds.connectionsPerAddressMax !== Infinity;
  }

  /** The verdict on a client whom no room could help: where it comes to nobody is let in any more. */
  turnAway(nowMs: number): Verdict {
    this.#counters.connectionsWhileDraining += 1;
    return this.#refuse(nowMs);
  }

  /** Judges a client's first packet. `address` is its address while addresses are counted; `validated` says that it is its own. */
  judge(nowMs: number, address: AddressKey | null, validated: boolean): Verdict {
    const { connectionsMax, connectionsPerAddressMax, handshakesMax, retryFromHandshakes } = this.#bounds;
    const counters = this.#counters;
    if (this.#connections >= connectionsMax) {
      counters.connectionsOverTotal += 1;
      return this.#refuse(nowMs);
    }
    if (address !== null && this.#addresses.countOf(address) >= connectionsPerAddressMax) {
      counters.connectionsOverAddress += 1;
      return this.#refuse(nowMs);
    }
    // Before the bounds that strangers reach for all: whoever gets a Retry takes up none of them.
    if (!validated && this.#handshakes >= retryFromHandshakes) return this.#askToRetry(nowMs);
    if (this.#handshakes >= handshakesMax) {
      counters.connectionsOverHandshakes += 1;
      return this.#drop();
    }
    // Last, so that only those who would otherwise be let in use up the rate.
    if (!this.#rate.take(nowMs)) {
      counters.connectionsOverRate += 1;
      return this.#drop();
    }
    return VERDICT.accept;
  }

  /** Whether one more may be told why it is not let in. */
  mayAnswer(nowMs: number): boolean {
    if (this.#answers.take(nowMs)) return true;
    this.#counters.refusalsWithheld += 1;
    return false;
  }

  /** A connection was made. */
  enter(address: AddressKey | null): void {
    this.#connections += 1;
    this.#handshakes += 1;
    if (address !== null) this.#addresses.add(address);
  }

  /** Its handshake is done. */
  establish(): void {
    this.#handshakes -= 1;
  }

  /** It is gone. */
  leave(address: AddressKey | null, established: boolean): void {
    this.#connections -= 1;
    if (!established) this.#handshakes -= 1;
    if (address !== null) this.#addresses.remove(address);
  }

  #refuse(nowMs: number): Verdict {
    this.#counters.connectionsRefused += 1;
    return this.mayAnswer(nowMs) ? VERDICT.refuse : VERDICT.drop;
  }

  #askToRetry(nowMs: number): Verdict {
    if (this.#retries.take(nowMs)) return VERDICT.retry;
    this.#counters.retriesWithheld += 1;
    return VERDICT.drop;
  }

  #drop(): Verdict {
    this.#counters.connectionsRefused += 1;
    return VERDICT.drop;
  }
}
