/**
 * What happens to fields on their way through: requests lose what belongs to the client's connection and every claim about
 * where they came from, and get our own account of it; responses lose what belongs to the backend's connection.
 */
import type { ForwardingSettings } from "../config/snapshot.ts";
import { FIELD, fieldSet, UNKNOWN_FIELD } from "../core/field-names.ts";
import { encodedField, type EncodedField, type FieldWriter } from "../core/field-writer.ts";
import type { FieldSection } from "../core/fields.ts";
import { LIMITS } from "../core/limits.ts";
import { RequestId } from "../core/request-id.ts";
import type { MalformedReason, RequestHead } from "../h3/head.ts";
import { isClaim } from "../h3/claims.ts";
import { connectionOptions, HOP_BY_HOP, isListed } from "../h3/hop-by-hop.ts";
import { readResponseFields, type ResponseFault } from "../h3/response-head.ts";
import { trailerFaultAt } from "../h3/trailers.ts";
import { forwardingMode, LEFT_BEHIND, writeAccount } from "./forwarding.ts";
import type { ReceivedProtocol } from "./ports.ts";
import type { Provenance } from "./provenance.ts";
import { isTraceParent, type Trace } from "./trace.ts";

/** What a backend is told beside the client's own fields. */
export interface ForwardContext {
  readonly provenance: Provenance;
  readonly forwarding: ForwardingSettings;
  /** Goes along when the client sent no usable id of its own. */
  readonly requestId: RequestId;
  /** Goes along when the client sent no usable trace of its own. */
  readonly trace: Trace;
  /** It may be a repetition that somebody else has made of a client's request. */
  readonly early: boolean;
  /** The way to the backend and back takes trailers, so the client's word that it wants them goes along (`te: trailers`). */
  readonly takesTrailers: boolean;
}

/**
 * Writes the fields for a backend: those of the request but for pseudo-fields, Host and hop-by-hop fields, with cookie crumbs
 * joined (RFC 9114 4.2.1), one Content-Length in plain digits if there is one, our Via, the account of where the request came from
 * (`forwarding.ts`), an X-Request-Id and a traceparent. False when it lists too many connection options or does not fit; of an
 * HTTP/3 head that passed the validator neither is true.
 */
export function writeRequestFields(head: RequestHead, into: FieldWriter, context: ForwardContext): boolean {
  const { fields } = head;
  into.begin();
  const options = connectionOptions(fields);
  if (options === null) return false;
  const mode = forwardingMode(context.forwarding, context.provenance);
  const left = LEFT_BEHIND[mode];
  const { identity } = context.provenance;
  const { guarded } = identity;
  note(fields);
  const { idAt, traceAt, cookieAt, isCrumbled, isEarly } = NOTED;

  let runAt = head.firstField;
  for (let i = runAt; i < fields.count; i++) {
    if (i === idAt || i === traceAt || (goesToBackend(fields, i, left, guarded) && !isListed(fields, i, options)))
      continue;
    into.addRun(fields, runAt, i);
    runAt = i + 1;
    if (isCrumbled && i === cookieAt && !isListed(fields, i, options)) into.addJoined(fields, i, "; ");
  }
  into.addRun(fields, runAt, fields.count);

  if (head.contentLengthBytes >= 0) into.add("content-length", String(head.contentLengthBytes));
  const ours = context.provenance.fields(head.authority);
  writeAccount(mode, ours, fields, options, context.forwarding.sendsForwarded, into);
  if (identity.fields !== null) into.addRun(identity.fields, 0, identity.fields.count);
  if (idAt < 0) context.requestId.write(into);
  if (traceAt < 0) context.trace.write(into);
  // Whatever the field said, and however often, it means the same (RFC 8470 5.1); a client that says it asks for nothing but caution.
  if (context.early || isEarly) into.add("early-data", "1");
  if (context.takesTrailers && wantsTrailers(fields)) into.add("te", "trailers");
  return !into.full;
}

/**
 * Writes a response head for a client, `:status` first: without hop-by-hop fields and the backend's Alt-Svc, which speaks of
 * another port than ours, with our Via and the request's id. Null when all is well, else what is wrong with the response.
 */
export function writeResponseFields(
  status: number,
  section: FieldSection,
  into: FieldWriter,
  requestId: RequestId,
  received: ReceivedProtocol,
): ResponseFault | null {
  const result = readResponseFields(status, section, into, NOT_FOR_CLIENTS);
  if (typeof result === "string") return result;
  into.addEncoded(responseVia(received));
  requestId.write(into);
  return into.full || into.sectionBytes > LIMITS.responseHeadBytesMax ? "section-too-large" : null;
}

/** Writes an interim head (1xx) for a client. False: it is none, or cannot be passed on. */
export function writeInformationalFields(status: number, section: FieldSection, into: FieldWriter): boolean {
  if (status < 100 || status > 199) return false;
  const result = readResponseFields(status, section, into, NOT_FOR_CLIENTS);
  return typeof result === "number" && into.sectionBytes <= LIMITS.responseHeadBytesMax;
}

/**
 * Writes a backend's trailers for a client, without those that may not stand there (RFC 9110 6.5.1: they are discarded). Null
 * when all is well, and nothing may be left; else why the message is malformed.
 */
export function writeResponseTrailers(section: FieldSection, into: FieldWriter): MalformedReason | null {
  if (section.count > LIMITS.fieldsPerSectionMax) return "too-many-fields";
  into.begin();
  for (let i = 0; i < section.count; i++) {
    const fault = trailerFaultAt(section, i);
    if (fault === null) into.addFrom(section, i);
    else if (fault !== "trailer-forbidden" && fault !== "connection-specific") return fault;
  }
  return into.full || into.sectionBytes > LIMITS.responseHeadBytesMax ? "section-too-large" : null;
}

/** The client's X-Request-Id if it is fit for logs and for others: the first one, 1 to 128 visible ASCII characters. Else null. */
export function requestIdOf(head: RequestHead): RequestId | null {
  const at = head.fields.find(FIELD["x-request-id"]);
  return at >= 0 && isUsableId(head.fields, at) ? RequestId.given(head.fields.value(at)) : null;
}

const VIA_10 = encodedField("via", "1.0 spooky");
const VIA_11 = encodedField("via", "1.1 spooky");
const VIA_2 = encodedField("via", "2 spooky");
const VIA_3 = encodedField("via", "3 spooky");

/** A look-up by these names is slow where one of them is a whole number: the runtime makes that of it first. */
function responseVia(received: ReceivedProtocol): EncodedField {
  if (received === "2") return VIA_2;
  if (received === "1.1") return VIA_11;
  return received === "3" ? VIA_3 : VIA_10;
}

const REQUEST_ID_BYTES_MAX = 128;
const VISIBLE_FIRST = 0x21;
const VISIBLE_LAST = 0x7e;

const NOT_FOR_CLIENTS = fieldSet(["alt-svc", "x-request-id", "proxy-authenticate", "proxy-authentication-info"]);

/** In HTTP/3 TE may say nothing but `trailers` (RFC 9114 4.2), which the validator has seen to. */
function wantsTrailers(fields: FieldSection): boolean {
  const at = fields.find(FIELD.te);
  return at >= 0 && fields.valueIs(at, "trailers");
}

/** Where fields with rules of their own stand in the request at hand; -1: nowhere. Used within one writing only. */
const NOTED = { idAt: -1, traceAt: -1, cookieAt: -1, isCrumbled: false, isEarly: false };

/** Looks for them in one pass. */
function note(fields: FieldSection): void {
  let id = -1;
  let trace = -1;
  let traces = 0;
  let cookie = -1;
  let cookies = 0;
  let early = false;
  for (let i = 0; i < fields.count; i++) {
    switch (fields.nameId(i)) {
      case FIELD["x-request-id"]:
        if (id < 0) id = i;
        break;
      case FIELD.traceparent:
        trace = i;
        traces += 1;
        break;
      case FIELD["early-data"]:
        early = true;
        break;
      case FIELD.cookie:
        if (cookie < 0) cookie = i;
        cookies += 1;
    }
  }
  NOTED.idAt = id >= 0 && isUsableId(fields, id) ? id : -1;
  NOTED.traceAt =
    traces === 1 && isTraceParent(fields.bytes, fields.valueAt(trace), fields.valueEnd(trace)) ? trace : -1;
  NOTED.cookieAt = cookie;
  NOTED.isCrumbled = cookies > 1;
  NOTED.isEarly = early;
}

/** Whether a field is copied, as far as its name says. A state without its parent is nothing (Trace Context 3.3.1). */
function goesToBackend(fields: FieldSection, i: number, left: Uint8Array, guarded: readonly string[]): boolean {
  const id = fields.nameId(i);
  if (id === UNKNOWN_FIELD) return !isClaim(fields, i, left === LEFT_BEHIND.overwrite, guarded);
  if (id === FIELD.cookie) return !NOTED.isCrumbled;
  if (id === FIELD.tracestate) return NOTED.traceAt >= 0;
  return HOP_BY_HOP[id] === 0 && left[id] === 0;
}

/** Whether an X-Request-Id may be kept. */
function isUsableId(fields: FieldSection, at: number): boolean {
  const length = fields.valueLength(at);
  if (length === 0 || length > REQUEST_ID_BYTES_MAX) return false;
  for (let p = fields.valueAt(at); p < fields.valueEnd(at); p++) {
    const byte = fields.bytes[p] ?? 0;
    if (byte < VISIBLE_FIRST || byte > VISIBLE_LAST) return false;
  }
  return true;
}
