/**
 * A configuration file as a tree: every node knows where it stands in the text and which keys lead to it, so that whoever finds a
 * mistake can say where. Nothing here knows YAML; `parse.ts` makes the tree.
 */

/** A place in the text. Both count from 1; columns count characters (code points), a tab as one. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A key of a map, or an index into a list. */
export type PathSegment = string | number;

/** What every node knows. */
interface NodePlace {
  /** As written in this file, aliases of keys not replaced. */
  readonly path: readonly PathSegment[];
  /** Where the key stands; for an item of a list and for the whole file, where the value begins. */
  readonly keyAt: Position;
  /** Where the value begins; where the key stands when there is no value. */
  readonly valueAt: Position;
}

/** `key: value` pairs, in the order of the file, each key once. */
export interface MapNode extends NodePlace {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, ConfigNode>;
}

/** A list. */
export interface ListNode extends NodePlace {
  readonly kind: "list";
  readonly items: readonly ConfigNode[];
}

/** A single value. `source` is the text it was read from, without quotes. */
export interface ScalarNode extends NodePlace {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  readonly source: string;
  readonly quoted: boolean;
}

/** Something that could not be read; it was reported, so nobody complains about it again. */
export interface BrokenNode extends NodePlace {
  readonly kind: "broken";
}

/** Any node. */
export type ConfigNode = MapNode | ListNode | ScalarNode | BrokenNode;

/** The beginning of a file. */
export const FILE_START: Position = { line: 1, column: 1 };

const PLAIN_KEY = /^[\p{L}\p{N}_<>-]+$/u;

/** `upstream.api.backends[0].address`; a key with unusual characters is quoted, and the empty path is `(document)`. */
export function pathText(path: readonly PathSegment[]): string {
  let text = "";
  for (const segment of path) {
    if (typeof segment === "number") text += `[${segment}]`;
    else text += (text === "" ? "" : ".") + (PLAIN_KEY.test(segment) ? segment : JSON.stringify(segment));
  }
  return text === "" ? "(document)" : text;
}

/** The node that `path` leads to, or null. */
export function nodeAt(root: ConfigNode, path: readonly PathSegment[]): ConfigNode | null {
  let node: ConfigNode | null = root;
  for (const segment of path) {
    if (node === null) return null;
    node = childOf(node, segment);
  }
  return node;
}

/** The node under one key or index, or null. */
export function childOf(node: ConfigNode, segment: PathSegment): ConfigNode | null {
  if (typeof segment === "number") return node.kind === "list" ? (node.items[segment] ?? null) : null;
  return node.kind === "map" ? (node.entries.get(segment) ?? null) : null;
}

/** The text of a string scalar, or null for everything else. */
export function stringOf(node: ConfigNode | null): string | null {
  return node !== null && node.kind === "scalar" && typeof node.value === "string" ? node.value : null;
}

/** Was a value written there? A key with nothing after it counts as not written. */
export function isGiven(node: ConfigNode | null): node is ConfigNode {
  return node !== null && !(node.kind === "scalar" && node.value === null);
}

/** `line 3, column 5`. */
export function positionText(at: Position): string {
  return `line ${at.line}, column ${at.column}`;
}
