/** The path as routing sees it: what is compared, and where the path ends and the query begins. */

/**
 * The text that routes are compared with. This is the one place for normalising (percent-escapes of unreserved characters,
 * dot segments): whatever it changes is changed for routing only, the backend gets the path as sent. Today it is the identity.
 */
export function comparablePath(path: string): string {
  return path;
}

/** Length of the path before its query. */
export function pathLength(path: string): number {
  const query = path.indexOf("?");
  return query < 0 ? path.length : query;
}
