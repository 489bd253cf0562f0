/** The validator of trailers, for requests and responses alike (RFC 9110 6.5, RFC 9114 4.2 and 4.3). */
import { FIELD, fieldSet, PSEUDO_FIELD_LAST, UNKNOWN_FIELD } from "../core/field-names.ts";
import { nameFault, valueFault } from "../core/field-syntax.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { isClaim, OURS_TO_TELL } from "./claims.ts";
import { Malformed, type MalformedReason } from "./head.ts";

/**
 * Null when the section may follow a body: no pseudo-fields, nothing of one connection only, and no field that frames, routes
 * or authenticates a message, describes its content or claims where it came from. Never throws, whatever the bytes.
 */
export function readTrailers(section: FieldSection): Malformed | null {
  if (section.count > LIMITS.fieldsPerSectionMax) return new Malformed("too-many-fields");
  for (let i = 0; i < section.count; i++) {
    const fault = trailerFaultAt(section, i) ?? claimFaultAt(section, i);
    if (fault !== null) return new Malformed(fault);
  }
  return null;
}

/** A client has no more to claim in its trailers than in its head, under whatever name gateways take for one of ours. */
function claimFaultAt(section: FieldSection, i: number): MalformedReason | null {
  const id = section.nameId(i);
  return id === FIELD["x-request-id"] || (id === UNKNOWN_FIELD && isClaim(section, i, true))
    ? "trailer-forbidden"
    : null;
}

/** What is wrong with field `i` of trailers; null when it may stand there. */
export function trailerFaultAt(section: FieldSection, i: number): MalformedReason | null {
  return trailerNameFault(section, i) ?? valueFault(section.bytes, section.valueAt(i), section.valueEnd(i));
}

const COLON = 0x3a;

const CONNECTION_SPECIFIC = fieldSet(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

/** RFC 9110 6.5.1, and the fields by which we tell a backend where a request came from. */
const FORBIDDEN = fieldSet([
  "host",
  "content-length",
  "te",
  "trailer",
  "cookie",
  "set-cookie",
  "http2-settings",
  // Backends may end an answer with its id, clients may not (`claimFaultAt`).
  ...OURS_TO_TELL.filter((name) => name !== "x-request-id"),
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-authentication-info",
  "authorization",
  "www-authenticate",
  "cache-control",
  "pragma",
  "expect",
  "early-data",
  "max-forwards",
  "range",
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "age",
  "date",
  "expires",
  "location",
  "retry-after",
  "vary",
  "warning",
  "content-encoding",
  "content-range",
  "content-type",
]);

function trailerNameFault(section: FieldSection, i: number): MalformedReason | null {
  const id = section.nameId(i);
  if (id === UNKNOWN_FIELD) {
    const at = section.nameAt(i);
    const end = section.valueAt(i);
    if (at < end && section.bytes[at] === COLON) return "pseudo-in-trailers";
    return nameFault(section.bytes, at, end);
  }
  if (id <= PSEUDO_FIELD_LAST) return "pseudo-in-trailers";
  if (CONNECTION_SPECIFIC[id] === 1) return "connection-specific";
  return FORBIDDEN[id] === 1 ? "trailer-forbidden" : null;
}
