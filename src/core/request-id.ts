/** Request ids: UUID version 7 (RFC 9562 5.7), sortable by time, unique by the random rest. */
import type { Random } from "./random.ts";

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const TWO_32 = 2 ** 32;
const TWO_16 = 2 ** 16;

/** Makes ids from a wall clock and a random source. */
export class RequestIds {
  readonly #random: Random;
  #lastMs = -1;
  #prefix = "";

  constructor(random: Random) {
    this.#random = random;
  }

  /** A new id; `epochMs` is the wall clock. About 0.2 us: the part that tells the time is kept for the millisecond. */
  next(epochMs: number): string {
    const now = Math.floor(epochMs);
    if (now !== this.#lastMs) {
      this.#lastMs = now;
      this.#prefix = prefixOf(now);
    }
    const a = this.#random.nextUint32();
    const b = this.#random.nextUint32();
    const c = this.#random.nextUint32();
    const version = 0x70 | ((a >>> 24) & 0x0f);
    const variant = 0x80 | ((a >>> 8) & 0x3f);
    return `${this.#prefix}${hex(version)}${hex(a >>> 16)}-${hex(variant)}${hex(a)}-${hex32(b)}${hex(c >>> 24)}${hex(c >>> 16)}`;
  }
}

function prefixOf(epochMs: number): string {
  const high = Math.floor(epochMs / TWO_16);
  const low = epochMs % TWO_16;
  return `${hex32(high % TWO_32)}-${hex(low >>> 8)}${hex(low)}-`;
}

function hex32(value: number): string {
  return hex(value >>> 24) + hex(value >>> 16) + hex(value >>> 8) + hex(value);
}

function hex(value: number): string {
  return HEX[value & 0xff] ?? "";
}
