/** The bytes of HTTP/1.1's grammar and the tables that classify them, for the reader and the writer alike. */
import { isToken } from "../core/field-syntax.ts";

/** HTAB. */
export const TAB = 0x09;
/** LF. */
export const LF = 0x0a;
/** CR. */
export const CR = 0x0d;
/** SP. */
export const SPACE = 0x20;
/** The colon between a field's name and its value. */
export const COLON = 0x3a;

/** For each byte its lower-case form when it may stand in a token (RFC 9110 5.6.2), else 0. */
export const TOKEN_LOWERED = tokenTable();

/** 1 for bytes that no field value and no reason phrase may hold: control characters but HTAB (RFC 9110 5.5). */
export const VALUE_REFUSED = valueTable();

/** Whether this byte is white space inside a line. */
export function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function tokenTable(): Uint8Array {
  const table = new Uint8Array(256);
  const probe = new Uint8Array(1);
  for (let byte = 0; byte < 256; byte++) {
    probe[0] = byte;
    if (isToken(probe, 0, 1)) table[byte] = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
  }
  return table;
}

function valueTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0; byte < SPACE; byte++) table[byte] = byte === TAB ? 0 : 1;
  table[0x7f] = 1;
  return table;
}
