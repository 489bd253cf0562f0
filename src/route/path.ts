/**
 * The path as routing sees it. Backends get paths as they were sent, and do not read all of them alike: some decode `%2F`, merge `//`,
 * leave out `;parameters` or take `\` for a slash. Routing compares a copy in which all these spellings are one, so that none of
 * them leads around a route; where readings differ by more than spelling, `path-fault.ts` has the request refused.
 * `docs/decisions/0008-paths.md` says what other proxies do.
 */

/**
 * The text that routes are compared with: every escape of visible ASCII decoded but for `%`, `?` and `#`, the others in capitals;
 * backslashes as slashes; parameters (`;...`) left out of their segments; slashes merged; dot segments resolved (RFC 3986 5.2.4).
 * The query is untouched. Never longer than `path`, and of a result the result itself. A path that shows nothing of all that, as
 * nearly all do, is returned as it is after one look at each character, and so is what does not begin with a slash.
 */
export function comparablePath(path: string): string {
  if (path.charCodeAt(0) !== SLASH) return path;
  const end = oddityAt(path);
  return end < 0 ? path : normalised(path);
}

/** Length of the path before its query. */
export function pathLength(path: string): number {
  const query = path.indexOf("?");
  return query < 0 ? path.length : query;
}

/** The number of two hexadecimal digits; -1 when they are none. */
export function escapedByte(high: number, low: number): number {
  const value = ((HEX[high] ?? NO_DIGIT) << 4) | (HEX[low] ?? NO_DIGIT);
  return value <= 0xff ? value : -1;
}

const HASH = 0x23;
const PERCENT = 0x25;
const DOT = 0x2e;
const SLASH = 0x2f;
const SEMICOLON = 0x3b;
const QUESTION_MARK = 0x3f;
const BACKSLASH = 0x5c;
const VISIBLE_FIRST = 0x21;
const VISIBLE_LAST = 0x7e;
const NO_DIGIT = 0x100;

/** Values of digits by their character. */
const HEX = hexValues();
const CAPITALS = Uint8Array.from("0123456789ABCDEF", (character) => character.charCodeAt(0));

const PLAIN = 0;
const ODD = 1;
/** Odd behind a slash: the beginning of a dot segment, or an empty one. */
const ODD_BEHIND_SLASH = 2;
const END = 3;
const KINDS = kinds();

/** Made once and grown to the longest path that was seen. */
const SCRATCH = { bytes: new Uint8Array(4096) };
const ASCII_DECODER = new TextDecoder("latin1");

/** Where the first character stands that may have to be changed; -1: nowhere. */
function oddityAt(path: string): number {
  for (let i = 1; i < path.length; i++) {
    const kind = KINDS[path.charCodeAt(i)] ?? PLAIN;
    if (kind === PLAIN) continue;
    if (kind === END) return -1;
    if (kind === ODD || path.charCodeAt(i - 1) === SLASH) return i;
  }
  return -1;
}

function normalised(path: string): string {
  const queryAt = pathLength(path);
  if (SCRATCH.bytes.length < queryAt) SCRATCH.bytes = new Uint8Array(queryAt);
  const out = SCRATCH.bytes;
  out[0] = SLASH;
  let length = 1;
  let segmentAt = 1;
  let isParameter = false;
  for (let i = 1; i < queryAt; i++) {
    let code = path.charCodeAt(i);
    if (code > VISIBLE_LAST) return path;
    if (code === PERCENT) {
      const byte = escapedByte(path.charCodeAt(i + 1), path.charCodeAt(i + 2));
      if (byte >= 0 && i + 2 < queryAt) {
        i += 2;
        if (!isDecoded(byte)) {
          if (!isParameter) length = putEscape(out, length, byte);
          continue;
        }
        code = byte;
      }
    }
    if (code === SLASH || code === BACKSLASH) {
      length = segmentAt = endSegment(out, segmentAt, length, true);
      isParameter = false;
    } else if (code === SEMICOLON) isParameter = true;
    else if (!isParameter) out[length++] = code;
  }
  length = endSegment(out, segmentAt, length, false);
  return ASCII_DECODER.decode(out.subarray(0, length)) + path.slice(queryAt);
}

/** Ends the segment from `at` on and answers with the length of the result: behind a slash, unless the path ends here. */
function endSegment(out: Uint8Array, at: number, end: number, isSlashNext: boolean): number {
  const length = end - at;
  if (length === 0 || (length === 1 && out[at] === DOT)) return at;
  if (length === 2 && out[at] === DOT && out[at + 1] === DOT) {
    let parentAt = at - 1;
    while (parentAt > 0 && out[parentAt - 1] !== SLASH) parentAt -= 1;
    return Math.max(parentAt, 1);
  }
  if (isSlashNext) out[end] = SLASH;
  return isSlashNext ? end + 1 : end;
}

/** Decoding `%25` would make escapes of what is none, and a decoded `?` or `#` would end the path. */
function isDecoded(byte: number): boolean {
  if (byte < VISIBLE_FIRST || byte > VISIBLE_LAST) return false;
  return byte !== PERCENT && byte !== QUESTION_MARK && byte !== HASH;
}

function putEscape(out: Uint8Array, at: number, byte: number): number {
  out[at] = PERCENT;
  out[at + 1] = CAPITALS[byte >> 4] ?? 0;
  out[at + 2] = CAPITALS[byte & 0xf] ?? 0;
  return at + 3;
}

function kinds(): Uint8Array {
  const table = new Uint8Array(256);
  for (const code of [PERCENT, SEMICOLON, BACKSLASH]) table[code] = ODD;
  for (const code of [DOT, SLASH]) table[code] = ODD_BEHIND_SLASH;
  table[QUESTION_MARK] = END;
  return table;
}

function hexValues(): Uint16Array {
  const values = new Uint16Array(256).fill(NO_DIGIT);
  for (let value = 0; value < 16; value++) {
    const digit = value.toString(16);
    values[digit.charCodeAt(0)] = value;
    values[digit.toUpperCase().charCodeAt(0)] = value;
  }
  return values;
}
