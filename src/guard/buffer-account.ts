/**
 * Response bytes that wait for clients, summed for one connection and for the process: what a client does not take costs memory
 * here, and whoever holds too much gets no further requests until some of it has been taken.
 */
import { assert } from "../core/assert.ts";

/** A sum with its bound. One that has a `whole` adds to that, too; nothing is refused here, whoever admits requests asks `full`. */
export class BufferAccount {
  readonly whole: BufferAccount | null;
  #bytesMax: number;
  #bytes = 0;
  #highestBytes = 0;

  constructor(bytesMax: number, whole: BufferAccount | null = null) {
    assert(bytesMax > 0, "a bound of no bytes takes no request");
    this.#bytesMax = bytesMax;
    this.whole = whole;
  }

  /** Bytes that wait now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The most that ever waited at once. */
  get highestBytes(): number {
    return this.#highestBytes;
  }

  /**
   * Which bound is reached: `own` for what this account itself holds, `whole` for what all hold together, null for neither. Requests
   * under way go on whatever it says: they alone can make room.
   */
  get full(): "own" | "whole" | null {
    if (this.#bytes >= this.#bytesMax) return "own";
    return this.whole === null || this.whole.full === null ? null : "whole";
  }

  /** Another bound from now on. */
  resize(bytesMax: number): void {
    assert(bytesMax > 0, "a bound of no bytes takes no request");
    this.#bytesMax = bytesMax;
  }

  /** Bytes begin to wait. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#highestBytes) this.#highestBytes = this.#bytes;
    this.whole?.add(bytes);
  }

  /** Bytes were taken, or dropped. */
  remove(bytes: number): void {
    this.#bytes -= bytes;
    assert(this.#bytes >= 0, "no more is taken than has waited");
    this.whole?.remove(bytes);
  }
}
