/**
 * Field blocks into field sections (RFC 7541). Names and values go straight into a `FieldWriter`; strings are never made. A field
 * list that is too large is decoded to its end without being kept, for the table must follow every block.
 */
import { assert } from "../core/assert.ts";
import { fieldIdOfBytes } from "../core/field-names.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import { LIMITS } from "../core/limits.ts";
import { decodedBytesMax, huffmanDecode } from "./hpack-huffman.ts";
import { ENTRY_OVERHEAD_BYTES, HpackEntry, STATIC_COUNT, STATIC_ENTRIES } from "./hpack-static.ts";
import { HpackTable } from "./hpack-table.ts";

/** Why a block is none; each of them is a COMPRESSION_ERROR of the connection (RFC 9113 4.3). */
export type HpackFault =
  "hpack-truncated" | "hpack-integer" | "hpack-index" | "hpack-huffman" | "hpack-string-size" | "hpack-table-size";

const INDEXED = 0x80;
const WITH_INDEXING = 0x40;
const TABLE_SIZE_UPDATE = 0x20;
const HUFFMAN = 0x80;
/** Bytes of an integer beyond its prefix: numbers stay below 2^29. */
const INTEGER_BYTES_MAX = 4;
/** Size updates at the start of a block: the lowest size and the last one (RFC 7541 4.2). */
const SIZE_UPDATES_MAX = 2;
/** A view of an array costs as much as a loop over this many bytes (Bun 1.4.5). */
const COPY_LOOP_BYTES_MAX = 64;
/** In place of a position: what went wrong is in `#fault`. */
const FAULT = -1;

const NOTHING = new Uint8Array(0);

/** The decoder of one connection's direction; its dynamic table lives as long. */
export class HpackDecoder {
  readonly #table: HpackTable;
  /** What we announced as SETTINGS_HEADER_TABLE_SIZE: size updates stay at or below. */
  readonly #tableBytesMax: number;
  readonly #listBytesMax: number;
  #fault: HpackFault | null = null;
  #bytes: Uint8Array = NOTHING;
  /** Where the next thing in the block begins, and where the block ends. */
  #at = 0;
  #end = 0;
  #listBytes = 0;
  #tooLarge = false;

  constructor(
    tableBytesMax: number = LIMITS.hpackDecoderTableBytesMax,
    listBytesMax: number = LIMITS.h2FieldListBytesMax,
  ) {
    assert(tableBytesMax <= LIMITS.hpackDecoderTableBytesMax, "a decoder's table is within its limit");
    const stringsBytesMax = 2 * decodedBytesMax(LIMITS.hpackStringBytesMax);
    assert(listBytesMax + stringsBytesMax <= LIMITS.fieldWriterBytesMax, "a writer holds a list and one field more");
    this.#table = new HpackTable(tableBytesMax);
    this.#tableBytesMax = tableBytesMax;
    this.#listBytesMax = listBytesMax;
  }

  /** The last block held more than the list's bytes, or more fields than a writer takes: what was written is not all. */
  get tooLarge(): boolean {
    return this.#tooLarge;
  }

  /** Bytes of the dynamic table now, as RFC 7541 4.1 counts them. */
  get tableBytes(): number {
    return this.#table.sizeBytes;
  }

  /**
   * Decodes the whole block `bytes[at..end)` to `into`, which was just begun. Null when all went well (then ask `tooLarge`); after
   * a fault the decoder is of no more use, nor is the connection. Never throws, whatever the bytes.
   */
  decode(bytes: Uint8Array, at: number, end: number, into: FieldWriter): HpackFault | null {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#fault = null;
    this.#listBytes = 0;
    this.#tooLarge = false;
    let mayResize = SIZE_UPDATES_MAX;
    // Every round takes at least one byte.
    while (this.#at < end && this.#fault === null) {
      const first = bytes[this.#at] ?? 0;
      if ((first & INDEXED) !== 0) {
        mayResize = 0;
        this.#indexed(into);
      } else if ((first & WITH_INDEXING) !== 0) {
        mayResize = 0;
        this.#literal(6, true, into);
      } else if ((first & TABLE_SIZE_UPDATE) !== 0) {
        if (mayResize-- <= 0) this.#fail("hpack-table-size");
        else this.#resize();
      } else {
        mayResize = 0;
        this.#literal(4, false, into);
      }
    }
    this.#bytes = NOTHING;
    return this.#fault;
  }

  #indexed(into: FieldWriter): void {
    const entry = this.#entry(this.#integer(7));
    if (
      entry !== null &&
      this.#counts(entry.bytes.length) &&
      !into.addBytes(entry.bytes, entry.nameLength, entry.nameId)
    ) {
      this.#tooLarge = true;
    }
  }

  #literal(indexBits: number, indexing: boolean, into: FieldWriter): void {
    const { scratch, scratchEnd: nameAt } = into;
    const index = this.#integer(indexBits);
    if (index < 0) return;
    const named = index > 0 ? this.#entry(index) : null;
    let valueAt: number;
    if (index > 0) {
      if (named === null) return;
      valueAt = nameAt + named.nameLength;
      for (let i = 0; i < named.nameLength; i++) scratch[nameAt + i] = named.bytes[i] ?? 0;
    } else {
      valueAt = this.#string(scratch, nameAt);
      if (valueAt < 0) return;
    }
    const valueEnd = this.#string(scratch, valueAt);
    if (valueEnd < 0) return;
    if (indexing) this.#insert(scratch, nameAt, valueAt, valueEnd, named);
    if (this.#counts(valueEnd - nameAt) && !into.addWritten(valueAt - nameAt, valueEnd - valueAt, named?.nameId)) {
      this.#tooLarge = true;
    }
  }

  /** The copy is made with the array's own `slice`: the entry outlives the scratch area's content. */
  #insert(scratch: Uint8Array, nameAt: number, valueAt: number, valueEnd: number, named: HpackEntry | null): void {
    const nameLength = valueAt - nameAt;
    if (!this.#table.makeRoom(valueEnd - nameAt + ENTRY_OVERHEAD_BYTES)) return;
    const id = named === null ? fieldIdOfBytes(scratch, nameAt, nameLength) : named.nameId;
    const bytes = scratch.slice(nameAt, valueEnd);
    this.#table.push(new HpackEntry(bytes, nameLength, id, this.#table.nextSerial));
  }

  #resize(): void {
    const sizeBytes = this.#integer(5);
    if (sizeBytes < 0) return;
    if (sizeBytes > this.#tableBytesMax) this.#fail("hpack-table-size");
    else this.#table.resize(sizeBytes);
  }

  /** Whether a field of so many bytes is still within the list. */
  #counts(fieldBytes: number): boolean {
    this.#listBytes += fieldBytes + ENTRY_OVERHEAD_BYTES;
    if (this.#listBytes > this.#listBytesMax) this.#tooLarge = true;
    return !this.#tooLarge;
  }

  #entry(index: number): HpackEntry | null {
    if (index < 0) return null;
    const entry = index <= STATIC_COUNT ? STATIC_ENTRIES[index] : this.#table.at(index - STATIC_COUNT - 1);
    if (index > 0 && entry !== undefined && entry !== null) return entry;
    this.#fail("hpack-index");
    return null;
  }

  /** A string into `scratch` from `to` on: where it ends there. */
  #string(scratch: Uint8Array, to: number): number {
    if (this.#at >= this.#end) return this.#fail("hpack-truncated");
    const coded = ((this.#bytes[this.#at] ?? 0) & HUFFMAN) !== 0;
    const length = this.#integer(7);
    if (length < 0) return FAULT;
    const at = this.#at;
    if (length > this.#end - at) return this.#fail("hpack-truncated");
    if (length > LIMITS.hpackStringBytesMax) return this.#fail("hpack-string-size");
    this.#at = at + length;
    if (coded) {
      const end = huffmanDecode(this.#bytes, at, at + length, scratch, to);
      return end < 0 ? this.#fail("hpack-huffman") : end;
    }
    if (length > COPY_LOOP_BYTES_MAX) scratch.set(this.#bytes.subarray(at, at + length), to);
    else for (let i = 0; i < length; i++) scratch[to + i] = this.#bytes[at + i] ?? 0;
    return to + length;
  }

  /** An integer with this many bits in its first byte (RFC 7541 5.1). */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (this.#bytes[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let i = 0; i < INTEGER_BYTES_MAX; i++) {
      if (this.#at >= this.#end) return this.#fail("hpack-truncated");
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) << (7 * i);
      if ((byte & 0x80) === 0) return value;
    }
    return this.#fail("hpack-integer");
  }

  #fail(fault: HpackFault): number {
    this.#fault ??= fault;
    return FAULT;
  }
}
