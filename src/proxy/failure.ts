/** A failure as an answer: a head and a line of text. What went wrong inside is for the log and not for the client. */
import type { Counters } from "../core/counters.ts";
import { ProxyError } from "../core/error.ts";
import type { FieldWriter } from "../core/field-writer.ts";
import type { RequestId } from "../core/request-id.ts";
import type { MalformedReason } from "../h3/head.ts";
import type { RequestStream } from "../h3/stream.ts";
import type { AbortReason } from "../h3/stream-host.ts";

/** Seconds after which a client may ask again when nobody could answer. */
const RETRY_AFTER_SECONDS = "1";

const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  404: "Not Found",
  408: "Request Timeout",
  413: "Content Too Large",
  414: "URI Too Long",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** For logs and metrics only: the client went away first (nginx's number; no answer is sent). */
export const CLIENT_GONE_STATUS = 499;

/** The text that goes with a status. */
export function failureText(status: number): string {
  return `${status} ${REASONS[status] ?? "Error"}\n`;
}

/** Writes the head of a failure's answer. */
export function writeFailureHead(into: FieldWriter, status: number, requestId: RequestId): void {
  into.begin();
  into.add(":status", String(status));
  into.add("content-type", "text/plain; charset=utf-8");
  into.add("content-length", String(failureText(status).length));
  into.add("cache-control", "no-store");
  requestId.write(into);
  if (status === 503) into.add("retry-after", RETRY_AFTER_SECONDS);
}

/** Answers a request with a failure: a head and, if that is wanted, a line of text. */
export function sendFailure(
  stream: Pick<RequestStream, "sendHead" | "sendBody" | "end">,
  writer: FieldWriter,
  failure: { readonly status: number; readonly requestId: RequestId; readonly withBody: boolean },
): void {
  const { status, requestId, withBody } = failure;
  writeFailureHead(writer, status, requestId);
  stream.sendHead(writer.finish(), !withBody);
  if (!withBody) return;
  stream.sendBody(encodeAscii(failureText(status)));
  stream.end();
}

/** What ended a request from its client's side; `fault` is the rule that it broke. */
export function abortError(reason: AbortReason, fault: MalformedReason | null): ProxyError {
  if (reason === "overfull") return new ProxyError("CLIENT_STALLED", "more of the answer waits than a stream may hold");
  if (reason === "stalled") return new ProxyError("CLIENT_STALLED", "the client takes nothing of its answer");
  if (reason === "malformed") return new ProxyError("BAD_REQUEST", `malformed request: ${fault ?? "body-length"}`);
  return new ProxyError("CLIENT_GONE", `the client ended the request: ${reason}`);
}

/** Counts a request that ended from its client's side. True: the client went away. */
export function countAbort(counters: Counters, reason: AbortReason, fault: MalformedReason | null): boolean {
  const isStalled = reason === "stalled" || reason === "overfull";
  counters[isStalled ? "responsesReset" : "requestsAborted"] += 1;
  if (reason !== "malformed") return !isStalled;
  counters.requestsMalformed += 1;
  counters.malformedReasons.add(fault ?? "body-length");
  return false;
}

/** ASCII text as bytes. */
export function encodeAscii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The request is for a host that another certificate of ours is for, and its connection has shown this one. */
export function misdirected({ counters }: { readonly counters: Counters }): ProxyError {
  counters.requestsMisdirected += 1;
  return new ProxyError("MISDIRECTED", "the connection's certificate is not for this host");
}
