/**
 * What stands between the data of a chunked body (RFC 9112 7.1), read from pieces of any size: sizes, extensions, line ends.
 * Strict: hexadecimal digits and nothing else make a size, a line ends in CR LF, and white space stands in quoted strings only.
 */
import { assert } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import { CR, LF, TOKEN_LOWERED, VALUE_REFUSED } from "./bytes.ts";
import type { H1Fault } from "./faults.ts";

const SEMICOLON = 0x3b;

const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Where in a line the next byte stands. */
const FIRST_DIGIT = 0;
const DIGITS = 1;
const NAME_START = 2;
const NAME = 3;
const VALUE_START = 4;
const VALUE = 5;
const QUOTED = 6;
const ESCAPED = 7;
const AFTER_QUOTED = 8;
const SIZE_END = 9;
const DATA = 10;
const AFTER_DATA = 11;
const DATA_END = 12;
const LAST = 13;

const NO_DIGIT = 16;
/** For each byte the value of a hexadecimal digit, `NO_DIGIT` for all others. */
const DIGIT_VALUE = digitTable();

/** The lines of one body: `begin`, then by turns `read` and, while `dataBytes` is above 0, `took`. */
export class ChunkLines {
  #place = LAST;
  #digits = 0;
  #sizeBytes = 0;
  #extensionBytes = 0;
  #fault: H1Fault | null = null;

  /** Bytes of data that follow next; 0 while a line is still to be read. */
  get dataBytes(): number {
    return this.#place === DATA ? this.#sizeBytes : 0;
  }

  /** The last chunk's size has been read: the trailers follow. */
  get last(): boolean {
    return this.#place === LAST;
  }

  /** What is wrong; then nothing more is to be read. */
  get fault(): H1Fault | null {
    return this.#fault;
  }

  begin(): void {
    this.#place = FIRST_DIGIT;
    this.#sizeBytes = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#fault = null;
  }

  /** Reads up to the next data or the end of the last size; answers with the place behind the last byte taken. */
  read(bytes: Uint8Array, at: number, end: number): number {
    let p = at;
    while (p < end && this.#place !== DATA && this.#place !== LAST) {
      this.#fault = this.#step(bytes[p] ?? 0);
      if (this.#fault !== null) return p;
      p += 1;
    }
    return p;
  }

  /** So many bytes of data were taken. */
  took(lengthBytes: number): void {
    assert(this.#place === DATA && lengthBytes <= this.#sizeBytes, "no more data is taken than the chunk has");
    this.#sizeBytes -= lengthBytes;
    // Data makes up for extensions, so that a long body may have a short one at each chunk.
    this.#extensionBytes = Math.max(0, this.#extensionBytes - lengthBytes);
    if (this.#sizeBytes === 0) this.#place = AFTER_DATA;
  }

  #step(byte: number): H1Fault | null {
    switch (this.#place) {
      case FIRST_DIGIT:
        if (DIGIT_VALUE[byte] === NO_DIGIT) return "chunk-size";
        this.#digits = 0;
        this.#sizeBytes = 0;
        this.#place = DIGITS;
        return this.#addDigit(byte);
      case DIGITS:
        return this.#addDigit(byte);
      case SIZE_END:
        if (byte !== LF) return "bare-cr";
        this.#place = this.#sizeBytes === 0 ? LAST : DATA;
        return null;
      case AFTER_DATA:
        this.#place = DATA_END;
        return byte === CR ? null : "chunk-end";
      case DATA_END:
        this.#place = FIRST_DIGIT;
        return byte === LF ? null : "chunk-end";
      default:
        return this.#extend(byte);
    }
  }

  #addDigit(byte: number): H1Fault | null {
    const value = DIGIT_VALUE[byte] ?? NO_DIGIT;
    if (value === NO_DIGIT) return this.#endDigits(byte);
    this.#digits += 1;
    this.#sizeBytes = this.#sizeBytes * 16 + value;
    const fits = this.#digits <= LIMITS.h1ChunkSizeDigitsMax && this.#sizeBytes <= Number.MAX_SAFE_INTEGER;
    return fits ? null : "chunk-size";
  }

  #endDigits(byte: number): H1Fault | null {
    if (byte === CR) this.#place = SIZE_END;
    else if (byte === SEMICOLON) this.#place = NAME_START;
    else return byte === LF ? "bare-lf" : "chunk-size";
    return byte === CR ? null : this.#addExtensionByte();
  }

  /** Nobody reads extensions, but where they end has to be as plain to others as to us. */
  #extend(byte: number): H1Fault | null {
    const next = placeAfter(this.#place, byte);
    if (next < 0) return byte === LF ? "bare-lf" : "chunk-extension";
    this.#place = next;
    return next === SIZE_END ? null : this.#addExtensionByte();
  }

  #addExtensionByte(): H1Fault | null {
    this.#extensionBytes += 1;
    return this.#extensionBytes > LIMITS.h1ChunkExtensionBytesMax ? "chunk-extensions-too-large" : null;
  }
}

/** The place behind this byte of an extension, -1 when it may not stand there: `;name`, `;name=token`, `;name="quoted"`. */
function placeAfter(place: number, byte: number): number {
  const isToken = TOKEN_LOWERED[byte] !== 0;
  switch (place) {
    case NAME_START:
      return isToken ? NAME : -1;
    case NAME:
      return isToken ? NAME : byte === EQUALS ? VALUE_START : placeAfterOne(byte);
    case VALUE_START:
      return isToken ? VALUE : byte === QUOTE ? QUOTED : -1;
    case VALUE:
      return isToken ? VALUE : placeAfterOne(byte);
    case QUOTED:
      if (byte === QUOTE) return AFTER_QUOTED;
      if (byte === BACKSLASH) return ESCAPED;
      return VALUE_REFUSED[byte] === 0 ? QUOTED : -1;
    case ESCAPED:
      return VALUE_REFUSED[byte] === 0 ? QUOTED : -1;
    default:
      return placeAfterOne(byte);
  }
}

/** What may stand behind a whole extension. */
function placeAfterOne(byte: number): number {
  if (byte === CR) return SIZE_END;
  return byte === SEMICOLON ? NAME_START : -1;
}

function digitTable(): Uint8Array {
  const table = new Uint8Array(256).fill(NO_DIGIT);
  const digits = "0123456789abcdef";
  for (let value = 0; value < digits.length; value++) {
    table[digits.charCodeAt(value)] = value;
    table[digits.toUpperCase().charCodeAt(value)] = value;
  }
  return table;
}
