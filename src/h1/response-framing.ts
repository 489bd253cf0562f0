/**
 * Where a response ends and what becomes of its connection (RFC 9112 6.3 and 9.3), from its head alone. Whatever two readers
 * could take for two different lengths is refused.
 */
import { FIELD } from "../core/field-names.ts";
import { contentLengthOf } from "../core/field-syntax.ts";
import type { FieldSection } from "../core/fields.ts";
import { isBlank } from "./bytes.ts";
import type { H1Fault } from "./faults.ts";

/** How a response's body is delimited. */
export type BodyKind = "none" | "length" | "chunked" | "until-close";

/** The answer of `read`, kept in one object for the life of a connection. */
export class ResponseFraming {
  /** What the fields say, before the status and the method have their say in `bodyKind`. */
  #lengthAt = -1;
  #lengthBytes = -1;
  #codingAt = -1;
  #asksClose = false;
  #asksKeepAlive = false;
  #idleSeconds = -1;

  /** From Content-Length, -1 when there is none. */
  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** How long the peer says it keeps the connection when idle (`Keep-Alive: timeout=`), seconds; -1 when it says nothing. */
  get idleSeconds(): number {
    return this.#idleSeconds;
  }

  /** Reads the fields of a head. Null when all is well. */
  read(section: FieldSection, status: number, minorVersion: number): H1Fault | null {
    this.#lengthAt = -1;
    this.#lengthBytes = -1;
    this.#codingAt = -1;
    this.#asksClose = false;
    this.#asksKeepAlive = false;
    this.#idleSeconds = -1;
    for (let i = 0; i < section.count; i++) {
      const id = section.nameId(i);
      const fault = id <= FIELD["transfer-encoding"] ? this.#readField(section, i, id) : null;
      if (fault !== null) return fault;
    }
    if (this.#codingAt < 0) return isInterim(status) && this.#lengthBytes > 0 ? "body-forbidden" : null;
    if (this.#lengthAt >= 0) return "length-and-coding";
    // A peer of HTTP/1.0 does not know chunks, so somebody on the way mended the message and may mend it otherwise (RFC 9112 6.1).
    if (minorVersion === 0) return "transfer-coding";
    return isInterim(status) ? "body-forbidden" : null;
  }

  /** For a final head that `read` found well. */
  bodyKind(status: number, toHead: boolean): BodyKind {
    if (toHead || hasNoBody(status)) return "none";
    if (this.#codingAt >= 0) return "chunked";
    if (this.#lengthBytes < 0) return "until-close";
    return this.#lengthBytes === 0 ? "none" : "length";
  }

  /**
   * Whether the connection may serve another request after this response. A 204 that promises a body is answered, but its peer
   * may still send one.
   */
  mayPersist(status: number, minorVersion: number): boolean {
    if (this.#asksClose || (minorVersion === 0 && !this.#asksKeepAlive)) return false;
    return status !== NO_CONTENT || (this.#codingAt < 0 && this.#lengthBytes <= 0);
  }

  #readField(section: FieldSection, i: number, id: number): H1Fault | null {
    switch (id) {
      case FIELD["content-length"]:
        return this.#readLength(section, i);
      case FIELD["transfer-encoding"]:
        if (this.#codingAt >= 0 || !isWord(section, section.valueAt(i), section.valueEnd(i), "chunked")) {
          return this.#lengthAt >= 0 ? "length-and-coding" : "transfer-coding";
        }
        this.#codingAt = i;
        return null;
      case FIELD.connection:
        if (listHas(section, i, "close")) this.#asksClose = true;
        if (listHas(section, i, "keep-alive")) this.#asksKeepAlive = true;
        return null;
      case FIELD["keep-alive"]:
        this.#idleSeconds = idleSecondsOf(section, i);
        return null;
      default:
        return null;
    }
  }

  /** Repeats must agree digit for digit; lists are refused, though RFC 9110 8.6 would let us mend them. */
  #readLength(section: FieldSection, i: number): H1Fault | null {
    const lengthBytes = contentLengthOf(section.bytes, section.valueAt(i), section.valueEnd(i));
    if (lengthBytes < 0) return "content-length";
    if (this.#lengthAt < 0) {
      this.#lengthAt = i;
      this.#lengthBytes = lengthBytes;
      return null;
    }
    const same = lengthBytes === this.#lengthBytes && section.valueLength(i) === section.valueLength(this.#lengthAt);
    return same ? null : "content-length-conflict";
  }
}

/** Whether a Connection or Upgrade field of the section lists this word (lower case), case aside. */
export function fieldLists(section: FieldSection, nameId: number, word: string): boolean {
  for (let i = section.find(nameId); i >= 0; i = section.findFrom(nameId, i + 1)) {
    if (listHas(section, i, word)) return true;
  }
  return false;
}

const COMMA = 0x2c;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

function isInterim(status: number): boolean {
  return status < 200;
}

function hasNoBody(status: number): boolean {
  return status === NO_CONTENT || status === NOT_MODIFIED;
}

/** Whether the list in field `i` has the word as one of its elements. */
function listHas(section: FieldSection, i: number, word: string): boolean {
  const { bytes } = section;
  const end = section.valueEnd(i);
  let from = section.valueAt(i);
  while (from < end) {
    const behind = elementEnd(bytes, from, end);
    if (isTrimmedWord(section, from, behind, word)) return true;
    from = behind + 1;
  }
  return false;
}

function elementEnd(bytes: Uint8Array, at: number, end: number): number {
  let p = at;
  while (p < end && bytes[p] !== COMMA) p += 1;
  return p;
}

function isTrimmedWord(section: FieldSection, at: number, end: number, word: string): boolean {
  const { bytes } = section;
  let from = at;
  let behind = end;
  while (from < behind && isBlank(bytes[from])) from += 1;
  while (from < behind && isBlank(bytes[behind - 1])) behind -= 1;
  return isWord(section, from, behind, word);
}

/** Letters of the word are lower case; those of the bytes may be upper case. */
function isWord(section: FieldSection, at: number, end: number, word: string): boolean {
  if (end - at !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    const byte = section.bytes[at + i] ?? 0;
    const lowered = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    if (lowered !== word.charCodeAt(i)) return false;
  }
  return true;
}

const TIMEOUT = "timeout=";

/** The `timeout` of a Keep-Alive field, which has no specification but is what servers write; -1 when there is none. */
function idleSecondsOf(section: FieldSection, i: number): number {
  const { bytes } = section;
  const end = section.valueEnd(i);
  let from = section.valueAt(i);
  while (from < end) {
    const behind = elementEnd(bytes, from, end);
    while (from < behind && isBlank(bytes[from])) from += 1;
    const digitsAt = from + TIMEOUT.length;
    if (digitsAt < behind && isWord(section, from, digitsAt, TIMEOUT)) return contentLengthOf(bytes, digitsAt, behind);
    from = behind + 1;
  }
  return -1;
}
