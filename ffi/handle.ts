/**
 * A native handle has one owner: it is made, used and freed once. Use after free is an assertion and not a crash in C. The
 * ledger counts what lives, by kind, so that a leak is a number that does not return to zero.
 */
import { assert } from "../src/core/assert.ts";

/** What kinds of native objects there are. */
export type HandleKind = "config" | "h3-config" | "connection" | "session" | "waker" | "tls";

/** Live native objects by kind. */
export class HandleLedger {
  readonly #live = new Map<HandleKind, number>();

  /** How many of a kind live now. */
  live(kind: HandleKind): number {
    return this.#live.get(kind) ?? 0;
  }

  /** How many live in all. */
  get total(): number {
    let sum = 0;
    for (const count of this.#live.values()) sum += count;
    return sum;
  }

  /** Records a birth (+1) or a death (-1). */
  record(kind: HandleKind, change: 1 | -1): void {
    const count = this.live(kind) + change;
    assert(count >= 0, "a native object is freed at most once");
    this.#live.set(kind, count);
  }
}

/** An address that is owned. */
export class Handle {
  readonly #kind: HandleKind;
  readonly #ledger: HandleLedger;
  readonly #release: (address: number) => void;
  #address: number;

  constructor(kind: HandleKind, address: number, ledger: HandleLedger, release: (address: number) => void) {
    assert(address > 0, `a ${kind} that C could not make is never wrapped`);
    this.#kind = kind;
    this.#address = address;
    this.#ledger = ledger;
    this.#release = release;
    ledger.record(kind, 1);
  }

  /** The address for a call. Asserts that the object lives. */
  get address(): number {
    if (this.#address === 0) assert(false, `a ${this.#kind} is not used after it was freed`);
    return this.#address;
  }

  /** False once freed. */
  get live(): boolean {
    return this.#address !== 0;
  }

  /** Frees the object. A second call is an assertion. */
  free(): void {
    const address = this.address;
    this.#address = 0;
    this.#ledger.record(this.#kind, -1);
    this.#release(address);
  }

  /** Gives the address away to a C function that consumes it; the handle is dead from here on. */
  surrender(): number {
    const address = this.address;
    this.#address = 0;
    this.#ledger.record(this.#kind, -1);
    return address;
  }
}
