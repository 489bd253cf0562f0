/**
 * Request lines that fetch sends as they are. Bun 1.4.5 makes GET of every method that it does not know, and capitals of those it
 * knows. The URL parser resolves dot segments, merges leading slashes, cuts a fragment off and reads a backslash as a slash. The
 * backend would get another request than the one that was routed.
 */

/** Methods that arrive as they were sent; case matters. Without CONNECT, for which fetch has no form. */
export const FETCH_METHODS: ReadonlySet<string> = new Set(
  (
    "GET HEAD POST PUT DELETE OPTIONS PATCH QUERY TRACE ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR " +
    "MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE"
  ).split(" "),
);

/**
 * The path and query in a spelling that the parser does not change, or null when there is none. What it would percent-encode is
 * encoded here, byte by byte (it would take the bytes of UTF-8 for characters); all else stays. One change is not to be had
 * otherwise: `'` in a query arrives as `%27`. `path` holds one byte per character.
 */
export function fetchTarget(path: string): string | null {
  if (path.charCodeAt(0) !== SLASH || path.charCodeAt(1) === SLASH) return null;
  let query = path.length;
  let odd = false;
  let dots = false;
  for (let i = 1; i < path.length; i++) {
    const kind = KINDS[path.charCodeAt(i)] ?? REFUSED;
    if (kind === PLAIN) continue;
    if (kind === REFUSED) return null;
    if (kind === QUESTION_MARK) query = Math.min(query, i);
    else if (kind === ODD || (kind === ODD_IN_PATH && i < query)) odd = true;
    else if (kind === DOT && i < query && path.charCodeAt(i - 1) === SLASH) dots = true;
  }
  if (dots && DOT_SEGMENT.test(path.slice(0, query))) return null;
  return odd ? encodeOdd(path, query) : path;
}

/** Whether this path and query arrive byte for byte. */
export function isSentAsIs(path: string): boolean {
  if (fetchTarget(path) !== path) return false;
  const quote = path.lastIndexOf("'");
  return quote < 0 || !path.slice(0, quote).includes("?");
}

const PLAIN = 0;
/** A control, a space or a fragment: no request target has one. */
const REFUSED = 1;
/** Encoded by the parser everywhere, or in the path only. */
const ODD = 2;
const ODD_IN_PATH = 3;
const QUESTION_MARK = 4;
/** A dot or a percent sign: after a slash the beginning of a dot segment, perhaps. */
const DOT = 5;

const SLASH = 0x2f;
const DEL = 0x7f;
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;
const KINDS = kinds();

function kinds(): Uint8Array {
  const table = new Uint8Array(256).fill(ODD, DEL + 1);
  table.fill(REFUSED, 0, 0x21);
  const mark = (characters: string, kind: number): void => {
    for (const character of characters) table[character.charCodeAt(0)] = kind;
  };
  mark("#\x7f", REFUSED);
  mark('"<>', ODD);
  mark("\\^`{}", ODD_IN_PATH);
  mark("?", QUESTION_MARK);
  mark(".%", DOT);
  return table;
}

function encodeOdd(path: string, query: number): string {
  let encoded = "";
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    const kind = KINDS[code];
    const isOdd = kind === ODD || (kind === ODD_IN_PATH && i < query);
    encoded += isOdd ? `%${code.toString(16).toUpperCase()}` : path.charAt(i);
  }
  return encoded;
}

/** Methods with which fetch sends no body. */
export function isBodyless(method: string): boolean {
  return method === "GET" || method === "HEAD";
}
