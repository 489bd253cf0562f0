/** The request target in its common form, path and query (RFC 9112 3.2.1, RFC 9114 4.3.1), checked on bytes. */
import { pathFault, type PathFault } from "./path-fault.ts";

/** Why a target is refused. `path-form` is any that does not begin with a slash: an absolute one would name a second authority. */
export type TargetFault = "path-empty" | "path-form" | "path-fragment" | "path-character" | PathFault;

/** Null for a path that may be routed, with or without a query. One look at each byte, and a closer one at paths that show a reason. */
export function targetFault(bytes: Uint8Array, at: number, end: number): TargetFault | null {
  if (at === end) return "path-empty";
  let isQuery = false;
  let isOdd = false;
  for (let p = at; p < end; p++) {
    const kind = KINDS[bytes[p] ?? 0];
    if (kind === PLAIN) continue;
    if (kind === REFUSED) return bytes[p] === HASH ? "path-fragment" : "path-character";
    if (kind === QUERY) isQuery = true;
    else if (!isQuery) isOdd ||= kind === ODD || bytes[p - 1] === SLASH;
  }
  if (bytes[at] !== SLASH) return "path-form";
  return isOdd ? pathFault(bytes, at, end) : null;
}

const HASH = 0x23;
const SLASH = 0x2f;
/** Visible ASCII: all that a target may hold besides `#`. */
const VISIBLE_FIRST = 0x21;
const VISIBLE_LAST = 0x7e;

const PLAIN = 0;
const REFUSED = 1;
const QUERY = 2;
/** Escapes and backslashes, and dots behind a slash. */
const ODD = 3;
const DOT = 4;
const KINDS = kinds();

function kinds(): Uint8Array {
  const table = new Uint8Array(256).fill(REFUSED);
  table.fill(PLAIN, VISIBLE_FIRST, VISIBLE_LAST + 1);
  const mark = (characters: string, kind: number): void => {
    for (const character of characters) table[character.charCodeAt(0)] = kind;
  };
  mark("#", REFUSED);
  mark("?", QUERY);
  mark("%\\", ODD);
  mark(".", DOT);
  return table;
}
