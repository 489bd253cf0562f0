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
import { type IdMark, read32, readMark, rotationOf, ROTATIONS, slotByteOf, SLOTS_MAX, writeMark } from "./id-mark.ts";

/** Length of every id of this layout. */
export const ID_BYTES = 18;
const MARK_AT = 0;
const INDEX_AT = 2;
const RANDOM_AT = 6;
const RANDOM_BYTES = ID_BYTES - RANDOM_AT;

/** Fills bytes with entropy. */
export type FillRandom = (bytes: Uint8Array) => void;

/** What ids are made with. All workers of a node have the same but for the slot. */
export interface IdKey {
  /** This worker's slot, 0 to 63. */
  readonly slot: number;
  /** Which of the node's keys these are, 0 to 3: ids made before a change of keys are told from later ones by it. */
  readonly rotation?: number;
  /** Secret of the process or the cluster. */
  readonly checkByte: number;
  readonly mask: number;
}

/** A layout of ids with a worker's key: makes them and reads the index out of them. */
export interface IdScheme {
  /** What a router reads. */
  readonly mark: IdMark;
  /** A new id for a table index, a number below 2^32. */
  mint(index: number): Uint8Array;
  /** The table index in the id at `at`, or -1 when it is not an id of this worker. */
  indexOf(bytes: Uint8Array, at: number): number;
  /** Whether the id at `at` was made with this key by this worker or another one of the node, for a table of up to `entriesMax`. */
  isOurs(bytes: Uint8Array, at: number, entriesMax: number): boolean;
}

/** The ids of one of a node's keys. */
export interface OwnIds {
  readonly scheme: IdScheme;
  /** The stateless reset token of an id (RFC 9000 10.3.2): 16 bytes, the same for the same id. */
  readonly resetTokenOf: (id: Uint8Array) => Uint8Array;
}

/** Makes ids and reads the index out of them. */
export class IdCodec implements IdScheme {
  readonly mark: IdMark;
  readonly #mask: number;
  readonly #fillRandom: FillRandom;
  readonly #first: number;
  readonly #check: number;

  constructor(key: IdKey, fillRandom: FillRandom) {
    this.#first = ownSlotByte(key);
    this.#check = this.#first ^ key.checkByte;
    this.#mask = key.mask;
    this.#fillRandom = fillRandom;
    this.mark = { idBytes: ID_BYTES, at: MARK_AT, checkByte: key.checkByte, veil: null };
  }

  mint(index: number): Uint8Array {
    const id = new Uint8Array(ID_BYTES);
    this.#fillRandom(id.subarray(RANDOM_AT, RANDOM_AT + RANDOM_BYTES));
    writeMark(this.mark, id, this.#first);
    write32(id, INDEX_AT, index ^ this.#maskOf(id, 0));
    return id;
  }

  indexOf(bytes: Uint8Array, at: number): number {
    if (bytes[at] !== this.#first || bytes[at + 1] !== this.#check) return -1;
    return (read32(bytes, at + INDEX_AT) ^ this.#maskOf(bytes, at)) >>> 0;
  }

  isOurs(bytes: Uint8Array, at: number, entriesMax: number): boolean {
    const slotByte = readMark(this.mark, bytes, at);
    if (slotByte < 0 || rotationOf(slotByte) !== rotationOf(this.#first)) return false;
    return (read32(bytes, at + INDEX_AT) ^ this.#maskOf(bytes, at)) >>> 0 < entriesMax;
  }

  #maskOf(bytes: Uint8Array, at: number): number {
    return indexMask(this.#mask, read32(bytes, at + RANDOM_AT), read32(bytes, at + RANDOM_AT + 4));
  }
}

/** The slot byte of the ids that are made with a key. */
export function ownSlotByte({ slot, rotation = 0 }: Pick<IdKey, "slot" | "rotation">): number {
  assert(slot >= 0 && slot < SLOTS_MAX, "a worker's slot has six bits");
  assert(rotation >= 0 && rotation < ROTATIONS, "a rotation has two bits");
  return slotByteOf(slot, rotation);
}

/** A keyed 32-bit mix (the finaliser of murmur3) of two words that differ from id to id. */
export function indexMask(key: number, first: number, second: number): number {
  let mix = first ^ key;
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
  mix ^= second;
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return mix ^ (mix >>> 16);
}

/** Big endian. */
export function write32(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}
