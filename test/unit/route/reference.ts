/**
 * Routing written down as slowly and plainly as possible: every route that takes the request is collected, and the best by rank
 * wins. Shares no code with `src/route`.
 */
import type { RouteSettings } from "../../../src/config/snapshot.ts";
import { referenceForm } from "./path-models.ts";

/** Index of the route that wins, or -1. */
export function referenceMatch(
  routes: readonly RouteSettings[],
  authority: string,
  path: string,
  method: string,
): number {
  const host = plainHost(authority);
  const bare = referenceForm(path).split("?")[0] ?? "";
  const ranked = routes
    .map((route, index) => ({ route: { ...route, pathPrefix: prefixForm(route.pathPrefix) }, index }))
    .filter(({ route }) => takesHost(route.host, host) && takesPath(route.pathPrefix, bare))
    .filter(({ route }) => route.method === null || route.method === method)
    .map(({ route, index }) => ({
      index,
      rank: [hostRank(route.host), route.pathPrefix.length, route.method === null ? 0 : 1, -index],
    }));
  ranked.sort((a, b) => compareRanks(b.rank, a.rank));
  return ranked[0]?.index ?? -1;
}

function prefixForm(prefix: string): string {
  return referenceForm(prefix).replace(/(.)\/$/, "$1");
}

function plainHost(authority: string): string {
  const [, bracketed, named] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(authority) ?? [];
  return (bracketed ?? named ?? "?").toLowerCase().replace(/\.$/, "");
}

function takesHost(pattern: string | null, host: string): boolean {
  if (pattern === null) return true;
  if (pattern.startsWith("*.")) return host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1;
  return pattern.replace(/^\[|\]$/g, "").replace(/\.$/, "") === host;
}

function hostRank(pattern: string | null): number {
  if (pattern === null) return 0;
  return pattern.startsWith("*.") ? pattern.length : 1_000_000;
}

function takesPath(prefix: string, path: string): boolean {
  return prefix === "/" || path === prefix || path.startsWith(`${prefix}/`);
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  const differs = a.findIndex((value, place) => value !== b[place]);
  return differs < 0 ? 0 : (a[differs] ?? 0) - (b[differs] ?? 0);
}
