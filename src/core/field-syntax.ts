/** What RFC 9110 allows in names and values, checked on bytes. One table lookup or two comparisons for each byte, no strings. */

/** Why a field name is refused. */
export type NameFault = "name-empty" | "name-upper-case" | "name-character";

/** Why a field value is refused. */
export type ValueFault = "value-character" | "value-whitespace";

const TAB = 0x09;
const SPACE = 0x20;
const DELETE = 0x7f;
const ZERO = 0x30;
const NINE = 0x39;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;

const LOWER = 1;
const UPPER = 2;
/** Token characters (RFC 9110 5.6.2): `LOWER` are those that a name of HTTP/2 and HTTP/3 may have. */
const TOKEN_CLASS = tokenClasses();

/** Null for a token without upper-case letters, as HTTP/2 and HTTP/3 want names (RFC 9114 4.2). */
export function nameFault(bytes: Uint8Array, at: number, end: number): NameFault | null {
  if (at === end) return "name-empty";
  for (let p = at; p < end; p++) {
    const kind = TOKEN_CLASS[bytes[p] ?? 0];
    if (kind !== LOWER) return kind === UPPER ? "name-upper-case" : "name-character";
  }
  return null;
}

/** Whether the bytes are a token of at least one character; case does not matter. */
export function isToken(bytes: Uint8Array, at: number, end: number): boolean {
  for (let p = at; p < end; p++) {
    if (TOKEN_CLASS[bytes[p] ?? 0] === 0) return false;
  }
  return at < end;
}

/**
 * Null for a field value (RFC 9110 5.5): no control characters but HTAB, and neither HTAB nor space at its ends. Bytes from
 * 0x80 on pass. An empty value is one.
 */
export function valueFault(bytes: Uint8Array, at: number, end: number): ValueFault | null {
  if (at === end) return null;
  if (hasControl(bytes, at, end)) return "value-character";
  return isBlank(bytes[at]) || isBlank(bytes[end - 1]) ? "value-whitespace" : null;
}

/** Whether there is a control character other than HTAB: NUL, CR and LF are among them. */
export function hasControl(bytes: Uint8Array, at: number, end: number): boolean {
  for (let p = at; p < end; p++) {
    const byte = bytes[p] ?? 0;
    if (byte < SPACE ? byte !== TAB : byte === DELETE) return true;
  }
  return false;
}

/** The number of a Content-Length (RFC 9110 8.6): digits only, at most 2^53 - 1; -1 for anything else. */
export function contentLengthOf(bytes: Uint8Array, at: number, end: number): number {
  if (at === end) return -1;
  let value = 0;
  for (let p = at; p < end; p++) {
    const byte = bytes[p] ?? 0;
    if (byte < ZERO || byte > NINE) return -1;
    value = value * 10 + (byte - ZERO);
    if (value > Number.MAX_SAFE_INTEGER) return -1;
  }
  return value;
}

/** Compares two parts of one array, ASCII letters without their case. */
export function equalsIgnoringCase(bytes: Uint8Array, at: number, end: number, otherAt: number): boolean {
  for (let p = at, q = otherAt; p < end; p++, q++) {
    if (lowered(bytes[p] ?? 0) !== lowered(bytes[q] ?? 0)) return false;
  }
  return true;
}

/** Whether a part of an array begins with a text of lower-case ASCII, letters without their case. */
export function startsWithIgnoringCase(bytes: Uint8Array, at: number, end: number, lower: string): boolean {
  if (end - at < lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    if (lowered(bytes[at + i] ?? 0) !== lower.charCodeAt(i)) return false;
  }
  return true;
}

function lowered(byte: number): number {
  return byte >= UPPER_A && byte <= UPPER_Z ? byte + 0x20 : byte;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function tokenClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
    classes[character.charCodeAt(0)] = LOWER;
  for (let byte = UPPER_A; byte <= UPPER_Z; byte++) classes[byte] = UPPER;
  return classes;
}
