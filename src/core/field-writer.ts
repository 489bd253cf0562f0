/** Writes field sections into memory that is made once, in the flat layout of `fields.ts`. */
import { assert, must } from "./assert.ts";
import { copyBytes, writeU32 } from "./bytes.ts";
import { fieldIdOf, fieldIdOfBytes } from "./field-names.ts";
import { FieldSection, INDEX_WORDS, TABLE_AT, TABLE_ENTRY_BYTES } from "./fields.ts";
import { LIMITS } from "./limits.ts";

/** A section of others at its limit still takes the fields that we add. */
const WRITER_FIELDS_MAX = LIMITS.fieldsPerSectionMax + LIMITS.fieldsAddedMax;
/** Where a writer's bytes begin: behind a table of full length, so that both can grow. */
const WRITER_BYTES_AT = TABLE_AT + TABLE_ENTRY_BYTES * WRITER_FIELDS_MAX;
/** What RFC 9114 4.2.2 adds for each field. */
const FIELD_OVERHEAD_BYTES = 32;

/** A field that is added many times, coded once. */
export interface EncodedField {
  /** Name and value. */
  readonly bytes: Uint8Array;
  readonly nameLength: number;
  readonly nameId: number;
}

/** Codes a field from strings of one byte per character; the name in lower case. */
export function encodedField(name: string, value: string): EncodedField {
  const bytes = Uint8Array.from(name + value, (character) => character.charCodeAt(0));
  return { bytes, nameLength: name.length, nameId: fieldIdOf(name) };
}

/** Views that a writer keeps. */
const FINISHED_VIEWS = 64;
const NONE = new Uint8Array(0);

/** In a writer's index: nobody has looked for the name's number yet. */
const UNSEEN = -1;

/**
 * Builds sections in one scratch area that is made once and never moves, so native code may read what `finish` returns.
 * Holds `LIMITS.fieldsPerSectionMax` fields and `LIMITS.fieldsAddedMax` more, with `LIMITS.fieldWriterBytesMax` bytes of
 * names and values: what goes beyond is refused with false, and everything after it too, so that a caller may ask `full`
 * once at the end. Names are given in lower case; neither they nor values are checked here.
 */
export class FieldWriter {
  readonly #bytes = new Uint8Array(new ArrayBuffer(WRITER_BYTES_AT + LIMITS.fieldWriterBytesMax));
  /** As a section's; a name's number may be `UNSEEN`. */
  readonly #index = new Int32Array(INDEX_WORDS * WRITER_FIELDS_MAX + 1);
  readonly #view = FieldSection.over(this.#bytes, this.#index);
  /** What `finish` has returned, by length: heads have few lengths, and each view costs 60 ns and is left to the collector. */
  readonly #finished = new Array<Uint8Array>(FINISHED_VIEWS).fill(NONE);
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
    this.#putLengths(name.length, value.length, UNSEEN);
    return true;
  }

  /** Adds a field that was made by `encodedField`. */
  addEncoded({ bytes, nameLength, nameId }: EncodedField): boolean {
    return this.addBytes(bytes, nameLength, nameId);
  }

  /** Adds a field from an array that holds its name and value back to back, and nothing else; `nameId` as in `FIELD`. */
  addBytes(bytes: Uint8Array, nameLength: number, nameId: number = UNSEEN): boolean {
    if (!this.#hasRoom(1, bytes.length)) return false;
    this.#putBytes(bytes, 0, bytes.length);
    this.#putLengths(nameLength, bytes.length - nameLength, nameId);
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
  addWritten(nameLength: number, valueLength: number, nameId: number = UNSEEN): boolean {
    if (!this.#hasRoom(1, nameLength + valueLength)) return false;
    this.#end += nameLength + valueLength;
    this.#putLengths(nameLength, valueLength, nameId);
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
    const shift = this.#end - at;
    this.#putBytes(section.bytes, at, end);
    for (let i = from; i < to; i++)
      this.#putField(section.nameAt(i) + shift, section.valueAt(i) + shift, section.nameId(i));
    return true;
  }

  /**
   * Adds one field: the name of field `i`, the values of it and of all later fields of that number, joined, and at their end the value
   * of field `lastAt` of another section if there is one. Empty values are left out.
   */
  addJoined(
    section: FieldSection,
    i: number,
    separator: string,
    last: FieldSection | null = null,
    lastAt: number = 0,
  ): boolean {
    const id = section.nameId(i);
    let room = section.nameLength(i) + (last === null ? 0 : separator.length + last.valueLength(lastAt));
    for (let j = i; j >= 0; j = section.findFrom(id, j + 1)) room += separator.length + section.valueLength(j);
    if (!this.#hasRoom(1, room)) return false;
    this.#putBytes(section.bytes, section.nameAt(i), section.valueAt(i));
    const valueAt = this.#end;
    for (let j = i; j >= 0; j = section.findFrom(id, j + 1)) this.#putListed(section, j, separator, valueAt);
    if (last !== null) this.#putListed(last, lastAt, separator, valueAt);
    this.#putLengths(section.nameLength(i), this.#end - valueAt, id);
    return true;
  }

  /** The flat section: a view on the scratch area, valid until the next `begin`. */
  finish(): Uint8Array {
    this.#seal();
    const place = this.#end % FINISHED_VIEWS;
    const kept = this.#finished[place] ?? NONE;
    if (kept.length === this.#end) return kept;
    return (this.#finished[place] = this.#bytes.subarray(0, this.#end));
  }

  /**
   * The same fields from position `first` on as a section that is a view on the scratch area, always the same object: valid until the
   * next `begin` or `view`. It spares the copy where a section is read at once and not kept.
   */
  view(first: number = 0): FieldSection {
    assert(!this.#full, "a section that lacks fields is not read");
    const index = this.#index;
    index[INDEX_WORDS * this.#count] = this.#end;
    for (let at = 0; at < INDEX_WORDS * this.#count; at += INDEX_WORDS) {
      if (index[at + 2] !== UNSEEN) continue;
      const nameAt = index[at] ?? 0;
      index[at + 2] = fieldIdOfBytes(this.#bytes, nameAt, (index[at + 1] ?? 0) - nameAt);
    }
    return this.#view.show(first, this.#count - first);
  }

  /** A section of its own with the same fields. */
  toSection(): FieldSection {
    this.#seal();
    return must(FieldSection.from(this.#bytes, this.#end), "a writer's section is well formed");
  }

  /** Writes what crosses the native boundary before the bytes: most sections never do. */
  #seal(): void {
    assert(!this.#full, "a section that lacks fields is not sent");
    const index = this.#index;
    const count = this.#count;
    writeU32(this.#bytes, 0, count);
    writeU32(this.#bytes, 4, WRITER_BYTES_AT);
    index[INDEX_WORDS * count] = this.#end;
    for (let i = 0; i < count; i++) {
      const word = INDEX_WORDS * i;
      const valueAt = index[word + 1] ?? 0;
      const entry = TABLE_AT + TABLE_ENTRY_BYTES * i;
      writeU32(this.#bytes, entry, valueAt - (index[word] ?? 0));
      writeU32(this.#bytes, entry + 4, (index[word + INDEX_WORDS] ?? 0) - valueAt);
    }
  }

  #hasRoom(fields: number, bytes: number): boolean {
    if (this.#count + fields > WRITER_FIELDS_MAX || this.#end + bytes > this.#bytes.length) this.#full = true;
    return !this.#full;
  }

  /** One value of a list that began at `valueAt`. */
  #putListed(section: FieldSection, i: number, separator: string, valueAt: number): void {
    if (section.valueLength(i) === 0) return;
    if (this.#end > valueAt) this.#putText(separator);
    this.#putBytes(section.bytes, section.valueAt(i), section.valueEnd(i));
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

  /** Closes a field whose bytes have just been put. */
  #putLengths(nameLength: number, valueLength: number, nameId: number): void {
    const valueAt = this.#end - valueLength;
    this.#putField(valueAt - nameLength, valueAt, nameId);
  }

  #putField(nameAt: number, valueAt: number, nameId: number): void {
    const word = INDEX_WORDS * this.#count;
    this.#index[word] = nameAt;
    this.#index[word + 1] = valueAt;
    this.#index[word + 2] = nameId;
    this.#count += 1;
  }
}
