/**
 * What RFC 9113 8.2 and 8.3 ask of a response's field sections. Values are left to the validator that every response passes
 * (`h3/response-head.ts`), and so is what HTTP itself asks of names and lengths.
 */
import { FIELD, fieldSet, PSEUDO_FIELD_LAST, UNKNOWN_FIELD } from "../core/field-names.ts";
import { contentLengthOf, nameFault } from "../core/field-syntax.ts";
import type { FieldSection } from "../core/fields.ts";
import type { StreamFault } from "./codes.ts";

const CONNECTION_SPECIFIC = fieldSet(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);
const COLON = 0x3a;
const ZERO = 0x30;
const NINE = 0x39;
const SWITCHING_PROTOCOLS = 101;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

/** The status of a response head whose first field is `:status`, or why it is none. */
export function responseStatus(section: FieldSection): number | StreamFault {
  if (section.count === 0 || section.nameId(0) !== FIELD[":status"]) return "status";
  const status = statusOf(section);
  // There is no 101 in HTTP/2 (RFC 9113 8.6).
  if (status < 100 || status === SWITCHING_PROTOCOLS) return "status";
  return fieldsFault(section, 1) ?? status;
}

/**
 * How long the body behind this head is, `Infinity` when it does not say. A Content-Length that is malformed says nothing here: the
 * validator refuses it, and repeats that differ.
 */
export function bodyBytesOf(section: FieldSection, status: number): number {
  if (status === NO_CONTENT || status === NOT_MODIFIED) return 0;
  const i = section.find(FIELD["content-length"]);
  const length = i < 0 ? -1 : contentLengthOf(section.bytes, section.valueAt(i), section.valueEnd(i));
  return length < 0 ? Infinity : length;
}

/** Null for a section that may be trailers as far as HTTP/2 is concerned. */
export function trailersFault(section: FieldSection): StreamFault | null {
  return fieldsFault(section, 0);
}

function statusOf(section: FieldSection): number {
  const at = section.valueAt(0);
  if (section.valueEnd(0) - at !== 3) return 0;
  let status = 0;
  for (let p = at; p < at + 3; p++) {
    const byte = section.bytes[p] ?? 0;
    if (byte < ZERO || byte > NINE) return 0;
    status = status * 10 + (byte - ZERO);
  }
  return status;
}

function fieldsFault(section: FieldSection, first: number): StreamFault | null {
  for (let i = first; i < section.count; i++) {
    const id = section.nameId(i);
    if (id === UNKNOWN_FIELD) {
      const at = section.nameAt(i);
      const end = section.valueAt(i);
      if (at < end && section.bytes[at] === COLON) return "pseudo-field";
      if (nameFault(section.bytes, at, end) !== null) return "field-name";
    } else if (id <= PSEUDO_FIELD_LAST) {
      return "pseudo-field";
    } else if (CONNECTION_SPECIFIC[id] === 1) {
      return "connection-field";
    }
  }
  return null;
}
