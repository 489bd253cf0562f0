/**
 * Field sections: the head or the trailers of a message as bytes with an index, so that fields are checked, filtered and
 * passed on without a string for each. Across the native boundary they travel flat, little endian (the same layout as in
 * `ffi/native/src/fields.rs`):
 *
 *     u32 count | u32 bytesAt | count x { u32 nameLength, u32 valueLength } | gap | bytes: name, value, name, value ...
 */
import { assert, must } from "./assert.ts";
import { copyBytes, equalsLatin1, readU32, writeU32 } from "./bytes.ts";
import { FIELD_ID_MAX, fieldIdOf, fieldIdOfBytes, fieldNameOf, UNKNOWN_FIELD } from "./field-names.ts";
import { LIMITS } from "./limits.ts";

/** Where the table of lengths begins in the flat layout. */
const TABLE_AT = 8;
const TABLE_ENTRY_BYTES = 8;
/** Words of the index for one field: where the name begins, where the value begins, the name's number. */
const INDEX_WORDS = 3;
/** A section of others at its limit still takes the fields that we add. */
const WRITER_FIELDS_MAX = LIMITS.fieldsPerSectionMax + LIMITS.fieldsAddedMax;
/** Where a writer's bytes begin: behind a table of full length, so that both can grow. */
const WRITER_BYTES_AT = TABLE_AT + TABLE_ENTRY_BYTES * WRITER_FIELDS_MAX;
/** What RFC 9114 4.2.2 adds for each field. */
const FIELD_OVERHEAD_BYTES = 32;

/**
 * An immutable field section that owns its memory. Positions are `0 .. count - 1`, in the order received; offsets are into
 * `bytes`. Strings hold one byte per character (latin1). Its bytes may move in memory: lend native code a `FieldWriter`'s.
 */
export class FieldSection {
  /** Names and values back to back. */
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly #index: Int32Array;
  #text: string | null = null;

  private constructor(bytes: Uint8Array, count: number, index: Int32Array) {
    this.bytes = bytes;
    this.count = count;
    this.#index = index;
  }

  /**
   * Copies the flat section in the first `lengthBytes` of `flat`. Null when its lengths do not fit its size; what names and
   * values hold is not looked at.
   */
  static from(flat: Uint8Array, lengthBytes: number = flat.length): FieldSection | null {
    if (lengthBytes < TABLE_AT || lengthBytes > flat.length) return null;
    const count = readU32(flat, 0);
    const bytesAt = readU32(flat, 4);
    if (bytesAt > lengthBytes || TABLE_AT + TABLE_ENTRY_BYTES * count > bytesAt) return null;

    const index = new Int32Array(INDEX_WORDS * count + 1);
    let at = bytesAt;
    for (let i = 0; i < count; i++) {
      const entry = TABLE_AT + TABLE_ENTRY_BYTES * i;
      const nameLength = readU32(flat, entry);
      const valueAt = at + nameLength;
      const end = valueAt + readU32(flat, entry + 4);
      if (end > lengthBytes) return null;
      index[INDEX_WORDS * i] = at - bytesAt;
      index[INDEX_WORDS * i + 1] = valueAt - bytesAt;
      index[INDEX_WORDS * i + 2] = fieldIdOfBytes(flat, at, nameLength);
      at = end;
    }
    if (at !== lengthBytes) return null;
    index[INDEX_WORDS * count] = at - bytesAt;
    return new FieldSection(flat.slice(bytesAt, lengthBytes), count, index);
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

  /** Compares bytes; makes no string. */
  nameIs(i: number, name: string): boolean {
    return equalsLatin1(this.bytes, this.nameAt(i), this.valueAt(i), name);
  }

  /** Compares bytes; makes no string. */
  valueIs(i: number, value: string): boolean {
    return equalsLatin1(this.bytes, this.valueAt(i), this.valueEnd(i), value);
  }

  /** Position of the first field with this number from `from` on; -1 when there is none. */
  find(nameId: number, from: number = 0): number {
    assert(nameId > UNKNOWN_FIELD && nameId < FIELD_ID_MAX, "a field is looked up by a number of the name table");
    for (let i = from; i < this.count; i++) {
      if (this.nameId(i) === nameId) return i;
    }
    return -1;
  }

  /** The fields from position `first` on; it shares this section's bytes. */
  after(first: number): FieldSection {
    assert(first >= 0 && first <= this.count, "a section is cut within its fields");
    return new FieldSection(this.bytes, this.count - first, this.#index.slice(INDEX_WORDS * first));
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
    const word = this.#index[at];
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
      this.#text ??= SINGLE_BYTE_DECODER.decode(this.bytes);
      return this.#text.slice(at, end);
    }
    let text = "";
    for (let p = at; p < end; p++) text += String.fromCharCode(this.bytes[p] ?? 0);
    return text;
  }
}

/** In truth windows-1252: one character for each byte, so offsets hold, but only those of ASCII bytes are the byte itself. */
const SINGLE_BYTE_DECODER = new TextDecoder("latin1");

/**
 * Builds sections in one scratch area that is made once and never moves, so native code may read what `finish` returns.
 * Holds `LIMITS.fieldsPerSectionMax` fields and `LIMITS.fieldsAddedMax` more, with `LIMITS.fieldWriterBytesMax` bytes of
 * names and values: what goes beyond is refused with false, and everything after it too, so that a caller may ask `full`
 * once at the end. Names are given in lower case; neither they nor values are checked here.
 */
export class FieldWriter {
  readonly #bytes = new Uint8Array(new ArrayBuffer(WRITER_BYTES_AT + LIMITS.fieldWriterBytesMax));
  #count = 0;
  #end = WRITER_BYTES_AT;
  #full = false;

  /** Something was refused since `begin`. */
  get full(): boolean {
    return this.#full;
  }

  get count(): number {
    return this.#count;
  }

  /** Size of what was added, as RFC 9114 4.2.2 counts it: names, values and 32 for each field. */
  get sectionBytes(): number {
    return this.#end - WRITER_BYTES_AT + FIELD_OVERHEAD_BYTES * this.count;
  }

  /** Starts a new section; views given out before are no longer valid. */
  begin(): void {
    this.#count = 0;
    this.#end = WRITER_BYTES_AT;
    this.#full = false;
  }

  /** Adds a field from strings of one byte per character. */
  add(name: string, value: string): boolean {
    if (!this.#hasRoom(1, name.length + value.length)) return false;
    this.#putText(name);
    this.#putText(value);
    this.#putLengths(name.length, value.length);
    return true;
  }

  /** Adds a field from an array that holds its name and value back to back, and nothing else. */
  addBytes(bytes: Uint8Array, nameLength: number): boolean {
    if (!this.#hasRoom(1, bytes.length)) return false;
    this.#putBytes(bytes, 0, bytes.length);
    this.#putLengths(nameLength, bytes.length - nameLength);
    return true;
  }

  /** Where a decoder writes names and values itself, from `scratchEnd` on, before it adds them with `addWritten`. */
  get scratch(): Uint8Array {
    return this.#bytes;
  }

  get scratchEnd(): number {
    return this.#end;
  }

  /** Adds a field whose name and value were written from `scratchEnd` on. */
  addWritten(nameLength: number, valueLength: number): boolean {
    if (!this.#hasRoom(1, nameLength + valueLength)) return false;
    this.#end += nameLength + valueLength;
    this.#putLengths(nameLength, valueLength);
    return true;
  }

  /** Adds field `i` of a section as it is. */
  addFrom(section: FieldSection, i: number): boolean {
    return this.addRun(section, i, i + 1);
  }

  /** Adds the fields `from .. to - 1` of a section as they are: their bytes lie together and are copied in one go. */
  addRun(section: FieldSection, from: number, to: number): boolean {
    if (from >= to) return !this.#full;
    const at = section.nameAt(from);
    const end = section.valueEnd(to - 1);
    if (!this.#hasRoom(to - from, end - at)) return false;
    this.#putBytes(section.bytes, at, end);
    for (let i = from; i < to; i++) this.#putLengths(section.nameLength(i), section.valueLength(i));
    return true;
  }

  /** Adds one field: the name of field `i`, the values of it and of all later fields of that number, joined. */
  addJoined(section: FieldSection, i: number, separator: string): boolean {
    const id = section.nameId(i);
    let valueLength = section.valueLength(i);
    for (let j = section.find(id, i + 1); j >= 0; j = section.find(id, j + 1)) {
      valueLength += separator.length + section.valueLength(j);
    }
    if (!this.#hasRoom(1, section.nameLength(i) + valueLength)) return false;
    this.#putBytes(section.bytes, section.nameAt(i), section.valueEnd(i));
    for (let j = section.find(id, i + 1); j >= 0; j = section.find(id, j + 1)) {
      this.#putText(separator);
      this.#putBytes(section.bytes, section.valueAt(j), section.valueEnd(j));
    }
    this.#putLengths(section.nameLength(i), valueLength);
    return true;
  }

  /** The flat section: a view on the scratch area, valid until the next `begin`. */
  finish(): Uint8Array {
    this.#seal();
    return this.#bytes.subarray(0, this.#end);
  }

  /** A section of its own with the same fields. */
  toSection(): FieldSection {
    this.#seal();
    return must(FieldSection.from(this.#bytes, this.#end), "a writer's section is well formed");
  }

  #seal(): void {
    assert(!this.#full, "a section that lacks fields is not sent");
    writeU32(this.#bytes, 0, this.#count);
    writeU32(this.#bytes, 4, WRITER_BYTES_AT);
  }

  #hasRoom(fields: number, bytes: number): boolean {
    if (this.#count + fields > WRITER_FIELDS_MAX || this.#end + bytes > this.#bytes.length) this.#full = true;
    return !this.#full;
  }

  #putText(text: string): void {
    let seen = 0;
    let at = this.#end;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      seen |= code;
      this.#bytes[at++] = code;
    }
    assert(seen <= 0xff, "a field's text has one byte per character");
    this.#end = at;
  }

  #putBytes(source: Uint8Array, at: number, end: number): void {
    copyBytes(this.#bytes, this.#end, source, at, end);
    this.#end += end - at;
  }

  /** Closes a field whose bytes have been put. */
  #putLengths(nameLength: number, valueLength: number): void {
    const entry = TABLE_AT + TABLE_ENTRY_BYTES * this.#count;
    writeU32(this.#bytes, entry, nameLength);
    writeU32(this.#bytes, entry + 4, valueLength);
    this.#count += 1;
  }
}
