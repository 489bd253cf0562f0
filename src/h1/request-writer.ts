/**
 * Requests as HTTP/1.1 writes them (RFC 9112 3, 5 and 7.1). Bytes are copied from the section, each checked on its way: a head
 * that would say something else than its parts is a fault of this program and never reaches the output. How the message is
 * framed is said here and nowhere else, so fields about that in the section are left out.
 */
import { assert } from "../core/assert.ts";
import { fieldSet } from "../core/field-names.ts";
import type { FieldSection } from "../core/fields.ts";
import { COLON, CR, LF, SPACE, TOKEN_LOWERED, VALUE_REFUSED } from "./bytes.ts";
import type { OutputBuffer } from "./output.ts";

/** What a request's head is made of. Strings hold one byte per character. */
export interface H1Request {
  readonly method: string;
  /** Path and query, or `*`. */
  readonly path: string;
  /** The value of Host. */
  readonly authority: string;
  /** Names in lower case; no pseudo-fields. Host, Content-Length and fields of one connection are not taken from here. */
  readonly fields: FieldSection;
  /** -1 when unknown. */
  readonly contentLengthBytes: number;
}

/** How a request's body is delimited. `raw`: not at all, the connection has become a tunnel. */
export type RequestFraming = "none" | "length" | "chunked" | "raw";

/** The framing that a request gets. */
export function requestFramingOf(request: H1Request, hasBody: boolean): RequestFraming {
  if (!hasBody) return "none";
  return request.contentLengthBytes >= 0 ? "length" : "chunked";
}

/**
 * Appends a request head. `upgradeTo` names the protocol to change to, "" for none. Throws an assertion, and appends nothing,
 * when a part could end its line or its name early.
 */
export function writeRequestHead(
  request: H1Request,
  framing: RequestFraming,
  upgradeTo: string,
  output: OutputBuffer,
): void {
  const { method, path, authority, fields } = request;
  assert(method.length > 0 && path.length > 0, "a request has a method and a path");
  const texts = method.length + path.length + authority.length + upgradeTo.length;
  const at = output.reserve(texts + fields.lengthBytes + FIELD_EXTRA_BYTES * fields.count + FIXED_BYTES_MAX);
  const { bytes } = output;

  let p = putText(bytes, at, method, TOKEN_REFUSED);
  bytes[p++] = SPACE;
  p = putText(bytes, p, path, VISIBLE_REFUSED);
  p = putText(bytes, p, AFTER_PATH, NOTHING_REFUSED);
  p = putText(bytes, p, authority, VISIBLE_REFUSED);
  p = putFields(bytes, p, fields, NOT_FROM_SECTION);
  p = putText(bytes, p, framingText(request, framing), NOTHING_REFUSED);
  if (upgradeTo !== "") {
    p = putText(bytes, p, "\r\nconnection: upgrade\r\nupgrade: ", NOTHING_REFUSED);
    p = putText(bytes, p, upgradeTo, VISIBLE_REFUSED);
  }
  output.commit(putText(bytes, p, "\r\n\r\n", NOTHING_REFUSED));
}

/** Appends `piece[at..end)` as one chunk; an empty one, which would end the body, is not written. */
export function writeChunk(piece: Uint8Array, at: number, end: number, output: OutputBuffer): void {
  if (at >= end) return;
  const size = `${(end - at).toString(16)}\r\n`;
  const from = output.reserve(size.length + (end - at) + 2);
  output.commit(putText(output.bytes, from, size, NOTHING_REFUSED));
  output.putBytes(piece, at, end);
  const behind = output.reserve(2);
  output.commit(putText(output.bytes, behind, "\r\n", NOTHING_REFUSED));
}

/** Appends the end of a chunked body. Fields that frame or route a message are not written as trailers. */
export function writeLastChunk(trailers: FieldSection | null, output: OutputBuffer): void {
  const size = trailers === null ? 0 : trailers.lengthBytes + FIELD_EXTRA_BYTES * trailers.count;
  const at = output.reserve(size + LAST_CHUNK_BYTES);
  let p = putText(output.bytes, at, "0", NOTHING_REFUSED);
  if (trailers !== null) p = putFields(output.bytes, p, trailers, NOT_IN_TRAILERS);
  output.commit(putText(output.bytes, p, "\r\n\r\n", NOTHING_REFUSED));
}

const AFTER_PATH = " HTTP/1.1\r\nhost: ";
/** Colon, space, CR and LF around a field. */
const FIELD_EXTRA_BYTES = 4;
/** The longest fixed parts together: versions, `content-length: ` with 16 digits, the upgrade's two fields, line ends. */
const FIXED_BYTES_MAX = 160;
const LAST_CHUNK_BYTES = 5;

/** Host, framing and the connection are said by this file. TE is a promise of the connection's owner, not of its client. */
const NOT_FROM_SECTION = fieldSet([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "upgrade",
  "http2-settings",
  "te",
]);
const NOT_IN_TRAILERS = fieldSet([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "upgrade",
  "http2-settings",
  "te",
  "trailer",
]);

const TOKEN_REFUSED = TOKEN_LOWERED.map((lowered) => (lowered === 0 ? 1 : 0));
/** All but visible ASCII. */
const VISIBLE_REFUSED = new Uint8Array(256).map((_, byte) => (byte > SPACE && byte < 0x7f ? 0 : 1));
const NOTHING_REFUSED = new Uint8Array(256);

/** Methods whose absent body has to be told as one of no bytes (RFC 9110 8.6). */
const METHODS_WITH_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

function framingText(request: H1Request, framing: RequestFraming): string {
  if (framing === "chunked") return "\r\ntransfer-encoding: chunked";
  if (framing === "length") {
    assert(Number.isSafeInteger(request.contentLengthBytes), "a Content-Length is a whole number");
    return `\r\ncontent-length: ${request.contentLengthBytes}`;
  }
  assert(request.contentLengthBytes <= 0, "a request without a body promises none");
  const isTold = request.contentLengthBytes === 0 || METHODS_WITH_BODY.has(request.method);
  return isTold ? "\r\ncontent-length: 0" : "";
}

/** Stores a text, each character checked against a table; answers with the place behind it. */
function putText(into: Uint8Array, at: number, text: string, refused: Uint8Array): number {
  let faults = 0;
  let p = at;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    faults |= code < 256 ? (refused[code] ?? 1) : 1;
    into[p++] = code;
  }
  assert(faults === 0, "a request line holds no character that could end one of its parts");
  return p;
}

/** Stores each field with the line end before it, for the line before is still open. */
function putFields(into: Uint8Array, at: number, fields: FieldSection, left: Uint8Array): number {
  const { bytes, count } = fields;
  let faults = 0;
  let p = at;
  for (let i = 0; i < count; i++) {
    if (left[fields.nameId(i)] === 1) continue;
    const nameAt = fields.nameAt(i);
    const valueAt = fields.valueAt(i);
    const valueEnd = fields.valueEnd(i);
    assert(valueAt > nameAt, "a field has a name");
    into[p++] = CR;
    into[p++] = LF;
    for (let from = nameAt; from < valueAt; from++) {
      const byte = bytes[from] ?? 0;
      faults |= TOKEN_REFUSED[byte] ?? 1;
      into[p++] = byte;
    }
    into[p++] = COLON;
    into[p++] = SPACE;
    for (let from = valueAt; from < valueEnd; from++) {
      const byte = bytes[from] ?? 0;
      faults |= VALUE_REFUSED[byte] ?? 1;
      into[p++] = byte;
    }
  }
  assert(faults === 0, "a field holds no byte that could end its name or its line");
  return p;
}
