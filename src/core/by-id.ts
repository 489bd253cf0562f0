/**
 * Things by their number, where many come and go: streams of a connection. A `Map` costs a call of the runtime for each that comes and for each that
 * goes, and leaves a table to the collector now and then; this is an array that is made anew only when it grows or is empty again.
 */
import { assert } from "./assert.ts";

/** Places at the start; always a power of two, and twice as many as things at least. */
const PLACES_MIN = 16;
/** For tables of which there are many: what one keeps when it is empty again. */
const PLACES_KEPT_MAX = 64;
/** 2^32 divided by the golden ratio: numbers in a row come to lie apart (Knuth, The Art of Computer Programming 3, 6.4). */
const GOLDEN = 0x9e37_79b1;

/** Open addressing with linear probing; whatever leaves lets those behind it move up, so that there are no tombstones. */
export class ById<T extends { readonly id: number }> {
  #places: (T | null)[] = emptyPlaces(PLACES_MIN);
  #shift = shiftFor(PLACES_MIN);
  #size = 0;
  readonly #placesKeptMax: number;

  /** `placesKeptMax`: a table that is empty again and has more places than this gives them back. */
  constructor(placesKeptMax: number = PLACES_KEPT_MAX) {
    this.#placesKeptMax = placesKeptMax;
  }

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    const places = this.#places;
    const mask = places.length - 1;
    for (let at = Math.imul(id, GOLDEN) >>> this.#shift; ; at = (at + 1) & mask) {
      const found = places[at] ?? null;
      if (found === null) return undefined;
      if (found.id === id) return found;
    }
  }

  /** Adds one whose number is free. */
  add(thing: T): void {
    if (2 * (this.#size + 1) > this.#places.length) this.#resize(2 * this.#places.length);
    this.#put(thing);
    this.#size += 1;
  }

  /** True when there was one of this number. */
  delete(id: number): boolean {
    const places = this.#places;
    const mask = places.length - 1;
    let hole = Math.imul(id, GOLDEN) >>> this.#shift;
    for (; ; hole = (hole + 1) & mask) {
      const found = places[hole] ?? null;
      if (found === null) return false;
      if (found.id === id) break;
    }
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const next = places[at] ?? null;
      if (next === null) break;
      // It may fill the hole unless its own place lies behind the hole.
      const home = Math.imul(next.id, GOLDEN) >>> this.#shift;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      places[hole] = next;
      hole = at;
    }
    places[hole] = null;
    this.#size -= 1;
    if (this.#size === 0 && places.length > this.#placesKeptMax) this.#resize(PLACES_MIN);
    return true;
  }

  clear(): void {
    this.#size = 0;
    this.#resize(PLACES_MIN);
  }

  /** All, in no particular order, as they are now: who goes through them may add and delete. */
  list(): T[] {
    return this.#places.filter((thing) => thing !== null);
  }

  #put(thing: T): void {
    const places = this.#places;
    const mask = places.length - 1;
    let at = Math.imul(thing.id, GOLDEN) >>> this.#shift;
    for (let found = places[at] ?? null; found !== null; found = places[at] ?? null) {
      assert(found.id !== thing.id, "a number is given once");
      at = (at + 1) & mask;
    }
    places[at] = thing;
  }

  #resize(count: number): void {
    const before = this.#size === 0 ? [] : this.list();
    this.#places = emptyPlaces(count);
    this.#shift = shiftFor(count);
    for (const thing of before) this.#put(thing);
  }
}

function emptyPlaces<T>(count: number): (T | null)[] {
  return new Array<T | null>(count).fill(null);
}

function shiftFor(count: number): number {
  return Math.clz32(count) + 1;
}
