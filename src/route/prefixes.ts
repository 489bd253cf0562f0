/**
 * Path prefix and method -> pool, for the routes of one host pattern.
 *
 * The prefixes are sorted; each knows the longest other prefix that it begins with. The last one in order that is not after
 * the path begins with every prefix of the path there is, so a search by halves and a walk up those links finds the longest
 * match without cutting the path into pieces. Of five structures (`bench/micro/route-structures.ts`) this one and a radix trie
 * are the fastest: 0.15 us for a hit among 1,000 prefixes, where Maps take 0.2 to 0.3 and a list 5. It has half the code of the
 * trie, and the trie's only gain is 0.06 us on a miss.
 */
import { assert } from "../core/assert.ts";

/** No pool: what `find` says when nothing matches. */
export const NO_POOL = -1;

/** A route without its host: which pool it leads to. */
export interface PathRoute {
  /** As `RouteSettings.pathPrefix`. */
  readonly pathPrefix: string;
  readonly method: string | null;
  /** Index in the snapshot's pools. */
  readonly pool: number;
}

/** One prefix with the pools behind it. */
interface PrefixEntry {
  /** The prefix; empty for `/`, which takes every path. */
  readonly text: string;
  /** The longest other prefix that is the beginning of this one's text, on a segment border or not. */
  readonly parent: PrefixEntry | null;
  /** Pool for the methods that have none of their own, or `NO_POOL`. */
  anyMethodPool: number;
  /** Methods with their own pool; `methodPools` runs beside it. */
  readonly methods: string[];
  readonly methodPools: number[];
}

/** The routes of one host pattern. */
export class PrefixIndex {
  /** Sorted texts, apart from the entries, so that the search touches nothing else. */
  readonly #texts: readonly string[];
  readonly #entries: readonly PrefixEntry[];

  /** `routes` come in the order of the file; of two with the same prefix and method the first wins. */
  constructor(routes: readonly PathRoute[]) {
    this.#entries = linkedEntries(routes);
    this.#texts = this.#entries.map((entry) => entry.text);
  }

  /**
   * The pool of the longest prefix that has a pool for the method; `NO_POOL` when there is none. `path` may carry its query.
   * `/` takes every path, also the `*` of OPTIONS and the empty one of CONNECT.
   */
  find(path: string, method: string): number {
    let entry = this.#lastNotAfter(path);
    // The links go to shorter texts only, so the walk ends after as many steps as prefixes are nested in the file.
    while (entry !== null) {
      if (covers(entry.text, path)) {
        const pool = poolFor(entry, method);
        if (pool !== NO_POOL) return pool;
      }
      entry = entry.parent;
    }
    return NO_POOL;
  }

  #lastNotAfter(path: string): PrefixEntry | null {
    const texts = this.#texts;
    let low = 0;
    let high = texts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((texts[middle] ?? "") <= path) low = middle + 1;
      else high = middle;
    }
    return this.#entries[low - 1] ?? null;
  }
}

/** Whether the path begins with the prefix and the prefix ends where a segment, the path or the query does. */
function covers(prefix: string, path: string): boolean {
  if (prefix.length === 0) return true;
  if (!path.startsWith(prefix)) return false;
  if (path.length === prefix.length) return true;
  const next = path.charCodeAt(prefix.length);
  return next === SLASH || next === QUESTION_MARK;
}

function poolFor(entry: PrefixEntry, method: string): number {
  const methods = entry.methods;
  for (let i = 0; i < methods.length; i++) {
    if (methods[i] === method) return entry.methodPools[i] ?? NO_POOL;
  }
  return entry.anyMethodPool;
}

function linkedEntries(routes: readonly PathRoute[]): PrefixEntry[] {
  const byText = Map.groupBy(routes, (route) => (route.pathPrefix === "/" ? "" : route.pathPrefix));
  const entries: PrefixEntry[] = [];
  // Code unit order, which is also the order of `<=` in the search.
  for (const text of [...byText.keys()].sort()) {
    let parent = entries.at(-1) ?? null;
    while (parent !== null && !text.startsWith(parent.text)) parent = parent.parent;
    const entry: PrefixEntry = { text, parent, anyMethodPool: NO_POOL, methods: [], methodPools: [] };
    for (const route of byText.get(text) ?? []) addRoute(entry, route);
    entries.push(entry);
  }
  return entries;
}

function addRoute(entry: PrefixEntry, route: PathRoute): void {
  const prefix = route.pathPrefix;
  assert(prefix.startsWith("/") && !prefix.includes("?"), "a path prefix begins with a slash and has no query");
  assert(prefix === "/" || !prefix.endsWith("/"), "a path prefix has no trailing slash");
  if (route.method === null) {
    if (entry.anyMethodPool === NO_POOL) entry.anyMethodPool = route.pool;
  } else {
    // Of two routes for one method the look-up finds the first.
    entry.methods.push(route.method);
    entry.methodPools.push(route.pool);
  }
}

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
