/** The dynamic table of HPACK (RFC 7541 2.3.2 and 4): a ring of entries, the newest of which has index 0. */
import { assert } from "../core/assert.ts";
import { ENTRY_OVERHEAD_BYTES, type HpackEntry } from "./hpack-static.ts";

/** One table; decoder and encoder keep the same. */
export class HpackTable {
  readonly #ring: (HpackEntry | null)[];
  readonly #mask: number;
  #capacityBytes: number;
  #sizeBytes = 0;
  /** Entries ever taken and ever evicted: those between them are in the table. */
  #taken = 0;
  #evicted = 0;

  /** `limitBytes` is the most that `resize` may ask for later. */
  constructor(limitBytes: number) {
    let slots = 1;
    while (slots * ENTRY_OVERHEAD_BYTES < limitBytes) slots *= 2;
    this.#ring = new Array<HpackEntry | null>(slots).fill(null);
    this.#mask = slots - 1;
    this.#capacityBytes = limitBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get capacityBytes(): number {
    return this.#capacityBytes;
  }

  get count(): number {
    return this.#taken - this.#evicted;
  }

  /** The serial that the next entry must have. */
  get nextSerial(): number {
    return this.#taken;
  }

  /** The entry at an index, null where there is none. */
  at(index: number): HpackEntry | null {
    return index >= 0 && index < this.count ? (this.#ring[(this.#taken - 1 - index) & this.#mask] ?? null) : null;
  }

  /** The index of the entry with this serial; below 0 when it was evicted. */
  indexOf(serial: number): number {
    return serial < this.#evicted ? -1 : this.#taken - 1 - serial;
  }

  /** Evicts until an entry of this size fits. False, and the table empty, when it is larger than the table (RFC 7541 4.4). */
  makeRoom(entryBytes: number): boolean {
    while (this.#sizeBytes + entryBytes > this.#capacityBytes && this.count > 0) this.#evictOne();
    return entryBytes <= this.#capacityBytes;
  }

  /** Takes an entry for which `makeRoom` made room. */
  push(entry: HpackEntry): void {
    assert(entry.serial === this.#taken, "entries are numbered in order");
    assert(this.#sizeBytes + entry.sizeBytes <= this.#capacityBytes, "room was made for an entry");
    this.#ring[this.#taken & this.#mask] = entry;
    this.#taken += 1;
    this.#sizeBytes += entry.sizeBytes;
  }

  /** Changes the capacity, up to the limit given at first. */
  resize(capacityBytes: number): void {
    assert(capacityBytes <= (this.#mask + 1) * ENTRY_OVERHEAD_BYTES, "a table grows up to its limit");
    this.#capacityBytes = capacityBytes;
    while (this.#sizeBytes > capacityBytes) this.#evictOne();
  }

  #evictOne(): void {
    const slot = this.#evicted & this.#mask;
    this.#sizeBytes -= this.#ring[slot]?.sizeBytes ?? 0;
    this.#ring[slot] = null;
    this.#evicted += 1;
  }
}
