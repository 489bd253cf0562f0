/**
 * Authority -> the routes of the most specific host pattern that covers it: the exact name, else the wildcard with the longest
 * suffix, else the routes without a host.
 *
 * A name is hashed from its end to its beginning, so that one pass meets every suffix it has, and letters are folded on the way:
 * no lower-case copy, no piece without the port and no list of suffixes is made for a request.
 */
import { assert } from "../core/assert.ts";
import type { PrefixIndex } from "./prefixes.ts";

/** The routes of one host pattern. */
export interface HostNode {
  readonly prefixes: PrefixIndex;
  /** The next less specific pattern that covers the same names, whose routes are asked when these have none; null: none. */
  readonly fallback: HostNode | null;
}

/** All host patterns of a table. */
export class HostIndex {
  /** `example.org` for an exact name, `.example.org` for `*.example.org`: a name never begins with a dot, so they never meet. */
  readonly #keys: readonly string[];
  readonly #nodes: readonly HostNode[];
  readonly #hashes: Int32Array;
  /** Open addressing: index of a key plus one; 0 is free. At most a quarter is used, so a search ends soon. */
  readonly #slots: Int32Array;
  readonly #longestKey: number;
  readonly #hostless: HostNode | null;

  /** `routes`: pattern as `RouteSettings.host` (null: without host) -> its routes. */
  constructor(routes: ReadonlyMap<string | null, PrefixIndex>) {
    const nodes = linkedNodes(routes);
    this.#hostless = nodes.get("") ?? null;
    nodes.delete("");
    this.#keys = [...nodes.keys()];
    this.#nodes = [...nodes.values()];
    this.#longestKey = this.#keys.reduce((longest, key) => Math.max(longest, key.length), 0);
    this.#hashes = Int32Array.from(this.#keys, hashFromEnd);
    this.#slots = filledSlots(this.#hashes);
  }

  /**
   * The node for an authority as received: letters of any case, with or without port, final dot, brackets of IPv6. Spellings
   * of the same IPv6 address are different names. Null when no pattern covers it.
   */
  find(authority: string): HostNode | null {
    let node = this.#hostless;
    const longest = this.#longestKey;
    if (longest === 0) return node;
    const start = nameStart(authority);
    const end = nameEnd(authority, start);
    let hash = HASH_START;
    for (let i = end - 1; i >= start; i--) {
      if (end - i > longest) return node;
      const code = folded(authority.charCodeAt(i));
      hash = Math.imul(hash ^ code, HASH_FACTOR);
      // A wildcard stands for at least one character, so a dot that begins the name is no border.
      const border = i === start ? code !== DOT : code === DOT;
      if (border) node = this.#at(hash, authority, i, end) ?? node;
    }
    return node;
  }

  #at(hash: number, authority: string, from: number, end: number): HostNode | null {
    const mask = this.#slots.length - 1;
    let slot = spread(hash) & mask;
    for (;;) {
      const key = (this.#slots[slot] ?? 0) - 1;
      if (key < 0) return null;
      if (this.#hashes[key] === hash && isSameName(this.#keys[key] ?? "", authority, from, end)) {
        return this.#nodes[key] ?? null;
      }
      slot = (slot + 1) & mask;
    }
  }
}

/**
 * A configured host pattern as a key: without brackets and final dot; `*.` becomes the dot alone. The pattern is lower case
 * and without port already.
 */
export function hostKey(pattern: string): string {
  const start = nameStart(pattern);
  const bare = start === 1 && pattern.endsWith("]") ? pattern.slice(1, -1) : pattern;
  const name = bare.endsWith(".") ? bare.slice(0, -1) : bare;
  return name.startsWith("*.") ? name.slice(1) : name;
}

/** Nodes by key, least specific first, each with its fallback; the key of the host-less routes is empty. */
function linkedNodes(routes: ReadonlyMap<string | null, PrefixIndex>): Map<string, HostNode> {
  const byKey = new Map<string, PrefixIndex>();
  for (const [pattern, prefixes] of routes) {
    const key = pattern === null ? "" : hostKey(pattern);
    assert(
      pattern === null || isKey(key),
      "a host pattern is a lower-case name without port, a wildcard only in front",
    );
    assert(!byKey.has(key), "each host pattern is given once");
    byKey.set(key, prefixes);
  }
  const nodes = new Map<string, HostNode>();
  // Wildcards before exact names and short before long: the fallback of a node is then made before it.
  const keys = [...byKey.keys()].sort(
    (a, b) => Number(b.startsWith(".")) - Number(a.startsWith(".")) || a.length - b.length,
  );
  for (const key of ["", ...keys]) {
    const prefixes = byKey.get(key);
    if (prefixes !== undefined && !nodes.has(key)) nodes.set(key, { prefixes, fallback: fallbackOf(key, nodes) });
  }
  return nodes;
}

function fallbackOf(key: string, nodes: ReadonlyMap<string, HostNode>): HostNode | null {
  for (let dot = key.indexOf(".", 1); dot > 0; dot = key.indexOf(".", dot + 1)) {
    const wildcard = nodes.get(key.slice(dot));
    if (wildcard !== undefined) return wildcard;
  }
  return key === "" ? null : (nodes.get("") ?? null);
}

function isKey(key: string): boolean {
  return key.length > 0 && key !== "." && !key.includes("*") && !/[A-Z[\]/]/.test(key);
}

/** Where the name begins: after the bracket of an IPv6 address. */
function nameStart(authority: string): number {
  return authority.charCodeAt(0) === OPENING_BRACKET ? 1 : 0;
}

/** Where the name ends: before the port, the closing bracket and one final dot. */
function nameEnd(authority: string, start: number): number {
  let end = authority.length;
  let digit = end - 1;
  while (digit >= start && isDigit(authority.charCodeAt(digit))) digit--;
  if (digit >= start && authority.charCodeAt(digit) === COLON) end = digit;
  const last = end > start ? authority.charCodeAt(end - 1) : 0;
  return last === DOT || (last === CLOSING_BRACKET && start === 1) ? end - 1 : end;
}

function isSameName(key: string, authority: string, from: number, end: number): boolean {
  if (key.length !== end - from) return false;
  for (let i = 0; i < key.length; i++) {
    if (key.charCodeAt(i) !== folded(authority.charCodeAt(from + i))) return false;
  }
  return true;
}

function filledSlots(hashes: Int32Array): Int32Array {
  let size = 4;
  while (size < hashes.length * 4) size *= 2;
  const slots = new Int32Array(size);
  hashes.forEach((hash, key) => {
    let slot = spread(hash) & (size - 1);
    while (slots[slot] !== 0) slot = (slot + 1) & (size - 1);
    slots[slot] = key + 1;
  });
  return slots;
}

/** FNV-1a over the characters, last one first. Keys come from the configuration only, so nobody can choose collisions. */
function hashFromEnd(key: string): number {
  let hash = HASH_START;
  for (let i = key.length - 1; i >= 0; i--) hash = Math.imul(hash ^ key.charCodeAt(i), HASH_FACTOR);
  return hash;
}

/** FNV-1a mixes upwards only; the high half is brought down to where the mask looks. */
function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}

function folded(code: number): number {
  return code >= 0x41 && code <= 0x5a ? code + 0x20 : code;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

const HASH_START = 0x811c_9dc5 | 0;
const HASH_FACTOR = 0x0100_0193;
const DOT = 0x2e;
const COLON = 0x3a;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
