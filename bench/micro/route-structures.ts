/**
 * Why path prefixes are sorted (`src/route/prefixes.ts`): the same look-ups in four other structures. All give the same answers,
 * which is checked first. Run: `bun bench/micro/route-structures.ts`.
 */
import { assert } from "../../src/core/assert.ts";
import { PrefixIndex } from "../../src/route/prefixes.ts";
import { nanosecondsPerCall, report } from "./measure.ts";
import { sampleMisses, samplePaths, samplePrefixes } from "./route-samples.ts";

interface Structure {
  find(path: string): number;
}

const SAMPLES = 4096;
const STRUCTURES: readonly (readonly [string, (prefixes: readonly string[]) => Structure])[] = [
  ["sorted with parents (ours)", sorted],
  ["linear, longest first", linear],
  ["Map of prefixes, cut at slashes", mapOfPrefixes],
  ["trie of segments in Maps", segmentTrie],
  ["radix trie", radixTrie],
];

for (const count of [3, 20, 1000]) {
  const prefixes = samplePrefixes(count);
  const reference = linear(prefixes);
  for (const [kind, paths] of [
    ["hit", samplePaths(prefixes, SAMPLES)],
    ["miss", sampleMisses(SAMPLES)],
  ] as const) {
    for (const [name, build] of STRUCTURES) {
      const structure = build(prefixes);
      for (const path of paths) assert(structure.find(path) === reference.find(path), `${name} is right about ${path}`);
      const calls = structure.find === reference.find && count === 1000 ? 20_000 : 200_000;
      const nanoseconds = nanosecondsPerCall(calls, (call) => structure.find(paths[call % SAMPLES] ?? ""));
      report(`${count} prefixes, ${kind}: ${name}`, nanoseconds);
    }
  }
}

function sorted(prefixes: readonly string[]): Structure {
  const index = new PrefixIndex(prefixes.map((pathPrefix, pool) => ({ pathPrefix, pool, method: null })));
  return { find: (path) => index.find(path, "GET") };
}

function linear(prefixes: readonly string[]): Structure {
  const order = prefixes.map((text, pool) => ({ text, pool })).sort((a, b) => b.text.length - a.text.length);
  return {
    find(path) {
      for (const { text, pool } of order) {
        if (text === "/") return pool;
        if (path.startsWith(text) && endsSegment(path, text.length)) return pool;
      }
      return -1;
    },
  };
}

function mapOfPrefixes(prefixes: readonly string[]): Structure {
  const pools = new Map(prefixes.map((prefix, pool) => [prefix, pool]));
  return {
    find(path) {
      const query = path.indexOf("?");
      for (let end = query < 0 ? path.length : query; end > 0; end = path.lastIndexOf("/", end - 1)) {
        const pool = pools.get(path.slice(0, end));
        if (pool !== undefined) return pool;
      }
      return pools.get("/") ?? -1;
    },
  };
}

interface SegmentNode {
  readonly children: Map<string, SegmentNode>;
  pool: number;
}

function segmentTrie(prefixes: readonly string[]): Structure {
  const root: SegmentNode = { children: new Map(), pool: -1 };
  prefixes.forEach((prefix, pool) => {
    let node = root;
    for (const segment of prefix === "/" ? [] : prefix.slice(1).split("/")) {
      const child = node.children.get(segment) ?? { children: new Map(), pool: -1 };
      node.children.set(segment, child);
      node = child;
    }
    node.pool = pool;
  });
  return {
    find(path) {
      const query = path.indexOf("?");
      const end = query < 0 ? path.length : query;
      let node: SegmentNode | undefined = root;
      let best = root.pool;
      for (let from = 1; from <= end;) {
        const slash = path.indexOf("/", from);
        const to = slash < 0 || slash > end ? end : slash;
        node = node.children.get(path.slice(from, to));
        if (node === undefined) return best;
        if (node.pool >= 0) best = node.pool;
        from = to + 1;
      }
      return best;
    },
  };
}

interface RadixNode {
  label: string;
  readonly firsts: number[];
  readonly children: RadixNode[];
  pool: number;
}

function radixTrie(prefixes: readonly string[]): Structure {
  const root: RadixNode = { label: "", firsts: [], children: [], pool: -1 };
  prefixes.forEach((prefix, pool) => addToRadix(root, prefix === "/" ? "" : prefix, pool));
  return {
    find(path) {
      let node = root;
      let position = 0;
      let best = root.pool;
      for (;;) {
        const first = path.charCodeAt(position);
        const firsts = node.firsts;
        let at = 0;
        while (at < firsts.length && firsts[at] !== first) at++;
        const child = node.children[at];
        if (child === undefined || !path.startsWith(child.label, position)) return best;
        position += child.label.length;
        node = child;
        if (node.pool >= 0 && endsSegment(path, position)) best = node.pool;
      }
    },
  };
}

function addToRadix(root: RadixNode, text: string, pool: number): void {
  let node = root;
  let rest = text;
  while (rest !== "") {
    const at = node.firsts.indexOf(rest.charCodeAt(0));
    const child = node.children[at];
    if (child === undefined) {
      node.firsts.push(rest.charCodeAt(0));
      node.children.push({ label: rest, firsts: [], children: [], pool });
      return;
    }
    let common = 0;
    while (common < child.label.length && child.label[common] === rest[common]) common++;
    if (common < child.label.length) {
      const middle = {
        label: rest.slice(0, common),
        firsts: [child.label.charCodeAt(common)],
        children: [child],
        pool: -1,
      };
      child.label = child.label.slice(common);
      node.children[at] = middle;
      node = middle;
    } else node = child;
    rest = rest.slice(common);
  }
  node.pool = pool;
}

function endsSegment(path: string, length: number): boolean {
  const next = path.charCodeAt(length);
  return length === path.length || next === 0x2f || next === 0x3f;
}
