/**
 * The request validator. quiche checks no HTTP semantics (cloudflare/quiche#253), so this is the boundary between what
 * strangers send and what backends see: RFC 9110 5 and 8.6, RFC 9114 4.2 to 4.4. Pure; one pass over the bytes; strings are
 * made of the four parts that routing reads and of nothing else.
 */
import { must } from "../core/assert.ts";
import { authorityFault } from "../core/authority.ts";
import { FIELD, fieldSet, PSEUDO_FIELD_LAST, UNKNOWN_FIELD } from "../core/field-names.ts";
import {
  contentLengthOf,
  equalsIgnoringCase,
  hasControl,
  isToken,
  nameFault,
  valueFault,
} from "../core/field-syntax.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { targetFault } from "../route/target.ts";

/** A validated request head. Strings hold one byte per character (latin1). */
export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  /** From `:authority`, else Host; never empty. */
  readonly authority: string;
  /** `:path` as sent: path and query. */
  readonly path: string;
  /** Every field as received, pseudo-fields first. */
  readonly fields: FieldSection;
  /** Position in `fields` of the first field that is not a pseudo-field. */
  readonly firstField: number;
  /** From Content-Length; -1 when there is none. */
  readonly contentLengthBytes: number;
}

/**
 * The closed list of reasons, each with its answer. `reset`: the stream is reset with H3_MESSAGE_ERROR (RFC 9114 4.1.2). A
 * number: this status is answered instead, for mistakes that a person may make and has to understand.
 */
export const MALFORMED_ANSWERS = {
  "section-too-large": 431,
  "too-many-fields": 431,
  "uri-too-long": 414,
  /** Not whole in the time allowed. */
  "head-late": 408,
  "pseudo-unknown": "reset",
  "pseudo-duplicate": "reset",
  "pseudo-after-field": "reset",
  "pseudo-in-trailers": "reset",
  "method-missing": "reset",
  "method-character": "reset",
  "scheme-missing": "reset",
  "scheme-unsupported": 400,
  "path-missing": "reset",
  "path-empty": 400,
  "path-form": 400,
  "path-fragment": 400,
  "path-character": 400,
  "path-escape": 400,
  "path-control": 400,
  "path-ambiguous": 400,
  "authority-missing": "reset",
  "authority-empty": 400,
  "authority-userinfo": 400,
  "authority-invalid": 400,
  "host-duplicate": "reset",
  "host-mismatch": "reset",
  connect: 501,
  "extended-connect": 501,
  "protocol-without-connect": "reset",
  "name-empty": "reset",
  "name-upper-case": "reset",
  "name-character": "reset",
  "value-character": "reset",
  "value-whitespace": "reset",
  "connection-specific": "reset",
  te: "reset",
  "content-length": "reset",
  "content-length-conflict": "reset",
  "trailer-forbidden": "reset",
  "body-length": "reset",
  "body-after-trailers": "reset",
} as const satisfies Record<string, "reset" | 400 | 408 | 414 | 431 | 501>;

/** Why a message is refused. */
export type MalformedReason = keyof typeof MALFORMED_ANSWERS;

/** What a refused message is answered with. */
export type MalformedAnswer = (typeof MALFORMED_ANSWERS)[MalformedReason];

/** A message that goes no further. */
export class Malformed {
  readonly reason: MalformedReason;
  readonly answer: MalformedAnswer;

  constructor(reason: MalformedReason) {
    this.reason = reason;
    this.answer = MALFORMED_ANSWERS[reason];
  }
}

/** How much a head may hold; `ConnectionSettings` says it for the heads of clients. */
export interface HeadLimits {
  /** Most bytes of the section, counted as RFC 9114 4.2.2 does: names, values and 32 for each field. */
  readonly headerBytesMax: number;
  /** Most fields, pseudo-fields included. */
  readonly headerCountMax: number;
  /** Longest `:path`. */
  readonly uriBytesMax: number;
}

/** The head of a request, or why it is none. Never throws, whatever the bytes. */
export function readRequestHead(section: FieldSection, limits: HeadLimits = WIDEST): RequestHead | Malformed {
  if (section.lengthBytes + FIELD_OVERHEAD_BYTES * section.count > limits.headerBytesMax)
    return new Malformed("section-too-large");
  if (section.count > limits.headerCountMax) return new Malformed("too-many-fields");
  const places = PLACES_SCRATCH.fill(0);
  const firstField = placePseudoFields(section, places);
  if (typeof firstField === "string") return new Malformed(firstField);
  const pathAt = place(places, FIELD[":path"]);
  if (pathAt >= 0 && section.valueLength(pathAt) > limits.uriBytesMax) return new Malformed("uri-too-long");
  const fault = fieldsFault(section, firstField, places) ?? controlDataFault(section, places);
  if (fault !== null) return new Malformed(fault);

  const lengthAt = place(places, FIELD["content-length"]);
  const authorityAt = place(places, FIELD[":authority"]);
  return {
    method: methodAt(section, place(places, FIELD[":method"])),
    scheme: must(schemeAt(section, place(places, FIELD[":scheme"])), "the scheme was checked"),
    authority: section.loneValue(authorityAt >= 0 ? authorityAt : place(places, FIELD.host)),
    path: section.loneValue(pathAt),
    fields: section,
    firstField,
    contentLengthBytes: lengthAt < 0 ? -1 : lengthOf(section, lengthAt),
  };
}

/** What any section may hold that crosses the native boundary. */
const WIDEST: HeadLimits = {
  headerBytesMax: Infinity,
  headerCountMax: LIMITS.fieldsPerSectionMax,
  uriBytesMax: Infinity,
};
const FIELD_OVERHEAD_BYTES = 32;

const COLON = 0x3a;

/** Methods that need no new string; the commonest first. */
const METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"] as const;

/** Pseudo-fields, Host and Content-Length have the lowest numbers: their positions plus one are kept by number, 0 is absent. */
const PLACES = FIELD["content-length"] + 1;
/** Used within one reading only. */
const PLACES_SCRATCH = new Int32Array(PLACES);

/** Fields that need more than a legal value. */
const RULED = fieldSet([
  ":authority",
  ":method",
  ":path",
  ":scheme",
  ":status",
  ":protocol",
  "host",
  "content-length",
  "te",
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Notes the pseudo-fields at the beginning; the answer is the position of the first other field. */
function placePseudoFields(section: FieldSection, places: Int32Array): number | MalformedReason {
  for (let i = 0; i < section.count; i++) {
    const id = section.nameId(i);
    if (id === UNKNOWN_FIELD || id > PSEUDO_FIELD_LAST) return i;
    if (id === FIELD[":status"]) return "pseudo-unknown";
    if (place(places, id) >= 0) return "pseudo-duplicate";
    places[id] = i + 1;
  }
  return section.count;
}

/** Names and values of all other fields. */
function fieldsFault(section: FieldSection, first: number, places: Int32Array): MalformedReason | null {
  const { bytes, count } = section;
  for (let i = first; i < count; i++) {
    const id = section.nameId(i);
    let fault: MalformedReason | null = null;
    if (id === UNKNOWN_FIELD) fault = unknownNameFault(section, i);
    else if (RULED[id] === 1) fault = ruledFieldFault(section, i, id, places);
    fault ??= valueFault(bytes, section.valueAt(i), section.valueEnd(i));
    if (fault !== null) return fault;
  }
  return null;
}

function unknownNameFault(section: FieldSection, i: number): MalformedReason | null {
  const at = section.nameAt(i);
  const end = section.valueAt(i);
  return at < end && section.bytes[at] === COLON ? "pseudo-unknown" : nameFault(section.bytes, at, end);
}

/** The rules of single fields (RFC 9114 4.2, RFC 9110 7.2, 8.6 and 10.1.4). */
function ruledFieldFault(section: FieldSection, i: number, id: number, places: Int32Array): MalformedReason | null {
  switch (id) {
    case FIELD.host:
      if (place(places, id) >= 0) return "host-duplicate";
      places[id] = i + 1;
      return null;
    case FIELD["content-length"]:
      return contentLengthFault(section, i, places);
    case FIELD.te:
      return section.valueIs(i, "trailers") || section.value(i).toLowerCase() === "trailers" ? null : "te";
    case FIELD[":status"]:
      return "pseudo-unknown";
    default:
      return id <= PSEUDO_FIELD_LAST ? "pseudo-after-field" : "connection-specific";
  }
}

/** One valid value; further fields must repeat it digit for digit. Lists are refused, though RFC 9110 8.6 would let us repair them. */
function contentLengthFault(section: FieldSection, i: number, places: Int32Array): MalformedReason | null {
  const lengthBytes = lengthOf(section, i);
  if (lengthBytes < 0) return "content-length";
  const earlier = place(places, FIELD["content-length"]);
  if (earlier < 0) {
    places[FIELD["content-length"]] = i + 1;
    return null;
  }
  const same = lengthOf(section, earlier) === lengthBytes && section.valueLength(earlier) === section.valueLength(i);
  return same ? null : "content-length-conflict";
}

/** The pseudo-fields' values, and Host against `:authority` (RFC 9114 4.3.1). */
function controlDataFault(section: FieldSection, places: Int32Array): MalformedReason | null {
  const methodIndex = place(places, FIELD[":method"]);
  if (methodIndex < 0) return "method-missing";
  const { bytes } = section;
  if (!isToken(bytes, section.valueAt(methodIndex), section.valueEnd(methodIndex))) {
    return controlOr(section, methodIndex, "method-character");
  }
  const connects = section.valueIs(methodIndex, "CONNECT");
  if (place(places, FIELD[":protocol"]) >= 0) return connects ? "extended-connect" : "protocol-without-connect";
  if (connects) return "connect";
  return (
    schemeFault(section, place(places, FIELD[":scheme"])) ??
    pathFault(section, place(places, FIELD[":path"]), methodIndex) ??
    hostFault(section, place(places, FIELD[":authority"]), place(places, FIELD.host))
  );
}

function schemeFault(section: FieldSection, i: number): MalformedReason | null {
  if (i < 0) return "scheme-missing";
  return schemeAt(section, i) === null ? controlOr(section, i, "scheme-unsupported") : null;
}

function pathFault(section: FieldSection, i: number, methodIndex: number): MalformedReason | null {
  if (i < 0) return "path-missing";
  const fault = targetFault(section.bytes, section.valueAt(i), section.valueEnd(i));
  if (fault === "path-character") return controlOr(section, i, fault);
  const asksServer = fault === "path-form" && section.valueIs(i, "*") && section.valueIs(methodIndex, "OPTIONS");
  return asksServer ? null : fault;
}

function hostFault(section: FieldSection, authorityIndex: number, hostIndex: number): MalformedReason | null {
  const i = authorityIndex >= 0 ? authorityIndex : hostIndex;
  if (i < 0) return "authority-missing";
  const { bytes } = section;
  const fault = authorityFault(bytes, section.valueAt(i), section.valueEnd(i));
  if (fault !== null) return controlOr(section, i, fault);
  if (authorityIndex < 0 || hostIndex < 0) return null;
  const same =
    section.valueLength(authorityIndex) === section.valueLength(hostIndex) &&
    equalsIgnoringCase(
      bytes,
      section.valueAt(authorityIndex),
      section.valueEnd(authorityIndex),
      section.valueAt(hostIndex),
    );
  return same ? null : "host-mismatch";
}

/** A control character in a pseudo-field is an attack and no mistake, so it outranks the reason that found it. */
function controlOr(section: FieldSection, i: number, reason: MalformedReason): MalformedReason {
  return hasControl(section.bytes, section.valueAt(i), section.valueEnd(i)) ? "value-character" : reason;
}

/** The position noted for a field; -1 when it was not there. */
function place(places: Int32Array, id: number): number {
  return (places[id] ?? 0) - 1;
}

function lengthOf(section: FieldSection, i: number): number {
  return contentLengthOf(section.bytes, section.valueAt(i), section.valueEnd(i));
}

function methodAt(section: FieldSection, i: number): string {
  for (const method of METHODS) {
    if (section.valueIs(i, method)) return method;
  }
  return section.value(i);
}

function schemeAt(section: FieldSection, i: number): string | null {
  if (section.valueIs(i, "https")) return "https";
  return section.valueIs(i, "http") ? "http" : null;
}
