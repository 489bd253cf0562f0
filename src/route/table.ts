/** Pools -> a route table, compiled once for a configuration. */
import { assert } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import type { PoolSettings } from "../config/snapshot.ts";
import { hostKey, HostIndex } from "./hosts.ts";
import { comparablePath } from "./path.ts";
import { PrefixIndex, type PathRoute } from "./prefixes.ts";

/** A compiled table; never changed, only replaced whole. Asked by `matchRoute`. */
export interface RouteTable {
  readonly hosts: HostIndex;
  /** Routes that no request can reach, in the order of the file. */
  readonly shadowed: readonly ShadowedRoute[];
}

/** A route whose host, prefix and method an earlier pool has already. Both are indexes in the snapshot's pools. */
export interface ShadowedRoute {
  readonly pool: number;
  readonly by: number;
}

/** What is compiled of a pool. */
export type RoutedPool = Pick<PoolSettings, "route">;

/** Compiles the table. `pools` come in the order of the file, which breaks ties, and the table answers with indexes in it. */
export function compileRoutes(pools: readonly RoutedPool[]): RouteTable {
  assert(pools.length <= LIMITS.poolsMax, "a configuration has at most poolsMax pools");
  const routesByHost = new Map<string | null, PathRoute[]>();
  const firstByRoute = new Map<string, number>();
  const shadowed: ShadowedRoute[] = [];
  pools.forEach(({ route }, pool) => {
    const host = canonicalHost(route.host);
    const pathPrefix = comparablePrefix(route.pathPrefix);
    const identity = JSON.stringify([host, pathPrefix, route.method]);
    const by = firstByRoute.get(identity);
    if (by === undefined) firstByRoute.set(identity, pool);
    else shadowed.push({ pool, by });
    const routes = routesByHost.get(host) ?? [];
    routes.push({ pathPrefix, method: route.method, pool });
    routesByHost.set(host, routes);
  });
  const indexes = new Map([...routesByHost].map(([host, routes]) => [host, new PrefixIndex(routes)]));
  return { hosts: new HostIndex(indexes), shadowed };
}

/** Prefixes are compared with paths in the normal form, so they are in it themselves; what it leaves at the end is no slash. */
function comparablePrefix(prefix: string): string {
  const form = comparablePath(prefix);
  return form === prefix || form === "/" || !form.endsWith("/") ? form : form.slice(0, -1);
}

/** One spelling per pattern, so that `[::1]` and `::1` are one host and not two. */
function canonicalHost(host: string | null): string | null {
  if (host === null) return null;
  const key = hostKey(host);
  return key.startsWith(".") ? `*${key}` : key;
}
