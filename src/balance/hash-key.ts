/**
 * What a consistent hash is taken over: the part of a request that `load_balancing.key` names. A request that lacks it (the
 * field, cookie or parameter is absent or empty) is hashed by the client's address, so that such clients are spread too and
 * each still stays with one backend.
 */
import { unreachable } from "../core/assert.ts";
import type { HashKey } from "../config/snapshot.ts";
import { pathLength } from "../route/path.ts";

/** The view of a request that a key is read from. Strings hold one byte per character, as received. */
export interface HashKeyRequest {
  /** Text of the client's address at the start of the connection, without port. */
  readonly clientIp: string;
  /** Id of the QUIC connection, hex: the one that stays the same while the connection lives. */
  readonly connectionIdHex: string;
  readonly authority: string;
  /** Path and query as sent, so that two spellings of one path may have two backends. */
  readonly path: string;
  readonly method: string;
  /**
   * Value of a field, null when it is absent. `name` is lower case. Several fields of one name are joined: `cookie` by `; `
   * (RFC 9114 4.2.1), others by `, ` (RFC 9110 5.3).
   */
  header(name: string): string | null;
}

/** The key of a request, one byte per character: made for `hashBytesString`. Never empty where the client has an address. */
export function hashKeyOf(key: HashKey, request: HashKeyRequest): string {
  const value = namedPart(key, request);
  return value === null || value.length === 0 ? request.clientIp : value;
}

function namedPart(key: HashKey, request: HashKeyRequest): string | null {
  switch (key.kind) {
    case "client_ip":
      return request.clientIp;
    case "cid":
      return request.connectionIdHex;
    case "authority":
      return request.authority;
    case "method":
      return request.method;
    case "path":
      return request.path.slice(0, pathLength(request.path));
    case "header":
      return request.header(key.name.toLowerCase());
    case "cookie":
      return cookieValue(request.header("cookie"), key.name);
    case "query":
      return queryValue(request.path, key.name);
    default:
      return unreachable(key, "every kind of hash key is read");
  }
}

/**
 * Value of the first cookie of that name, with its quotes if it has them; null when there is none. Names are case-sensitive
 * (RFC 6265 5.4); pieces without `=` are passed over.
 */
export function cookieValue(cookies: string | null, name: string): string | null {
  if (cookies === null) return null;
  let from = 0;
  while (from < cookies.length) {
    const semicolon = cookies.indexOf(";", from);
    const end = semicolon < 0 ? cookies.length : semicolon;
    while (from < end && isBlank(cookies.charCodeAt(from))) from++;
    const valueFrom = from + name.length + 1;
    if (cookies.charCodeAt(valueFrom - 1) === EQUALS && cookies.startsWith(name, from)) {
      return cookies.slice(valueFrom, endOfValue(cookies, valueFrom, end));
    }
    from = end + 1;
  }
  return null;
}

/**
 * Value of the first query parameter of that name, as sent: neither percent-escapes nor `+` are decoded, in the name as in the
 * value. Null when there is none; a parameter without `=` is passed over.
 */
export function queryValue(path: string, name: string): string | null {
  let from = pathLength(path) + 1;
  while (from < path.length) {
    const ampersand = path.indexOf("&", from);
    const end = ampersand < 0 ? path.length : ampersand;
    const valueFrom = from + name.length + 1;
    if (path.charCodeAt(valueFrom - 1) === EQUALS && path.startsWith(name, from)) {
      return path.slice(valueFrom, end);
    }
    from = end + 1;
  }
  return null;
}

/** Not `trimEnd`, to which the byte 0xA0, the last one of many UTF-8 characters, is a blank. */
function endOfValue(text: string, from: number, end: number): number {
  let last = end;
  while (last > from && isBlank(text.charCodeAt(last - 1))) last--;
  return last;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const EQUALS = 0x3d;
