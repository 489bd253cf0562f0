/**
 * YAML text into a tree of nodes with places: YAML 1.2, core schema. The only file that knows the YAML library.
 *
 * Read more strictly than YAML allows: a key twice, a tag (`!!str`), a second document and `%YAML 1.1` (where `on` is true and
 * 010 is eight) are mistakes. Anchors and aliases work; what they expand to is counted, so a few lines cannot become a billion.
 */
import { isAlias, isMap, isScalar, LineCounter, parseDocument, Scalar, visit } from "yaml";
import type { Document, ParsedNode, YAMLMap, YAMLSeq } from "yaml";
import { LIMITS } from "../core/limits.ts";
import { FILE_START, positionText } from "./document.ts";
import type { ConfigNode, PathSegment, Position } from "./document.ts";
import { quoted } from "./problem.ts";
import type { Finding, ProblemList } from "./problem.ts";

/** The tree of `text`. What is wrong goes to `problems`; when no tree can be trusted, the answer is a broken node. */
export function parseYaml(text: string, problems: ProblemList): ConfigNode {
  const nothing: ConfigNode = { kind: "broken", path: [], keyAt: FILE_START, valueAt: FILE_START };
  if (new TextEncoder().encode(text).length > LIMITS.configBytesMax) {
    const expected = `at most ${LIMITS.configBytesMax} bytes`;
    problems.add(FILE_START, [], { wrong: "is too large", expected });
    return nothing;
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: "1.2",
    schema: "core",
    resolveKnownTags: false,
    merge: false,
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: lines,
  });
  const places = new Places(text, lines);
  reportSyntax(text, document, places, problems);
  if (!problems.isEmpty) return nothing;
  return new TreeBuilder(places, problems).build(document.contents);
}

/** Offsets in the text into lines and columns. */
class Places {
  readonly #text: string;
  readonly #lines: LineCounter;

  constructor(text: string, lines: LineCounter) {
    this.#text = text;
    this.#lines = lines;
  }

  /** The library counts UTF-16 units; people and editors count characters, and do not see a byte order mark. */
  at(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    if (line === 0) return FILE_START;
    const before = this.#text.slice(offset - (col - 1), offset).replace("\uFEFF", "");
    return { line, column: Array.from(before).length + 1 };
  }
}

function reportSyntax(text: string, document: Document.Parsed, places: Places, problems: ProblemList): void {
  const directive = /^%YAML[ \t]+(\S+)/m.exec(text);
  if (directive !== null && directive[1] !== "1.2" && document.directives.yaml.explicit === true) {
    problems.addSyntax(places.at(directive.index), {
      wrong: `is marked as version ${directive[1]}`,
      expected: "YAML 1.2",
    });
  }
  const tooDeep = document.errors.find((error) => error.code === "RESOURCE_EXHAUSTION");
  const errors = tooDeep === undefined ? document.errors : [tooDeep];
  for (const error of errors) {
    const quote = error.code === "MISSING_CHAR" ? openQuote(document, error.pos[0]) : null;
    if (quote !== null) problems.addSyntax(places.at(quote), { wrong: "the quote that begins here is never closed" });
    else {
      const finding = SYNTAX_FINDINGS.get(error.code) ?? { wrong: withoutLineBreaks(error.message) };
      problems.addSyntax(places.at(Math.min(error.pos[0], text.length)), finding);
    }
  }
}

/** The library complains where an unclosed quote ends, often the end of the file; people look for where it began. */
function openQuote(document: Document.Parsed, end: number): number | null {
  let begin: number | null = null;
  visit(document, {
    Scalar(_key, node) {
      const range = node.range;
      if (range && range[1] === end && isQuotedScalar(node)) begin = range[0];
    },
  });
  return begin;
}

function isQuotedScalar(node: Scalar): boolean {
  return node.type === Scalar.QUOTE_DOUBLE || node.type === Scalar.QUOTE_SINGLE;
}

function withoutLineBreaks(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1).replaceAll(/\s+/g, " ");
}

const TOO_DEEP: Finding = { wrong: "is nested too deeply", expected: `at most ${LIMITS.configDepthMax} levels` };

/** Where the library's words would not lead a person to the mistake. */
const SYNTAX_FINDINGS: ReadonlyMap<string, Finding> = new Map<string, Finding>([
  ["RESOURCE_EXHAUSTION", TOO_DEEP],
  ["TAB_AS_INDENT", { wrong: "a tab is used for indentation", expected: "spaces" }],
  ["MULTIPLE_DOCS", { wrong: "a second document begins here", expected: "one document in the file" }],
  [
    "MULTILINE_IMPLICIT_KEY",
    { wrong: "this is no key with a value", expected: '"key: value" with a space after the colon, on one line' },
  ],
  [
    "BLOCK_AS_IMPLICIT_KEY",
    { wrong: "a second key stands on the same line", expected: "each key on its own line, or the value in quotes" },
  ],
]);

/** Where a node is being built. */
interface Target {
  readonly path: readonly PathSegment[];
  /** Null: the value's own place. */
  readonly keyAt: Position | null;
}

/** Turns the library's nodes into ours. */
class TreeBuilder {
  readonly #places: Places;
  readonly #problems: ProblemList;
  readonly #anchors = new Map<string, ParsedNode>();
  /** Anchored nodes being built: an alias to one of them would never end. */
  readonly #open = new Set<ParsedNode>();
  #nodes = 0;

  constructor(places: Places, problems: ProblemList) {
    this.#places = places;
    this.#problems = problems;
  }

  build(contents: ParsedNode | null): ConfigNode {
    const isEmpty = contents === null || (isScalar(contents) && contents.value === null && contents.source === "");
    if (isEmpty) return emptyNode({ path: [], keyAt: FILE_START });
    return this.#node(contents, { path: [], keyAt: null });
  }

  #node(node: ParsedNode, target: Target): ConfigNode {
    this.#nodes++;
    const at = this.#places.at(node.range[0]);
    if (this.#nodes > LIMITS.configNodesMax) {
      const expected = `at most ${LIMITS.configNodesMax} keys and values, those that aliases repeat included`;
      if (this.#nodes === LIMITS.configNodesMax + 1)
        this.#problems.add(at, target.path, { wrong: "is one too many", expected });
      return broken(target, at);
    }
    if (target.path.length > LIMITS.configDepthMax) return this.#refuse(at, target, TOO_DEEP);
    if (isAlias(node)) return this.#alias(node.source, at, target);
    if (node.tag !== undefined) {
      return this.#refuse(at, target, { wrong: `has the tag ${quoted(node.tag)}`, expected: "a value without a tag" });
    }
    if (node.anchor !== undefined && !this.#define(node.anchor, node)) {
      const wrong = `the anchor &${node.anchor} is used twice`;
      return this.#refuse(at, target, { wrong, expected: "another name for one of them" });
    }
    if (isScalar(node)) return this.#scalar(node, at, target);
    this.#open.add(node);
    const built = isMap(node) ? this.#map(node, at, target) : this.#list(node, at, target);
    this.#open.delete(node);
    return built;
  }

  #define(name: string, node: ParsedNode): boolean {
    const known = this.#anchors.get(name);
    if (known === undefined) this.#anchors.set(name, node);
    return known === undefined || known === node;
  }

  #alias(name: string, at: Position, target: Target): ConfigNode {
    const anchored = this.#anchors.get(name);
    if (anchored === undefined) {
      const wrong = `there is no anchor &${name} above`;
      return this.#refuse(at, target, { wrong, expected: `the text in quotes ("*${name}") if no alias is meant` });
    }
    if (this.#open.has(anchored)) {
      const wrong = `the alias *${name} stands inside what it repeats`;
      return this.#refuse(at, target, { wrong, expected: "an alias of something finished" });
    }
    return this.#node(anchored, { path: target.path, keyAt: target.keyAt ?? at });
  }

  #scalar(node: Scalar, at: Position, target: Target): ConfigNode {
    const { value } = node;
    const keyAt = target.keyAt ?? at;
    const isKnown = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    if (value !== null && !isKnown) return this.#refuse(at, target, { wrong: "is no simple value", expected: null });
    const source = node.source ?? "";
    const valueAt = value === null ? keyAt : at;
    return { kind: "scalar", path: target.path, keyAt, valueAt, value, source, quoted: isQuotedScalar(node) };
  }

  #list(node: YAMLSeq.Parsed, at: Position, target: Target): ConfigNode {
    const items = node.items.map((item, index) => this.#node(item, { path: [...target.path, index], keyAt: null }));
    return { kind: "list", path: target.path, keyAt: target.keyAt ?? at, valueAt: at, items };
  }

  #map(node: YAMLMap.Parsed, at: Position, target: Target): ConfigNode {
    const entries = new Map<string, ConfigNode>();
    for (const pair of node.items) {
      const keyAt = this.#places.at(pair.key.range[0]);
      if (!isScalar(pair.key) || pair.key.tag !== undefined || pair.key.anchor !== undefined) {
        this.#problems.add(keyAt, target.path, { wrong: "has a key that is no plain text", expected: "a plain key" });
        continue;
      }
      const key = keyText(pair.key);
      const path = [...target.path, key];
      const first = entries.get(key);
      if (first !== undefined) {
        const wrong = `is given twice, first at ${positionText(first.keyAt)}`;
        this.#problems.add(keyAt, path, { wrong, expected: "each key once" });
        continue;
      }
      const place = { path, keyAt };
      entries.set(key, pair.value === null ? emptyNode(place) : this.#node(pair.value, place));
    }
    return { kind: "map", path: target.path, keyAt: target.keyAt ?? at, valueAt: at, entries };
  }

  #refuse(at: Position, target: Target, finding: Finding): ConfigNode {
    this.#problems.add(at, target.path, finding);
    return broken(target, at);
  }
}

/** A key as it was written: `1` and `true` are names like any other, not a number and a truth. */
function keyText(key: Scalar): string {
  return typeof key.value === "string" ? key.value : (key.source ?? "");
}

function broken(target: Target, at: Position): ConfigNode {
  return { kind: "broken", path: target.path, keyAt: target.keyAt ?? at, valueAt: at };
}

function emptyNode(place: { readonly path: readonly PathSegment[]; readonly keyAt: Position }): ConfigNode {
  return { kind: "scalar", valueAt: place.keyAt, value: null, source: "", quoted: false, ...place };
}
