/**
 * What fetch throws, as our errors. Each line of the tables was provoked (`test/upstream/fetch-errors.test.ts`) or stands in
 * the runtime's list of error codes; `docs/errors.md` shows the same table to people.
 */
import { ProxyError, type ErrorCode } from "../core/error.ts";
import { messageOf } from "../core/error.ts";
import { lacksDescriptors } from "../runtime/process-facts.ts";
import { noDescriptor } from "../runtime/stream-errors.ts";
import {
  type AttemptProgress,
  CUT_OFF,
  NOT_SENT,
  REFUSED,
  UNANSWERED,
  UpstreamFailure,
} from "../proxy/upstream-failure.ts";

/** What a code of the runtime means. */
export interface FetchErrorMeaning {
  readonly code: ErrorCode;
  readonly text: string;
  /** The backend said that it has not processed the request. */
  readonly processed?: "no";
}

/** Codes of Bun 1.4.5. */
export const BUN_ERRORS: ReadonlyMap<string, FetchErrorMeaning> = new Map<string, FetchErrorMeaning>([
  // Nothing was sent.
  ["ECONNREFUSED", { code: "UPSTREAM_REFUSED", text: "connection refused" }],
  ["ConnectionRefused", { code: "UPSTREAM_REFUSED", text: "connection refused" }],
  ["EHOSTUNREACH", { code: "UPSTREAM_UNREACHABLE", text: "no route to host" }],
  ["ENETUNREACH", { code: "UPSTREAM_UNREACHABLE", text: "network unreachable" }],
  ["EADDRNOTAVAIL", { code: "UPSTREAM_UNREACHABLE", text: "no local address or port left" }],
  ["FailedToOpenSocket", { code: "UPSTREAM_UNREACHABLE", text: "no socket could be opened" }],
  ["EMFILE", { code: "OVERLOADED", text: "no descriptor is left for a connection" }],
  ["ENOTFOUND", { code: "UPSTREAM_NAME", text: "host name not found" }],
  ["EAI_AGAIN", { code: "UPSTREAM_NAME", text: "host name could not be looked up" }],
  ["DNSResolutionFailed", { code: "UPSTREAM_NAME", text: "host name could not be looked up" }],
  ["EPROTO", { code: "UPSTREAM_TLS", text: "TLS handshake failed" }],
  ["TLSHandshakeFailed", { code: "UPSTREAM_TLS", text: "TLS handshake failed" }],
  ["HTTP3HandshakeFailed", { code: "UPSTREAM_TLS", text: "QUIC handshake failed" }],
  ["ERR_TLS_CERT_ALTNAME_INVALID", { code: "UPSTREAM_TLS", text: "certificate is for another name" }],
  ["HTTP2RefusedStream", { code: "UPSTREAM_RESET", text: "stream refused, not processed", processed: "no" }],
  // The backend may have begun its work.
  ["ECONNRESET", { code: "UPSTREAM_RESET", text: "connection closed before the answer was complete" }],
  ["EPIPE", { code: "UPSTREAM_RESET", text: "connection closed while sending" }],
  ["ETIMEDOUT", { code: "UPSTREAM_RESET", text: "connection timed out in the network" }],
  ["HTTP2StreamReset", { code: "UPSTREAM_RESET", text: "stream reset" }],
  ["HTTP2GoAway", { code: "UPSTREAM_RESET", text: "connection ended with an error" }],
  ["HTTP3StreamReset", { code: "UPSTREAM_RESET", text: "stream reset" }],
  ["HTTP2ContentLengthMismatch", { code: "UPSTREAM_RESET", text: "body differs from its Content-Length" }],
  ["HTTP3ContentLengthMismatch", { code: "UPSTREAM_RESET", text: "body differs from its Content-Length" }],
  // It speaks, but not HTTP as we know it.
  ["Malformed_HTTP_Response", { code: "UPSTREAM_PROTOCOL", text: "malformed response head" }],
  ["InvalidHTTPResponse", { code: "UPSTREAM_PROTOCOL", text: "malformed response" }],
  ["InvalidContentLength", { code: "UPSTREAM_PROTOCOL", text: "malformed or conflicting Content-Length" }],
  ["ResponseHeadersTooLarge", { code: "UPSTREAM_PROTOCOL", text: "response head too large" }],
  ["UnsupportedTransferEncoding", { code: "UPSTREAM_PROTOCOL", text: "unknown transfer coding" }],
  ["UnrequestedUpgrade", { code: "UPSTREAM_PROTOCOL", text: "upgrade that nobody asked for" }],
  ["UnexpectedData", { code: "UPSTREAM_PROTOCOL", text: "data where none belongs" }],
  ["HTTP2ProtocolError", { code: "UPSTREAM_PROTOCOL", text: "HTTP/2 protocol error" }],
  ["HTTP2CompressionError", { code: "UPSTREAM_PROTOCOL", text: "HTTP/2 header compression error" }],
  ["HTTP2FrameSizeError", { code: "UPSTREAM_PROTOCOL", text: "HTTP/2 frame size error" }],
  ["HTTP2FlowControlError", { code: "UPSTREAM_PROTOCOL", text: "HTTP/2 flow control error" }],
  ["HTTP2EnhanceYourCalm", { code: "UPSTREAM_PROTOCOL", text: "HTTP/2 headers without end" }],
  ["HTTP2HeaderListTooLarge", { code: "UPSTREAM_PROTOCOL", text: "response head too large" }],
  ["HTTP2Unsupported", { code: "UPSTREAM_PROTOCOL", text: "backend does not speak HTTP/2", processed: "no" }],
  ["HTTP3ProtocolError", { code: "UPSTREAM_PROTOCOL", text: "HTTP/3 protocol error" }],
  [
    "HTTP3Unsupported",
    { code: "UPSTREAM_PROTOCOL", text: "HTTP/3 cannot be used with these settings", processed: "no" },
  ],
]);

/** Deno 2.9.6 gives no codes, only texts of the libraries below it. The first part that is found decides. */
export const DENO_ERRORS: readonly (readonly [string, FetchErrorMeaning])[] = [
  ["Connection refused", { code: "UPSTREAM_REFUSED", text: "connection refused" }],
  ["dns error", { code: "UPSTREAM_NAME", text: "host name could not be looked up" }],
  ["unreachable", { code: "UPSTREAM_UNREACHABLE", text: "host or network unreachable" }],
  ["invalid peer certificate", { code: "UPSTREAM_TLS", text: "certificate not trusted" }],
  ["received corrupt message", { code: "UPSTREAM_TLS", text: "TLS handshake failed" }],
  ["client error (Connect)", { code: "UPSTREAM_UNREACHABLE", text: "could not connect" }],
  [
    "connection closed before message completed",
    { code: "UPSTREAM_RESET", text: "connection closed before the answer" },
  ],
  ["Connection reset", { code: "UPSTREAM_RESET", text: "connection reset" }],
  ["error reading a body", { code: "UPSTREAM_RESET", text: "connection closed before the answer was complete" }],
  ["invalid HTTP", { code: "UPSTREAM_PROTOCOL", text: "malformed response head" }],
];

/** The code that the runtime gave an error; "" when it gave none. */
export function fetchErrorCode(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return "";
  const code: unknown = Reflect.get(thrown, "code");
  return typeof code === "string" ? code : "";
}

/** Our error for what fetch threw. `where` names the backend. An error of ours comes back as it is. */
export function fetchError(thrown: unknown, where: string): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const { code, text } = meaningOf(thrown);
  if (CONNECTING.has(code) && lacksDescriptors()) return noDescriptor(where, thrown);
  return new ProxyError(code, `${where}: ${text}`, { cause: thrown });
}

/** The same as the failure of an attempt whose response has not begun. */
export function fetchFailure(thrown: unknown, where: string): UpstreamFailure {
  return UpstreamFailure.of(fetchError(thrown, where), progressOf(thrown));
}

/** The same once the response has begun. */
export function fetchBreak(thrown: unknown, where: string): UpstreamFailure {
  return UpstreamFailure.of(fetchError(thrown, where), CUT_OFF);
}

function progressOf(thrown: unknown): AttemptProgress {
  if (thrown instanceof ProxyError) return UNANSWERED;
  const { code, processed } = meaningOf(thrown);
  if (CONNECTING.has(code)) return NOT_SENT;
  return processed === "no" ? REFUSED : UNANSWERED;
}

/** What happens before a request can be sent. */
const CONNECTING: ReadonlySet<ErrorCode> = new Set([
  "OVERLOADED",
  "UPSTREAM_REFUSED",
  "UPSTREAM_UNREACHABLE",
  "UPSTREAM_NAME",
  "UPSTREAM_TLS",
]);

/** What is unknown may have come after the request was sent. */
function meaningOf(thrown: unknown): FetchErrorMeaning {
  const code = fetchErrorCode(thrown);
  const known = BUN_ERRORS.get(code);
  if (known !== undefined) return known;
  if (CERTIFICATE_CODE.test(code)) return { code: "UPSTREAM_TLS", text: messageOf(thrown) };
  if (INVALID_ARGUMENT.test(code)) return { code: "INTERNAL", text: messageOf(thrown) };
  const text = `${messageOf(thrown)} ${causeOf(thrown)}`;
  for (const [part, meaning] of DENO_ERRORS) if (text.includes(part)) return meaning;
  return { code: "UPSTREAM_RESET", text: `${code} ${messageOf(thrown)}`.trim() };
}

/** The names that OpenSSL's verification results have in all runtimes: CERT_HAS_EXPIRED, DEPTH_ZERO_SELF_SIGNED_CERT ... */
const CERTIFICATE_CODE =
  /CERT|^UNABLE_TO_|^(?:INVALID_CA|PATH_LENGTH_EXCEEDED|INVALID_PURPOSE|HOSTNAME_MISMATCH|InvalidCRL)$/;

/** The runtime refused what we gave it. */
const INVALID_ARGUMENT = /^ERR_(?:INVALID|HTTP|OUT_OF_RANGE)/;

function causeOf(thrown: unknown): string {
  return thrown instanceof Error && thrown.cause !== undefined ? messageOf(thrown.cause) : "";
}
