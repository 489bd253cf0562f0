/**
 * Field sections into field blocks (RFC 7541). What costs CPU is left out: strings go as they are unless Huffman coding is asked
 * for, and only fields that come again unchanged enter the dynamic table. Nothing is allocated but the table's own copies.
 */
import { assert } from "../core/assert.ts";
import { FIELD, type FieldName, fieldSet, UNKNOWN_FIELD } from "../core/field-names.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { huffmanEncode, huffmanLength } from "./hpack-huffman.ts";
import {
  ENTRY_OVERHEAD_BYTES,
  HpackEntry,
  STATIC_COUNT,
  STATIC_ENTRIES,
  STATIC_NAME_INDEX,
  STATIC_VALUE_COUNT,
} from "./hpack-static.ts";
import { HpackTable } from "./hpack-table.ts";

/** Representation byte and two lengths: what a field takes beyond its bytes, at most. */
const FIELD_OVERHEAD_BYTES = 1 + 2 * 5;
/** Two table size updates at the start of a block. */
const BLOCK_OVERHEAD_BYTES = 2 * 5;

const INDEXED = 0x80;
const WITH_INDEXING = 0x40;
const TABLE_SIZE_UPDATE = 0x20;
const NEVER_INDEXED = 0x10;
const WITHOUT_INDEXING = 0;
const HUFFMAN = 0x80;

/** Secrets: marked for every hop, so that nobody's compressor lets them be guessed (RFC 7541 7.1.3). */
const SECRET = fieldSet(["authorization", "cookie", "proxy-authorization", "set-cookie"]);

/** Fields that differ from message to message: an entry for them would only displace others. */
const CHANGING = fieldSet([
  ":path",
  "age",
  "content-length",
  "content-range",
  "date",
  "etag",
  "expires",
  "forwarded",
  "grpc-timeout",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "location",
  "range",
  "referer",
  "traceparent",
  "tracestate",
  "x-forwarded-for",
  "x-real-ip",
  "x-request-id",
]);

/** Places in the look-up table. A field has one place; two that share it take turns in the dynamic table. */
const PLACES = 512;

/** The encoder of one connection's direction; its dynamic table lives as long. */
export class HpackEncoder {
  readonly #table = new HpackTable(LIMITS.hpackEncoderTableBytesMax);
  readonly #huffman: boolean;
  /** Entries by place; some are evicted already. */
  readonly #entries = new Array<HpackEntry | null>(PLACES).fill(null);
  /** What was seen last at a place: a field enters the table when it is seen there twice in a row. */
  readonly #seen = new Int32Array(PLACES);
  /** The lowest capacity that the peer has not been told of; -1 for none. */
  #lowestBytes = -1;
  #text = new Uint8Array(256);

  /** `huffman`: code strings where that makes them shorter, which costs about 2 ns for each byte. */
  constructor(huffman: boolean = false) {
    this.#huffman = huffman;
  }

  /** The most that a block of this section can take, with `texts` characters in `texted` fields added by `putText`. */
  static blockBytesMax(section: FieldSection, texts: number = 0, texted: number = 0): number {
    return BLOCK_OVERHEAD_BYTES + section.lengthBytes + texts + FIELD_OVERHEAD_BYTES * (section.count + texted);
  }

  /** Bytes of the dynamic table now, as RFC 7541 4.1 counts them. */
  get tableBytes(): number {
    return this.#table.sizeBytes;
  }

  /** What the peer's SETTINGS_HEADER_TABLE_SIZE allows from the next block on. */
  setTableBytesMax(bytes: number): void {
    const capacityBytes = Math.min(bytes, LIMITS.hpackEncoderTableBytesMax);
    if (capacityBytes === this.#table.capacityBytes) return;
    this.#table.resize(capacityBytes);
    this.#lowestBytes = this.#lowestBytes < 0 ? capacityBytes : Math.min(this.#lowestBytes, capacityBytes);
  }

  /** Begins a block at `at` of `into`, which has room for all of it (`blockBytesMax`). Every `put` answers where it ended. */
  begin(into: Uint8Array, at: number): number {
    if (this.#lowestBytes < 0) return at;
    let end = at;
    if (this.#lowestBytes < this.#table.capacityBytes)
      end = putInteger(into, end, TABLE_SIZE_UPDATE, 5, this.#lowestBytes);
    this.#lowestBytes = -1;
    return putInteger(into, end, TABLE_SIZE_UPDATE, 5, this.#table.capacityBytes);
  }

  /** Puts the fields of a section. */
  putSection(section: FieldSection, into: Uint8Array, at: number): number {
    const { bytes, count } = section;
    let end = at;
    for (let i = 0; i < count; i++) {
      end = this.#put(section.nameId(i), bytes, section.nameAt(i), section.valueAt(i), section.valueEnd(i), into, end);
    }
    return end;
  }

  /** Puts a field of a known name with a value of one byte per character. */
  putText(name: FieldName, value: string, into: Uint8Array, at: number): number {
    const entryIndex = name === ":method" ? methodIndex(value) : 0;
    if (entryIndex > 0) {
      into[at] = INDEXED | entryIndex;
      return at + 1;
    }
    const length = name.length + value.length;
    if (length > this.#text.length) this.#text = new Uint8Array(2 * length);
    const text = this.#text;
    for (let i = 0; i < name.length; i++) text[i] = name.charCodeAt(i);
    let seen = 0;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      seen |= code;
      text[name.length + i] = code;
    }
    assert(seen <= 0xff, "a field's text has one byte per character");
    return this.#put(FIELD[name], text, 0, name.length, length, into, at);
  }

  #put(
    id: number,
    bytes: Uint8Array,
    nameAt: number,
    valueAt: number,
    valueEnd: number,
    into: Uint8Array,
    at: number,
  ): number {
    if (SECRET[id] === 1) return this.#literal(NEVER_INDEXED, 4, id, bytes, nameAt, valueAt, valueEnd, into, at);
    const fixed = staticIndex(id, bytes, valueAt, valueEnd);
    if (fixed > 0) {
      into[at] = INDEXED | fixed;
      return at + 1;
    }
    const sizeBytes = valueEnd - nameAt + ENTRY_OVERHEAD_BYTES;
    if (CHANGING[id] === 1 || sizeBytes > LIMITS.hpackIndexedFieldBytesMax) {
      return this.#literal(WITHOUT_INDEXING, 4, id, bytes, nameAt, valueAt, valueEnd, into, at);
    }
    const sample = sampleOf(id, bytes, nameAt, valueAt, valueEnd);
    const place = (sample ^ (sample >>> 9) ^ (sample >>> 18)) & (PLACES - 1);
    const entry = this.#entries[place] ?? null;
    if (entry !== null && isField(entry, bytes, nameAt, valueAt, valueEnd)) {
      const index = this.#table.indexOf(entry.serial);
      if (index >= 0) return putInteger(into, at, INDEXED, 7, STATIC_COUNT + 1 + index);
    }
    if (this.#seen[place] !== sample || sizeBytes > this.#table.capacityBytes) {
      this.#seen[place] = sample;
      return this.#literal(WITHOUT_INDEXING, 4, id, bytes, nameAt, valueAt, valueEnd, into, at);
    }
    this.#table.makeRoom(sizeBytes);
    // The array's own `slice`, which copies; that of a `Buffer` is a view on memory that others fill again.
    const copy = COPY.call(bytes, nameAt, valueEnd);
    const added = new HpackEntry(copy, valueAt - nameAt, id, this.#table.nextSerial);
    this.#table.push(added);
    this.#entries[place] = added;
    return this.#literal(WITH_INDEXING, 6, id, bytes, nameAt, valueAt, valueEnd, into, at);
  }

  #literal(
    form: number,
    indexBits: number,
    id: number,
    bytes: Uint8Array,
    nameAt: number,
    valueAt: number,
    valueEnd: number,
    into: Uint8Array,
    at: number,
  ): number {
    const nameIndex = STATIC_NAME_INDEX[id] ?? 0;
    let end = putInteger(into, at, form, indexBits, nameIndex);
    if (nameIndex === 0) end = this.#string(bytes, nameAt, valueAt, into, end);
    return this.#string(bytes, valueAt, valueEnd, into, end);
  }

  #string(bytes: Uint8Array, at: number, end: number, into: Uint8Array, to: number): number {
    const length = end - at;
    if (this.#huffman) {
      const coded = huffmanLength(bytes, at, end);
      if (coded < length) return huffmanEncode(bytes, at, end, into, putInteger(into, to, HUFFMAN, 7, coded));
    }
    const from = putInteger(into, to, 0, 7, length);
    if (length > COPY_LOOP_BYTES_MAX) into.set(bytes.subarray(at, end), from);
    else for (let i = 0; i < length; i++) into[from + i] = bytes[at + i] ?? 0;
    return from + length;
  }
}

/** A view of an array costs as much as a loop over this many bytes (Bun 1.4.5). */
const COPY_LOOP_BYTES_MAX = 128;
const COPY = Uint8Array.prototype.slice;

function methodIndex(method: string): number {
  return method === "GET" ? 2 : method === "POST" ? 3 : 0;
}

/** The static entry with this name and value; 0 when there is none. */
function staticIndex(id: number, bytes: Uint8Array, valueAt: number, valueEnd: number): number {
  const values = STATIC_VALUE_COUNT[id] ?? 0;
  if (values === 0) return 0;
  const first = STATIC_NAME_INDEX[id] ?? 0;
  for (let index = first; index < first + values; index++) {
    const entry = STATIC_ENTRIES[index];
    if (entry !== undefined && isValue(entry, bytes, valueAt, valueEnd)) return index;
  }
  return 0;
}

function isField(entry: HpackEntry, bytes: Uint8Array, nameAt: number, valueAt: number, valueEnd: number): boolean {
  if (entry.nameLength !== valueAt - nameAt || entry.bytes.length !== valueEnd - nameAt) return false;
  const own = entry.bytes;
  // From the end: what differs differs in the value, and mostly at its end.
  for (let i = own.length - 1; i >= 0; i--) {
    if (own[i] !== bytes[nameAt + i]) return false;
  }
  return true;
}

function isValue(entry: HpackEntry, bytes: Uint8Array, valueAt: number, valueEnd: number): boolean {
  const own = entry.bytes;
  const shift = valueAt - entry.nameLength;
  if (own.length + shift !== valueEnd) return false;
  for (let i = entry.nameLength; i < own.length; i++) {
    if (own[i] !== bytes[i + shift]) return false;
  }
  return true;
}

/** A number that mostly differs between fields, from the name's number and some bytes: its cost does not grow with the value. */
function sampleOf(id: number, bytes: Uint8Array, nameAt: number, valueAt: number, valueEnd: number): number {
  const length = valueEnd - nameAt;
  let sample = Math.imul(id + 1, GOLDEN) + Math.imul(length, PRIME) + (valueAt - nameAt);
  const step = Math.max(length >> 3, 1);
  // At most 15 bytes across the field, then its last four.
  for (let p = id === UNKNOWN_FIELD ? nameAt : valueAt; p < valueEnd; p += step) {
    sample = Math.imul(sample ^ (bytes[p] ?? 0), PRIME);
  }
  for (let p = Math.max(valueEnd - 4, valueAt); p < valueEnd; p++) sample = Math.imul(sample ^ (bytes[p] ?? 0), PRIME);
  return sample | 0;
}

const GOLDEN = 0x9e37_79b9;
const PRIME = 0x0100_0193;

/** An integer behind a prefix of flags (RFC 7541 5.1); it has at most 28 bits. */
function putInteger(into: Uint8Array, at: number, flags: number, prefixBits: number, value: number): number {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) {
    into[at] = flags | value;
    return at + 1;
  }
  into[at] = flags | mask;
  let end = at + 1;
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) into[end++] = 0x80 | (rest & 0x7f);
  into[end++] = rest;
  return end;
}
