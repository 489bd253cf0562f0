/** What can go wrong in an exchange over HTTP/1.1, as a closed list that retries, statuses, logs and metrics read. */

/**
 * Every kind with its class. `syntax`: what came is no HTTP/1.1. `framing`: where the message ends could be read in two ways, or
 * in none (RFC 9112 6.3). `limit`: one of `LIMITS` was reached. `closed`: the connection ended too early, or was spoilt before the request began. `request`: the body
 * did not have the length that its head promised.
 */
export const H1_FAULTS = {
  "not-http": "syntax",
  version: "syntax",
  status: "syntax",
  "status-line": "syntax",
  "bare-lf": "syntax",
  "bare-cr": "syntax",
  "obs-fold": "syntax",
  "name-empty": "syntax",
  "name-whitespace": "syntax",
  "name-character": "syntax",
  "value-character": "syntax",
  "unexpected-upgrade": "syntax",
  "content-length": "framing",
  "content-length-conflict": "framing",
  "length-and-coding": "framing",
  "transfer-coding": "framing",
  "body-forbidden": "framing",
  "chunk-size": "framing",
  "chunk-extension": "framing",
  "chunk-end": "framing",
  "head-too-large": "limit",
  "too-many-fields": "limit",
  "too-many-informational": "limit",
  "chunk-extensions-too-large": "limit",
  "trailers-too-large": "limit",
  unsolicited: "closed",
  "closed-in-head": "closed",
  "closed-in-body": "closed",
  "request-body-length": "request",
} as const satisfies Record<string, "syntax" | "framing" | "limit" | "closed" | "request">;

/** A kind of fault. */
export type H1Fault = keyof typeof H1_FAULTS;
