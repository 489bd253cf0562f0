/** The grammar of `uri-host [ ":" port ]` (RFC 9110 7.2, RFC 3986 3.2), checked on bytes. */

/** Why an authority is refused. */
export type AuthorityFault = "authority-empty" | "authority-userinfo" | "authority-invalid";

const PERCENT = 0x25;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const AT_SIGN = 0x40;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const PORT_MAX = 65_535;
const PORT_DIGITS_MAX = 5;

const HEX = 1;
const REG_NAME = 2;
/** What a byte may be: a hexadecimal digit, a character of a registered name. */
const HOST_CLASS = hostClasses();

/**
 * Null for a host name, IPv4 address or bracketed IPv6 address, with or without a port. Stricter than the grammar in two
 * points: an empty port (`host:`) would be a second spelling of the same authority, and future address forms are not known.
 */
export function authorityFault(bytes: Uint8Array, at: number, end: number): AuthorityFault | null {
  if (at === end) return "authority-empty";
  const hostEnd = bytes[at] === BRACKET_OPEN ? bracketEnd(bytes, at, end) : nameEnd(bytes, at, end);
  if (hostEnd > at && (hostEnd === end || isColonAndPort(bytes, hostEnd, end))) return null;
  return bytes.subarray(at, end).includes(AT_SIGN) ? "authority-userinfo" : "authority-invalid";
}

/** Where a registered name or IPv4 address ends: at the first byte that cannot belong to it. */
function nameEnd(bytes: Uint8Array, at: number, end: number): number {
  let p = at;
  while (p < end) {
    const byte = bytes[p] ?? 0;
    if (byte === PERCENT) {
      if (!isHex(bytes[p + 1]) || !isHex(bytes[p + 2]) || p + 2 >= end) return p;
      p += 3;
    } else {
      if (((HOST_CLASS[byte] ?? 0) & REG_NAME) === 0) return p;
      p += 1;
    }
  }
  return p;
}

/** Where `[address]` ends; `at` when it is none. */
function bracketEnd(bytes: Uint8Array, at: number, end: number): number {
  let close = at + 1;
  while (close < end && bytes[close] !== BRACKET_CLOSE) close += 1;
  return close < end && isIpv6(bytes, at + 1, close) ? close + 1 : at;
}

function isColonAndPort(bytes: Uint8Array, at: number, end: number): boolean {
  const digits = end - at - 1;
  if (bytes[at] !== COLON || digits < 1 || digits > PORT_DIGITS_MAX) return false;
  let port = 0;
  for (let p = at + 1; p < end; p++) {
    const byte = bytes[p] ?? 0;
    if (byte < ZERO || byte > NINE) return false;
    port = port * 10 + (byte - ZERO);
  }
  return port <= PORT_MAX;
}

/** `IPv6address` of RFC 3986 3.2.2, zone identifiers not included. */
function isIpv6(bytes: Uint8Array, at: number, end: number): boolean {
  let groups = 0;
  let compressed = false;
  let p = at;
  if (bytes[p] === COLON) {
    if (bytes[p + 1] !== COLON) return false;
    compressed = true;
    p += 2;
  }
  while (p < end) {
    const groupAt = p;
    while (p < end && isHex(bytes[p])) p += 1;
    if (bytes[p] === DOT) {
      if (!isIpv4(bytes, groupAt, end)) return false;
      groups += 2;
      break;
    }
    if (p === groupAt || p - groupAt > 4) return false;
    groups += 1;
    if (p === end) break;
    if (bytes[p] !== COLON || p + 1 === end) return false;
    p += 1;
    if (bytes[p] === COLON) {
      if (compressed) return false;
      compressed = true;
      p += 1;
    }
  }
  return compressed ? groups <= 7 : groups === 8;
}

/** Four decimal numbers up to 255 without leading zeros. */
function isIpv4(bytes: Uint8Array, at: number, end: number): boolean {
  let p = at;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && bytes[p++] !== DOT) return false;
    const partAt = p;
    let value = 0;
    while (p < end && p - partAt < 3) {
      const byte = bytes[p] ?? 0;
      if (byte < ZERO || byte > NINE) break;
      value = value * 10 + (byte - ZERO);
      p += 1;
    }
    const length = p - partAt;
    if (length === 0 || value > 255 || (length > 1 && bytes[partAt] === ZERO)) return false;
  }
  return p === end;
}

function isHex(byte: number | undefined): boolean {
  return byte !== undefined && ((HOST_CLASS[byte] ?? 0) & HEX) !== 0;
}

function hostClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  const names = "-._~!$&'()*+,;=0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (const character of names) classes[character.charCodeAt(0)] = REG_NAME;
  for (const character of "0123456789abcdefABCDEF") classes[character.charCodeAt(0)] = REG_NAME | HEX;
  return classes;
}
