/**
 * Our connection ids, 18 bytes:
 *
 * ```text
 * byte 0       worker slot (low 6 bits), rotation (high 2 bits)
 * byte 1       check value, so that a router tells our ids from others without a table
 * bytes 2-5    index into the id table, masked
 * bytes 6-17   random
 * ```
 *
 * A short-header packet finds its connection by the index: one array access and one compare of the whole id. The index is masked by
 * a keyed mix of the random bytes, so that two ids of one connection do not look alike to an observer (RFC 9000 5.1). The mask hides;
 * it does not protect: a forged index fails the compare.
 */
import { assert } from "../core/assert.ts";

/** Length of every id we hand out. */
export const ID_BYTES = 18;
/** Ids per worker at most: the index has 32 bits, the table fewer. */
const SLOT_MASK = 0x3f;
const CHECK_AT = 1;
const INDEX_AT = 2;
const RANDOM_AT = 6;
const RANDOM_BYTES = ID_BYTES - RANDOM_AT;

/** Fills bytes with entropy. */
export type FillRandom = (bytes: Uint8Array) => void;

/** What ids are made with. */
export interface IdKey {
  /** This worker's slot, 0 to 63. */
  readonly slot: number;
  /** Secret of the process or the cluster. */
  readonly checkByte: number;
  readonly mask: number;
}

/** Makes ids and reads the index out of them. */
export class IdCodec {
  readonly #key: IdKey;
  readonly #fillRandom: FillRandom;
  readonly #first: number;
  readonly #check: number;

  constructor(key: IdKey, fillRandom: FillRandom) {
    assert(key.slot >= 0 && key.slot <= SLOT_MASK, "a worker's slot has six bits");
    this.#key = key;
    this.#fillRandom = fillRandom;
    this.#first = key.slot;
    this.#check = checkOf(this.#first, key.checkByte);
  }

  /** A new id for a table index. */
  mint(index: number): Uint8Array {
    const id = new Uint8Array(ID_BYTES);
    this.#fillRandom(id.subarray(RANDOM_AT, RANDOM_AT + RANDOM_BYTES));
    id[0] = this.#first;
    id[CHECK_AT] = this.#check;
    const masked = (index ^ this.#maskOf(id, 0)) >>> 0;
    id[INDEX_AT] = masked >>> 24;
    id[INDEX_AT + 1] = (masked >>> 16) & 0xff;
    id[INDEX_AT + 2] = (masked >>> 8) & 0xff;
    id[INDEX_AT + 3] = masked & 0xff;
    return id;
  }

  /** The table index in the id at `at`, or -1 when it is not an id of this worker. */
  indexOf(bytes: Uint8Array, at: number): number {
    if (bytes[at] !== this.#first || bytes[at + CHECK_AT] !== this.#check) return -1;
    return (read32(bytes, at + INDEX_AT) ^ this.#maskOf(bytes, at)) >>> 0;
  }

  /** A keyed 32-bit mix (the finaliser of murmur3) of the id's first eight random bytes. */
  #maskOf(bytes: Uint8Array, at: number): number {
    let mix = read32(bytes, at + RANDOM_AT) ^ this.#key.mask;
    mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
    mix ^= read32(bytes, at + RANDOM_AT + 4);
    mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
    return mix ^ (mix >>> 16);
  }
}

/** The check value of an id whose first byte is `first`. */
function checkOf(first: number, checkByte: number): number {
  return (first ^ checkByte) & 0xff;
}

function read32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
