/**
 * The head of a response on its way from a backend to a client: checked like a request's (RFC 9110 5, RFC 9114 4.2 and 4.3.2),
 * without what belonged to the backend's connection, `:status` first. A backend is trusted to be no attacker, but not to
 * be right: what it breaks would otherwise be ours to answer for.
 */
import { FIELD, FIELD_ID_MAX, PSEUDO_FIELD_LAST, UNKNOWN_FIELD } from "../core/field-names.ts";
import { contentLengthOf, nameFault, type NameFault, valueFault, type ValueFault } from "../core/field-syntax.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { connectionOptions, HOP_BY_HOP, isListed } from "./hop-by-hop.ts";

/** Why a response head is refused. */
export type ResponseFault =
  | NameFault
  | ValueFault
  | "status"
  | "pseudo-field"
  | "content-length"
  | "content-length-conflict"
  | "connection-options"
  | "too-many-fields"
  | "section-too-large";

/**
 * Begins `into` and writes `:status` and every field that may go on; those of the set `dropped` stay behind too. Answers with
 * the response's Content-Length, -1 for none, or with what is wrong, and then `into` holds nothing of use. Names must be in
 * lower case: an HTTP/1.1 transport lowers them and cuts white space when it parses. Set-Cookie fields stay apart and in order.
 */
export function readResponseFields(
  status: number,
  section: FieldSection,
  into: FieldWriter,
  dropped: Uint8Array = NONE,
): number | ResponseFault {
  if (!isStatus(status)) return "status";
  if (section.count > LIMITS.fieldsPerSectionMax) return "too-many-fields";
  const lengthAt = checkFields(section);
  if (typeof lengthAt === "string") return lengthAt;
  const options = connectionOptions(section);
  if (options === null) return "connection-options";

  into.begin();
  into.add(":status", String(status));
  const keptLengthAt = mayTellLength(status) ? lengthAt : -1;
  let runAt = 0;
  for (let i = 0; i < section.count; i++) {
    const id = section.nameId(i);
    const goesOn = id === FIELD["content-length"] ? i === keptLengthAt : HOP_BY_HOP[id] === 0 && dropped[id] === 0;
    if (goesOn && (options.length === 0 || !isListed(section, i, options))) continue;
    into.addRun(section, runAt, i);
    runAt = i + 1;
  }
  into.addRun(section, runAt, section.count);
  if (into.full) return "section-too-large";
  return lengthAt < 0 ? -1 : lengthOf(section, lengthAt);
}

const COLON = 0x3a;
const NONE = new Uint8Array(FIELD_ID_MAX);
const STATUS_MIN = 100;
const STATUS_MAX = 999;
const SWITCHING_PROTOCOLS = 101;
const NO_CONTENT = 204;

/** Three digits; clients treat 600 and more as 5xx (RFC 9110 15). HTTP/3 has no 101 (RFC 9114 4.5). */
function isStatus(status: number): boolean {
  return Number.isInteger(status) && status >= STATUS_MIN && status <= STATUS_MAX && status !== SWITCHING_PROTOCOLS;
}

/** RFC 9110 8.6: not with 1xx and 204. */
function mayTellLength(status: number): boolean {
  return status >= 200 && status !== NO_CONTENT;
}

/** Position of the first Content-Length, -1 for none, or what is wrong with the fields. */
function checkFields(section: FieldSection): number | ResponseFault {
  const { bytes } = section;
  let lengthAt = -1;
  for (let i = 0; i < section.count; i++) {
    const id = section.nameId(i);
    if (id === UNKNOWN_FIELD) {
      const at = section.nameAt(i);
      const end = section.valueAt(i);
      if (at < end && bytes[at] === COLON) return "pseudo-field";
      const fault = nameFault(bytes, at, end);
      if (fault !== null) return fault;
    } else if (id <= PSEUDO_FIELD_LAST) {
      return "pseudo-field";
    } else if (id === FIELD["content-length"]) {
      const fault = lengthFault(section, i, lengthAt);
      if (fault !== null) return fault;
      if (lengthAt < 0) lengthAt = i;
    }
    const fault = valueFault(bytes, section.valueAt(i), section.valueEnd(i));
    if (fault !== null) return fault;
  }
  return lengthAt;
}

/** Repeats of the first one are legal and left out; anything else could be read in two ways (RFC 9110 8.6). */
function lengthFault(section: FieldSection, i: number, firstAt: number): ResponseFault | null {
  const lengthBytes = lengthOf(section, i);
  if (lengthBytes < 0) return "content-length";
  return firstAt < 0 || lengthOf(section, firstAt) === lengthBytes ? null : "content-length-conflict";
}

function lengthOf(section: FieldSection, i: number): number {
  return contentLengthOf(section.bytes, section.valueAt(i), section.valueEnd(i));
}
