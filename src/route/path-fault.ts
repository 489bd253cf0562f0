/**
 * Paths that are refused, because servers behind us could take them for others than the one that was routed. Which readings are
 * meant, and why these forms and no more: `docs/decisions/0008-paths.md`.
 */
import { LIMITS } from "../core/limits.ts";
import { escapedByte } from "./path.ts";

/**
 * `path-escape`: a percent sign without two hexadecimal digits. `path-control`: an escaped control character. `path-ambiguous`: dot
 * segments that show only after an escaped slash, a backslash or a parameter is read, or that climb over segments which
 * servers count differently.
 */
export type PathFault = "path-escape" | "path-control" | "path-ambiguous";

/** Why the path in `bytes[at..end)`, with its query if it has one, is refused; null when it is not. It begins with a slash. */
export function pathFault(bytes: Uint8Array, at: number, end: number): PathFault | null {
  if (SCRATCH.bytes.length < end - at) SCRATCH.bytes = new Uint8Array(end - at);
  const scratch = SCRATCH.bytes;
  const length = decodeOnce(bytes, at, end, scratch);
  if (length === BAD_ESCAPE) return "path-escape";
  if (length === CONTROL) return "path-control";
  const dotSegments = plainDotSegments(scratch, length);
  if (dotSegments === AMBIGUOUS) return "path-ambiguous";
  return hasNestedDots(scratch, length, dotSegments) ? "path-ambiguous" : null;
}

const PERCENT = 0x25;
const DOT = 0x2e;
const SLASH = 0x2f;
const SEMICOLON = 0x3b;
const QUESTION_MARK = 0x3f;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const DELETE = 0x7f;

/** In decoded text, where control characters cannot be: a slash that was written otherwise, and an escaped dot. */
const OTHER_SLASH = 0x01;
const ESCAPED_DOT = 0x02;

const BAD_ESCAPE = -1;
const CONTROL = -2;
const AMBIGUOUS = -1;

/** Made once and grown to the longest path that was seen. */
const SCRATCH = { bytes: new Uint8Array(4096) };

/** Decodes the path before its query; the answer is the length of the result, `BAD_ESCAPE` or `CONTROL`. */
function decodeOnce(bytes: Uint8Array, at: number, end: number, into: Uint8Array): number {
  let length = 0;
  for (let p = at; p < end; p++) {
    let byte = bytes[p] ?? 0;
    if (byte === QUESTION_MARK) break;
    if (byte === BACKSLASH) byte = OTHER_SLASH;
    else if (byte === PERCENT) {
      byte = p + 2 < end ? escapedByte(bytes[p + 1] ?? 0, bytes[p + 2] ?? 0) : -1;
      if (byte < 0) return BAD_ESCAPE;
      if (byte < SPACE || byte === DELETE) return CONTROL;
      if (byte === SLASH || byte === BACKSLASH) byte = OTHER_SLASH;
      else if (byte === DOT) byte = ESCAPED_DOT;
      p += 2;
    }
    into[length++] = byte;
  }
  return length;
}

/** How many dot segments everybody sees alike; `AMBIGUOUS` when some are not of that kind. */
function plainDotSegments(decoded: Uint8Array, length: number): number {
  let dotSegments = 0;
  let climbs = false;
  let climbsPlainly = false;
  let hasEscapedDots = false;
  /** Some servers count here a segment that others do not. */
  let isUncertain = false;
  for (let at = 1; at <= length;) {
    const end = pieceEnd(decoded, at, length);
    const cut = end < length && decoded[end] === OTHER_SLASH;
    const began = decoded[at - 1] === OTHER_SLASH;
    const contentEnd = parameterAt(decoded, at, end);
    const hasParameter = contentEnd < end;
    // Whether the parameter goes on behind an escaped slash is anybody's guess.
    if (cut && hasParameter) return AMBIGUOUS;
    const dots = dotsIn(decoded, at, contentEnd);
    if (dots > 0) {
      if (cut || began || hasParameter) return AMBIGUOUS;
      const isEscaped = hasEscapedDot(decoded, at, end);
      dotSegments += 1;
      climbs ||= dots === 2;
      climbsPlainly ||= dots === 2 && !isEscaped;
      hasEscapedDots ||= isEscaped;
    } else {
      isUncertain ||= cut || (contentEnd === at && end < length);
    }
    at = end + 1;
  }
  const isAmbiguous = (climbs && isUncertain) || (climbsPlainly && hasEscapedDots);
  return isAmbiguous ? AMBIGUOUS : dotSegments;
}

/** Whether decoding what has been decoded, as careless servers do, brings more dot segments to light. */
function hasNestedDots(decoded: Uint8Array, length: number, dotSegments: number): boolean {
  let left = length;
  for (let level = 0; decoded.subarray(0, left).includes(PERCENT); level++) {
    if (level === LIMITS.pathEscapeLevelsMax) return true;
    const shorter = decodeAgain(decoded, left);
    if (shorter === left) return false;
    left = shorter;
    let count = 0;
    for (let at = 1; at <= left;) {
      const end = pieceEnd(decoded, at, left);
      if (dotsIn(decoded, at, parameterAt(decoded, at, end)) > 0) count += 1;
      at = end + 1;
    }
    if (count !== dotSegments) return true;
  }
  return false;
}

/** In place; what is no escape stays. The answer is the new length. */
function decodeAgain(decoded: Uint8Array, length: number): number {
  let shorter = 0;
  for (let p = 0; p < length; p++) {
    let byte = decoded[p] ?? 0;
    if (byte === PERCENT && p + 2 < length) {
      const value = escapedByte(decoded[p + 1] ?? 0, decoded[p + 2] ?? 0);
      if (value >= 0) {
        byte = value === BACKSLASH ? SLASH : value;
        p += 2;
      }
    }
    decoded[shorter++] = byte;
  }
  return shorter;
}

/** Where the piece that begins at `at` ends: at the next slash of any spelling. */
function pieceEnd(decoded: Uint8Array, at: number, length: number): number {
  let p = at;
  while (p < length && decoded[p] !== SLASH && decoded[p] !== OTHER_SLASH) p += 1;
  return p;
}

/** Where its parameters begin; its end when it has none. */
function parameterAt(decoded: Uint8Array, at: number, end: number): number {
  let p = at;
  while (p < end && decoded[p] !== SEMICOLON) p += 1;
  return p;
}

/** 1 for `.`, 2 for `..`, else 0. */
function dotsIn(decoded: Uint8Array, at: number, end: number): number {
  const length = end - at;
  if (length === 0 || length > 2) return 0;
  return isDot(decoded[at]) && isDot(decoded[end - 1]) ? length : 0;
}

function hasEscapedDot(decoded: Uint8Array, at: number, end: number): boolean {
  return decoded[at] === ESCAPED_DOT || decoded[end - 1] === ESCAPED_DOT;
}

function isDot(byte: number | undefined): boolean {
  return byte === DOT || byte === ESCAPED_DOT;
}
