/** What methods mean for the messages that carry them. */

/**
 * Whether a body with this method means nothing (RFC 9110 9.3), so that many servers leave it unread and read it as the next request on the
 * connection: its answer would be taken for one to whoever has the connection then (RFC 9112 11.2).
 */
export function leavesBodyUnread(method: string): boolean {
  return METHODS_WITHOUT_BODY.has(method);
}

/** Whether a client asks for nothing but to be told (RFC 9110 9.2.1): such a request may be made twice. Of other methods nobody knows. */
export function isSafe(method: string): boolean {
  return SAFE_METHODS.has(method);
}

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
const METHODS_WITHOUT_BODY: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]);
