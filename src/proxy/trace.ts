/**
 * W3C Trace Context (Recommendation of 2021-11-23): which `traceparent` of a client is worth keeping, and one of our own where there
 * is none. We take no part in traces, so a good one goes on as it came; ours only gives the backends of one request a common name.
 */
import { putHex } from "../core/bytes.ts";
import { FIELD } from "../core/field-names.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { Random } from "../core/random.ts";

/**
 * Whether a value may go on (3.2.2): `version-traceid-parentid-flags` in lower-case hex, neither id all zero, not version ff.
 * Version 00 is exactly that long; a later one may go on after a further hyphen, and what follows is not ours to judge.
 */
export function isTraceParent(bytes: Uint8Array, at: number, end: number): boolean {
  const length = end - at;
  if (length < FORM_LENGTH) return false;
  for (let i = 0; i < FORM_LENGTH; i++) {
    const byte = bytes[at + i] ?? 0;
    const isHyphen = i === TRACE_ID_AT - 1 || i === PARENT_ID_AT - 1 || i === FLAGS_AT - 1;
    if (isHyphen ? byte !== HYPHEN : !isLowerHex(byte)) return false;
  }
  if (isAll(bytes, at, at + 2, ZERO)) {
    if (length > FORM_LENGTH) return false;
  } else if (isAll(bytes, at, at + 2, LOWER_F) || (length > FORM_LENGTH && bytes[at + FORM_LENGTH] !== HYPHEN)) {
    return false;
  }
  return (
    !isAll(bytes, at + TRACE_ID_AT, at + PARENT_ID_AT - 1, ZERO) &&
    !isAll(bytes, at + PARENT_ID_AT, at + FLAGS_AT - 1, ZERO)
  );
}

/**
 * The trace of one request that came without one. Its ids are drawn when they are first written and stay the same from then on,
 * so that a second attempt belongs to the same trace.
 */
export class Trace {
  readonly #random: Random;
  #drawn = false;
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;
  #e = 0;
  #f = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Adds `traceparent`, not sampled: nobody has asked for a record. */
  write(into: FieldWriter): boolean {
    if (!this.#drawn) this.#draw();
    putHex(TEMPLATE, NAME.length + TRACE_ID_AT, this.#a, 8);
    putHex(TEMPLATE, NAME.length + TRACE_ID_AT + 8, this.#b, 8);
    putHex(TEMPLATE, NAME.length + TRACE_ID_AT + 16, this.#c, 8);
    putHex(TEMPLATE, NAME.length + TRACE_ID_AT + 24, this.#d, 8);
    putHex(TEMPLATE, NAME.length + PARENT_ID_AT, this.#e, 8);
    putHex(TEMPLATE, NAME.length + PARENT_ID_AT + 8, this.#f, 8);
    return into.addBytes(TEMPLATE, NAME.length, FIELD.traceparent);
  }

  /** An id of zeros is no id. */
  #draw(): void {
    const random = this.#random;
    this.#drawn = true;
    this.#a = random.nextUint32();
    this.#b = random.nextUint32();
    this.#c = random.nextUint32();
    this.#d = random.nextUint32() | 1;
    this.#e = random.nextUint32();
    this.#f = random.nextUint32() | 1;
  }
}

const NAME = "traceparent";
const FORM = "00-00000000000000000000000000000000-0000000000000000-00";
const FORM_LENGTH = FORM.length;
const TRACE_ID_AT = 3;
const PARENT_ID_AT = 36;
const FLAGS_AT = 53;
const HYPHEN = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const LOWER_A = 0x61;
const LOWER_F = 0x66;

/** Name and value; the ids are written over with each use. */
const TEMPLATE = Uint8Array.from(NAME + FORM, (character) => character.charCodeAt(0));

function isLowerHex(byte: number): boolean {
  return (byte >= ZERO && byte <= NINE) || (byte >= LOWER_A && byte <= LOWER_F);
}

function isAll(bytes: Uint8Array, at: number, end: number, wanted: number): boolean {
  for (let p = at; p < end; p++) {
    if (bytes[p] !== wanted) return false;
  }
  return true;
}
