/**
 * Field sections: the head or the trailers of a message as bytes with an index, so that fields are checked, filtered and
 * passed on without a string for each. Across the native boundary they travel flat, little endian (the same layout as in
 * `ffi/native/src/fields.rs`):
 *
 *     u32 count | u32 bytesAt | count x { u32 nameLength, u32 valueLength } | gap | bytes: name, value, name, value ...
 */
import { assert } from "./assert.ts";
import { equalsLatin1, readI32 } from "./bytes.ts";
import { TextCache } from "./text-cache.ts";
import { FIELD_ID_MAX, fieldIdOf, fieldIdOfBytes, fieldNameOf, UNKNOWN_FIELD } from "./field-names.ts";

/** Where the table of lengths begins in the flat layout. */
export const TABLE_AT = 8;
/** Bytes of that table for one field. */
export const TABLE_ENTRY_BYTES = 8;
/** Words of the index for one field: where the name begins, where the value begins, the name's number. */
export const INDEX_WORDS = 3;

/**
 * A field section. Positions are `0 .. count - 1`, in the order received; offsets are into `bytes`. Strings hold one byte per
 * character (latin1). It owns its memory and never changes, unless it is a writer's view (`FieldWriter.view`).
 */
export class FieldSection {
  /** Names and values back to back, and with a view much more. */
  readonly bytes: Uint8Array;
  readonly #index: Int32Array;
  /** Where the first field stands in the index. */
  #from: number;
  #count: number;
  #text: string | null = null;

  private constructor(bytes: Uint8Array, index: Int32Array, from: number, count: number) {
    this.bytes = bytes;
    this.#index = index;
    this.#from = from;
    this.#count = count;
  }

  /** For `FieldWriter`: a view over its memory, whose index it keeps. */
  static over(bytes: Uint8Array, index: Int32Array): FieldSection {
    return new FieldSection(bytes, index, 0, 0);
  }

  /** For `FieldWriter`: what its view shows from now on. */
  show(from: number, count: number): this {
    this.#from = INDEX_WORDS * from;
    this.#count = count;
    this.#text = null;
    return this;
  }

  get count(): number {
    return this.#count;
  }

  /** Names and values together, bytes. */
  get lengthBytes(): number {
    return this.#count === 0 ? 0 : this.valueEnd(this.#count - 1) - this.nameAt(0);
  }

  /**
   * Copies the flat section in the first `lengthBytes` of `flat`. Null when its lengths do not fit its size; what names and
   * values hold is not looked at.
   */
  static from(flat: Uint8Array, lengthBytes: number = flat.length): FieldSection | null {
    if (lengthBytes < TABLE_AT || lengthBytes > flat.length) return null;
    const count = readI32(flat, 0);
    const bytesAt = readI32(flat, 4);
    if (count < 0 || bytesAt > lengthBytes || TABLE_AT + TABLE_ENTRY_BYTES * count > bytesAt) return null;

    const index = new Int32Array(INDEX_WORDS * count + 1);
    let at = bytesAt;
    for (let i = 0; i < count; i++) {
      const entry = TABLE_AT + TABLE_ENTRY_BYTES * i;
      const nameLength = readI32(flat, entry);
      const valueLength = readI32(flat, entry + 4);
      const valueAt = at + nameLength;
      const end = valueAt + valueLength;
      if (nameLength < 0 || valueLength < 0 || end > lengthBytes) return null;
      index[INDEX_WORDS * i] = at - bytesAt;
      index[INDEX_WORDS * i + 1] = valueAt - bytesAt;
      index[INDEX_WORDS * i + 2] = fieldIdOfBytes(flat, at, nameLength);
      at = end;
    }
    if (at !== lengthBytes) return null;
    index[INDEX_WORDS * count] = at - bytesAt;
    return new FieldSection(flat.slice(bytesAt, lengthBytes), index, 0, count);
  }

  /** From texts of one byte per character. For set-up, not for the request path. */
  static of(fields: readonly (readonly [name: string, value: string])[]): FieldSection {
    const text = fields.map(([name, value]) => name + value).join("");
    const index = new Int32Array(INDEX_WORDS * fields.length + 1);
    let at = 0;
    fields.forEach(([name, value], i) => {
      index.set([at, at + name.length, fieldIdOf(name)], INDEX_WORDS * i);
      at += name.length + value.length;
    });
    index[INDEX_WORDS * fields.length] = at;
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return new FieldSection(bytes, index, 0, fields.length);
  }

  /** The name's number in `FIELD`; 0 for names that have none. */
  nameId(i: number): number {
    return this.#word(INDEX_WORDS * i + 2);
  }

  nameAt(i: number): number {
    return this.#word(INDEX_WORDS * i);
  }

  /** Where the name ends and the value begins. */
  valueAt(i: number): number {
    return this.#word(INDEX_WORDS * i + 1);
  }

  valueEnd(i: number): number {
    return this.#word(INDEX_WORDS * i + INDEX_WORDS);
  }

  nameLength(i: number): number {
    return this.valueAt(i) - this.nameAt(i);
  }

  valueLength(i: number): number {
    return this.valueEnd(i) - this.valueAt(i);
  }

  name(i: number): string {
    const id = this.nameId(i);
    return id === UNKNOWN_FIELD ? this.#latin1(this.nameAt(i), this.valueAt(i)) : fieldNameOf(id);
  }

  value(i: number): string {
    return this.#latin1(this.valueAt(i), this.valueEnd(i));
  }

  /** As `value`, for one that is kept while its section is not, and where few are asked for: it is decoded alone, or was before. */
  loneValue(i: number): string {
    return LONE_VALUES.textOf(this.bytes, this.valueAt(i), this.valueEnd(i)) ?? this.value(i);
  }

  /** Compares bytes; makes no string. */
  nameIs(i: number, name: string): boolean {
    return equalsLatin1(this.bytes, this.nameAt(i), this.valueAt(i), name);
  }

  /** Compares bytes; makes no string. */
  valueIs(i: number, value: string): boolean {
    return equalsLatin1(this.bytes, this.valueAt(i), this.valueEnd(i), value);
  }

  /** Position of the first field with this number; -1 when there is none. */
  find(nameId: number): number {
    return this.findFrom(nameId, 0);
  }

  /** As `find`, from position `from` on. No default stands for it: a loop that may begin at `undefined` is never compiled to count in numbers. */
  findFrom(nameId: number, from: number): number {
    assert(nameId > UNKNOWN_FIELD && nameId < FIELD_ID_MAX, "a field is looked up by a number of the name table");
    for (let i = from; i < this.count; i++) {
      if (this.nameId(i) === nameId) return i;
    }
    return -1;
  }

  /** The fields from position `first` on; it shares this section's memory. */
  after(first: number): FieldSection {
    assert(first >= 0 && first <= this.count, "a section is cut within its fields");
    return new FieldSection(this.bytes, this.#index, this.#from + INDEX_WORDS * first, this.count - first);
  }

  /** Value of the first field of this name (lower case); null when there is none. */
  get(name: string): string | null {
    const id = fieldIdOf(name);
    for (let i = 0; i < this.count; i++) {
      if (this.nameId(i) === id && (id !== UNKNOWN_FIELD || this.nameIs(i, name))) return this.value(i);
    }
    return null;
  }

  #word(at: number): number {
    const word = this.#index[this.#from + at];
    assert(word !== undefined, "a field's position is below the section's count");
    return word;
  }

  /**
   * ASCII, which is nearly all, is cut out of one decoding of the whole section: 10 ns for a string after the first, where
   * decoding each one costs 80 (Bun 1.4.5).
   */
  #latin1(at: number, end: number): string {
    let seen = 0;
    for (let p = at; p < end; p++) seen |= this.bytes[p] ?? 0;
    if (seen < 0x80) {
      const from = this.nameAt(0);
      this.#text ??= SINGLE_BYTE_DECODER.decode(this.bytes.subarray(from, from + this.lengthBytes));
      return this.#text.slice(at - from, end - from);
    }
    let text = "";
    for (let p = at; p < end; p++) text += String.fromCharCode(this.bytes[p] ?? 0);
    return text;
  }
}

/** In truth windows-1252: one character for each byte, so offsets hold, but only those of ASCII bytes are the byte itself. */
const SINGLE_BYTE_DECODER = new TextDecoder("latin1");
const LONE_VALUES = new TextCache((bytes, at, end) => SINGLE_BYTE_DECODER.decode(bytes.subarray(at, end)));
