/**
 * Reads field lines (RFC 9112 5) from pieces of any size and builds a section of them: names lowered, white space around values
 * cut. Strict: lines end in CR LF, no white space before the colon, no folding, no control characters.
 */
import { must } from "../core/assert.ts";
import { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { COLON, CR, isBlank, LF, SPACE, TAB, TOKEN_LOWERED, VALUE_REFUSED } from "./bytes.ts";
import type { H1Fault } from "./faults.ts";

/** Where a flat section's table of lengths begins, and how long an entry is (`core/fields.ts`). */
const TABLE_AT = 8;
const ENTRY_BYTES = 8;
const BYTES_AT = TABLE_AT + ENTRY_BYTES * LIMITS.fieldsPerSectionMax;
/** The table and a common head. */
const FIRST_BYTES = BYTES_AT + 2048;

/** Where in a line the next byte stands. */
const LINE_START = 0;
const NAME = 1;
const BEFORE_VALUE = 2;
const VALUE = 3;
const LINE_END = 4;
const SECTION_END = 5;
const COMPLETE = 6;

/** One section at a time: `begin`, `read` until `complete`, `toSection`. How many bytes it may take is the caller's to say. */
export class FieldLines {
  #flat: Uint8Array = new Uint8Array(new ArrayBuffer(FIRST_BYTES));
  #place = COMPLETE;
  #count = 0;
  #nameAt = 0;
  #valueAt = 0;
  #end = BYTES_AT;
  #fault: H1Fault | null = null;

  /** The empty line that ends the section has been read. */
  get complete(): boolean {
    return this.#place === COMPLETE;
  }

  /** What is wrong; then nothing more is to be read. */
  get fault(): H1Fault | null {
    return this.#fault;
  }

  /** Fields read so far. */
  get count(): number {
    return this.#count;
  }

  begin(): void {
    this.#place = LINE_START;
    this.#count = 0;
    this.#end = BYTES_AT;
    this.#fault = null;
  }

  /** Reads on; answers with the place behind the last byte taken, which is `end` unless the section is complete or faulty. */
  read(bytes: Uint8Array, at: number, end: number): number {
    let p = at;
    while (p < end && this.#place !== COMPLETE && this.#fault === null) {
      if (this.#place === NAME) p = this.#readName(bytes, p, end);
      else if (this.#place === VALUE) p = this.#readValue(bytes, p, end);
      else if (this.#place === BEFORE_VALUE) p = this.#skipBlanks(bytes, p, end);
      else if (this.#place === LINE_START) p = this.#startLine(bytes, p);
      else p = this.#endLine(bytes, p);
    }
    return p;
  }

  /** The section, which owns its memory. */
  toSection(): FieldSection {
    const flat = this.#flat;
    writeU32(flat, 0, this.#count);
    writeU32(flat, 4, BYTES_AT);
    const section = must(FieldSection.from(flat, this.#end), "the lengths of lines fit their bytes");
    if (flat.length > FIRST_BYTES) this.#flat = new Uint8Array(new ArrayBuffer(FIRST_BYTES));
    return section;
  }

  #startLine(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] ?? 0;
    if (byte === CR) {
      this.#place = SECTION_END;
      return at + 1;
    }
    if (isBlank(byte)) return this.#refuse("obs-fold", at);
    if (byte === LF) return this.#refuse("bare-lf", at);
    if (byte === COLON) return this.#refuse("name-empty", at);
    if (this.#count >= LIMITS.fieldsPerSectionMax) return this.#refuse("too-many-fields", at);
    this.#nameAt = this.#end;
    this.#place = NAME;
    return at;
  }

  #readName(bytes: Uint8Array, at: number, end: number): number {
    const stop = this.#stopFor(at, end);
    const flat = this.#flat;
    let to = this.#end;
    let p = at;
    for (; p < stop; p++) {
      const lowered = TOKEN_LOWERED[bytes[p] ?? 0] ?? 0;
      if (lowered === 0) break;
      flat[to++] = lowered;
    }
    this.#end = to;
    if (p === stop) return p;
    const byte = bytes[p] ?? 0;
    if (byte !== COLON) return this.#refuse(nameFaultOf(byte), p);
    this.#valueAt = to;
    this.#place = BEFORE_VALUE;
    return p + 1;
  }

  #skipBlanks(bytes: Uint8Array, at: number, end: number): number {
    let p = at;
    while (p < end && isBlank(bytes[p])) p += 1;
    if (p < end) this.#place = VALUE;
    return p;
  }

  #readValue(bytes: Uint8Array, at: number, end: number): number {
    const stop = this.#stopFor(at, end);
    const flat = this.#flat;
    let to = this.#end;
    let p = at;
    for (; p < stop; p++) {
      const byte = bytes[p] ?? 0;
      if (VALUE_REFUSED[byte] !== 0) break;
      flat[to++] = byte;
    }
    this.#end = to;
    if (p === stop) return p;
    const byte = bytes[p] ?? 0;
    if (byte !== CR) return this.#refuse(byte === LF ? "bare-lf" : "value-character", p);
    this.#closeField();
    this.#place = LINE_END;
    return p + 1;
  }

  #closeField(): void {
    const flat = this.#flat;
    let end = this.#end;
    while (end > this.#valueAt && isBlank(flat[end - 1])) end -= 1;
    this.#end = end;
    const entry = TABLE_AT + ENTRY_BYTES * this.#count;
    writeU32(flat, entry, this.#valueAt - this.#nameAt);
    writeU32(flat, entry + 4, end - this.#valueAt);
    this.#count += 1;
  }

  #endLine(bytes: Uint8Array, at: number): number {
    if (bytes[at] !== LF) return this.#refuse("bare-cr", at);
    this.#place = this.#place === SECTION_END ? COMPLETE : LINE_START;
    return at + 1;
  }

  /** How far the store has room for; makes some when it is full. */
  #stopFor(at: number, end: number): number {
    if (this.#end === this.#flat.length) {
      const larger = new Uint8Array(new ArrayBuffer(2 * this.#flat.length));
      larger.set(this.#flat);
      this.#flat = larger;
    }
    return Math.min(end, at + this.#flat.length - this.#end);
  }

  #refuse(fault: H1Fault, at: number): number {
    this.#fault = fault;
    return at;
  }
}

function nameFaultOf(byte: number): H1Fault {
  if (byte === SPACE || byte === TAB) return "name-whitespace";
  if (byte === LF) return "bare-lf";
  return "name-character";
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
