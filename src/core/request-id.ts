/** Request ids: UUID version 7 (RFC 9562 5.7), sortable by time, unique by the random rest. */
import { HEX_DIGITS, putHex } from "./bytes.ts";
import { FIELD } from "./field-names.ts";
import type { FieldWriter } from "./field-writer.ts";
import type { Random } from "./random.ts";

const TWO_16 = 2 ** 16;
const VERSION = 0x7000;
/** The upper two bits of the third word. */
const VARIANT = 0x8000_0000;
const NAME = "x-request-id";

/**
 * The id of one request: four words of 32 bits, the highest first, until somebody wants its text. Most ids are only ever written into heads,
 * and a text that is put together of pieces costs more than the digits.
 */
export class RequestId {
  readonly #a: number;
  readonly #b: number;
  readonly #c: number;
  readonly #d: number;
  #text: string | null;

  private constructor(a: number, b: number, c: number, d: number, text: string | null) {
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
    this.#text = text;
  }

  /** From the four words of a UUID. */
  static ofWords(a: number, b: number, c: number, d: number): RequestId {
    return new RequestId(a, b, c, d, null);
  }

  /** One that somebody else has given: visible ASCII. */
  static given(text: string): RequestId {
    return new RequestId(0, 0, 0, 0, text);
  }

  get text(): string {
    this.#text ??= textOf(this.#a, this.#b, this.#c, this.#d);
    return this.#text;
  }

  /** Adds the field `x-request-id`. */
  write(into: FieldWriter): boolean {
    if (this.#text !== null) return into.add(NAME, this.#text);
    const at = NAME.length;
    putHex(TEMPLATE, at, this.#a, 8);
    putHex(TEMPLATE, at + 9, this.#b >>> 16, 4);
    putHex(TEMPLATE, at + 14, this.#b, 4);
    putHex(TEMPLATE, at + 19, this.#c >>> 16, 4);
    putHex(TEMPLATE, at + 24, this.#c, 4);
    putHex(TEMPLATE, at + 28, this.#d, 8);
    return into.addBytes(TEMPLATE, NAME.length, FIELD[NAME]);
  }
}

/** Name and value; the digits are written over with each use. */
const TEMPLATE = Uint8Array.from(`${NAME}00000000-0000-0000-0000-000000000000`, (character) => character.charCodeAt(0));

function textOf(a: number, b: number, c: number, d: number): string {
  return `${hex(a, 8)}-${hex(b >>> 16, 4)}-${hex(b, 4)}-${hex(c >>> 16, 4)}-${hex(c, 4)}${hex(d, 8)}`;
}

/** The lowest `digits` digits. */
function hex(word: number, digits: number): string {
  let text = "";
  for (let shift = 4 * (digits - 1); shift >= 0; shift -= 4) text += HEX_DIGITS[(word >>> shift) & 0xf] ?? "";
  return text;
}

/** Makes ids from a wall clock and a random source. */
export class RequestIds {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A new id; `epochMs` is the wall clock. */
  next(epochMs: number): RequestId {
    const now = Math.floor(epochMs);
    const random = this.#random;
    const high = Math.floor(now / TWO_16);
    const low = ((now % TWO_16) << 16) | VERSION | (random.nextUint32() >>> 20);
    return RequestId.ofWords(high, low >>> 0, (VARIANT | (random.nextUint32() >>> 2)) >>> 0, random.nextUint32());
  }
}
