/** When a failed attempt may be made again on another backend (RFC 9110 9.2.2), and what it tells about its backend. */
import type { ErrorCode } from "../core/error.ts";
import { isSafe } from "../core/methods.ts";
import { LIMITS } from "../core/limits.ts";
import type { RequestStream } from "../h3/stream.ts";
import type { UpstreamFailure } from "./upstream-failure.ts";

/**
 * Only while nothing has gone to the client and nothing of its body was read, and only where surely nothing was processed; or
 * where the backend cannot be reached, the request may have left on a connection that died, and the method is safe.
 */
export function mayTryAgain(
  failure: UpstreamFailure,
  method: string,
  stream: Pick<RequestStream, "headSent" | "receivedBytes" | "state">,
  attempts: number,
): boolean {
  if (stream.headSent || stream.receivedBytes > 0 || stream.state === "broken") return false;
  if (attempts >= LIMITS.attemptsPerRequestMax) return false;
  if (failure.processed === "no") return failure.source === "upstream";
  return showsUnreachable(failure) && isSafe(method);
}

/** Evidence against a backend's health: it could not be reached. One that refuses a stream was. */
export function showsUnreachable(failure: UpstreamFailure): boolean {
  return UNREACHABLE.has(failure.code) && !failure.responseReceived;
}

const UNREACHABLE: ReadonlySet<ErrorCode> = new Set([
  "UPSTREAM_REFUSED",
  "UPSTREAM_UNREACHABLE",
  "UPSTREAM_NAME",
  "UPSTREAM_TLS",
  "UPSTREAM_CONNECT_TIMEOUT",
]);
