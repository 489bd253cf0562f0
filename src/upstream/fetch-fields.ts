/** Fields on their way into fetch and out of it. */
import { FIELD, fieldSet } from "../core/field-names.ts";
import type { Counters } from "../core/counters.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { FieldSection } from "../core/fields.ts";
import type { RuntimeFetch } from "../runtime/fetch-options.ts";

/**
 * The request's fields in the form that fetch takes most cheaply: an array of pairs (Bun 1.4.5, 7 fields over HTTP/2: pairs 26.7,
 * an object 26.3, `Headers` 26.5 us for a whole request; over HTTP/1.1 33.5, 40 and 37.5), which also keeps repeated
 * fields. Fetch joins those of one name with `, `, cookies with `; `, and writes `accept` where there is none.
 */
export function requestPairs(
  fields: FieldSection,
  authority: string,
  hasBody: boolean,
  runtime: RuntimeFetch,
): [string, string][] {
  const pairs: [string, string][] = [["host", authority]];
  let agent = false;
  for (let i = 0; i < fields.count; i++) {
    const id = fields.nameId(i);
    if (id === USER_AGENT) agent = true;
    else if (LEFT_OUT[id] === 1) continue;
    else if (id === CONTENT_LENGTH && !(hasBody && runtime.keepsContentLength)) continue;
    else if (id === ACCEPT_ENCODING && runtime.acceptEncoding !== null) continue;
    pairs.push([fields.name(i), fields.value(i)]);
  }
  // Without one the runtime would call itself the client.
  if (!agent) pairs.push(["user-agent", ""]);
  if (runtime.acceptEncoding !== null) pairs.push(["accept-encoding", runtime.acceptEncoding]);
  return pairs;
}

/** What `writeFetched` answers for a length beside a coding: two readers could disagree about where such a body ends (RFC 9112 6.3). */
export const AMBIGUOUS_LENGTH = -2;
/** What it answers for a coding that fetch leaves on the body: the client could not know of it (RFC 9112 7). */
export const FOREIGN_CODING = -3;

/**
 * Writes the response's fields: all but the coding of the hop behind us, Set-Cookie apart and in order. Answers with the
 * Content-Length, -1 for none. Fetch gives one character for each byte of a value.
 */
export function writeFetched(headers: Headers, into: FieldWriter, counters: Counters): number {
  const coding = headers.get("transfer-encoding");
  if (coding !== null && coding.toLowerCase() !== "chunked") return FOREIGN_CODING;
  let contentLengthBytes = -1;
  into.begin();
  for (const [name, value] of headers) {
    if (name === "transfer-encoding") continue;
    if (name === "trailer") counters.fetchTrailersLost += 1;
    if (name === "content-length") {
      if (coding !== null) return AMBIGUOUS_LENGTH;
      contentLengthBytes = DIGITS.test(value) ? Number(value) : -1;
    }
    into.add(name, value);
  }
  return contentLengthBytes;
}

const USER_AGENT = FIELD["user-agent"];
const CONTENT_LENGTH = FIELD["content-length"];
const ACCEPT_ENCODING = FIELD["accept-encoding"];

/**
 * What fetch must not be given: framing of its own, Host, which comes from the authority, and promises that it cannot keep (no
 * trailers come through it, and it does not wait for 100).
 */
const LEFT_OUT = fieldSet([
  "host",
  "te",
  "expect",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "upgrade",
  "trailer",
]);

const DIGITS = /^[0-9]{1,15}$/;
