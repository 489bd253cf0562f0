/**
 * A tree of nodes measured against the schema: unknown keys, missing keys, wrong types, ranges and forms, a key together with its
 * other name. Gives the plain value with every default in it; what is wrong goes to the list, and everything else is still checked.
 */
import { childOf, isGiven, nodeAt, pathText, positionText } from "./document.ts";
import type { ConfigNode, ListNode, MapNode, ScalarNode } from "./document.ts";
import { FORMS } from "./forms.ts";
import { nearest } from "./nearest.ts";
import { quoted } from "./problem.ts";
import type { Finding, ProblemList } from "./problem.ts";
import { CONFIG_SHAPE } from "./schema.ts";
import { ANY_ITEM, ANY_POOL, branchFor, branchesOf, choicesOf, expectedText, keyRows, namedShape } from "./shape.ts";
import type { Shape } from "./shape.ts";
import { suggestKey } from "./suggest.ts";
import { isUnsupportedKey } from "./unsupported.ts";

/** The value of a whole configuration. Only to be trusted when `problems` stayed empty. */
export function checkConfig(root: ConfigNode, problems: ProblemList): unknown {
  return checkNode({ root, problems }, root, CONFIG_SHAPE, []);
}

interface Context {
  readonly root: ConfigNode;
  readonly problems: ProblemList;
}

const ALIASES: ReadonlySet<string> = new Set(keyRows(CONFIG_SHAPE).flatMap((row) => row.shape.aliases ?? []));

function checkNode(context: Context, node: ConfigNode, shape: Shape, schemaPath: readonly string[]): unknown {
  if (node.kind === "broken") return undefined;
  const branch = branchFor(shape, node);
  if (branch === null) {
    // A map or a list in the wrong place begins lines below its key, and the key is the mistake.
    const at = node.kind === "scalar" ? node.valueAt : node.keyAt;
    context.problems.add(at, node.path, mismatch(node, shape));
    return undefined;
  }
  if (node.kind === "list") return checkList(context, node, branch, schemaPath);
  if (node.kind === "scalar") return checkScalar(context, node, shape, branch);
  const named = namedShape(branch);
  if (named !== null) return checkNames(context, node, branch, named, schemaPath);
  return checkMap(context, node, branch, schemaPath);
}

function checkMap(context: Context, node: MapNode, shape: Shape, schemaPath: readonly string[]): unknown {
  const properties = shape.properties ?? {};
  const meant = reportUnknownKeys(context, node, properties, schemaPath);
  const pairs: [string, unknown][] = [];
  for (const [key, keyShape] of Object.entries(properties)) {
    const keyPath = [...schemaPath, key];
    const child = givenNode(context, node, key, keyShape);
    if (child !== null) pairs.push([key, checkNode(context, child, keyShape, keyPath)]);
    else if (keyShape.default !== undefined) pairs.push([key, defaultOf(context, node, key, keyShape, keyPath)]);
    else if (!meant.has(key) && !isReplaced(node, keyShape)) {
      const expected = expectedText(keyShape);
      context.problems.add(node.keyAt, [...node.path, key], { wrong: "is missing", expected });
    }
  }
  return Object.fromEntries(pairs);
}

/** Does another key stand in the place of one that is missing? An empty one does not. */
function isReplaced(node: MapNode, { unless }: Shape): boolean {
  const other = unless === undefined ? null : childOf(node, unless);
  return isGiven(other) && !(other.kind === "list" && other.items.length === 0);
}

/** Reports the keys that nobody knows; gives the known ones that they were probably meant to be, which are not also missing. */
function reportUnknownKeys(
  context: Context,
  node: MapNode,
  properties: Readonly<Record<string, Shape>>,
  schemaPath: readonly string[],
): ReadonlySet<string> {
  const meant = new Set<string>();
  for (const [key, child] of node.entries) {
    const keyPath = [...schemaPath, key];
    if (Object.hasOwn(properties, key) || ALIASES.has(keyPath.join("."))) continue;
    const suggestion = suggestKey(key, node, schemaPath);
    if (suggestion !== null && suggestion.sibling !== null) meant.add(suggestion.sibling);
    context.problems.add(child.keyAt, child.path, unknownKey(key, keyPath, properties, suggestion?.text ?? null));
  }
  return meant;
}

function unknownKey(
  key: string,
  keyPath: readonly string[],
  properties: Readonly<Record<string, Shape>>,
  suggested: string | null,
): Finding {
  if (isUnsupportedKey(keyPath)) {
    return { wrong: "is known from the original, not supported yet", expected: "the key to be left out" };
  }
  if (key === "<<")
    return { wrong: "merge keys are YAML 1.1", expected: "the keys written out, or an alias as a whole value" };
  const known = Object.keys(properties);
  const expected = known.length === 1 ? known.join() : `one of ${known.join(", ")}`;
  return { wrong: "unknown key", expected, nearest: suggested };
}

/** The node of a key under its own name or another; null when it is not there. An empty section counts as not there. */
function givenNode(context: Context, node: MapNode, key: string, shape: Shape): ConfigNode | null {
  const own = childOf(node, key);
  const others = (shape.aliases ?? []).map((alias) => nodeAt(context.root, alias.split(".")));
  const [first = null, second] = [own, ...others]
    .filter((found) => found !== null)
    .toSorted((a, b) => a.keyAt.line - b.keyAt.line || a.keyAt.column - b.keyAt.column);
  if (first !== null && second !== undefined) {
    const wrong = `is given together with ${pathText(first.path)} (${positionText(first.keyAt)}), the same setting`;
    context.problems.add(second.keyAt, second.path, { wrong, expected: "one of the two" });
  }
  const isEmptySection = shape.type === "object" && shape.default !== undefined && !isGiven(first);
  return isEmptySection ? null : first;
}

/** Defaults of a section are those of its keys: it is checked as if it stood there empty. */
function defaultOf(
  context: Context,
  parent: MapNode,
  key: string,
  shape: Shape,
  schemaPath: readonly string[],
): unknown {
  if (shape.type !== "object") return shape.default;
  const { keyAt } = parent;
  const empty: MapNode = { kind: "map", path: [...parent.path, key], keyAt, valueAt: keyAt, entries: new Map() };
  return checkMap(context, empty, shape, schemaPath);
}

function checkNames(
  context: Context,
  node: MapNode,
  shape: Shape,
  named: Shape,
  schemaPath: readonly string[],
): unknown {
  checkCount(context, node, node.entries.size, shape);
  const pairs: [string, unknown][] = [];
  for (const [name, child] of node.entries) {
    const { fault } = FORMS.name.parse(name);
    if (fault !== undefined) context.problems.add(child.keyAt, child.path, fault);
    pairs.push([name, checkNode(context, child, named, [...schemaPath, ANY_POOL])]);
  }
  return Object.fromEntries(pairs);
}

function checkList(context: Context, node: ListNode, shape: Shape, schemaPath: readonly string[]): unknown {
  const { items } = shape;
  checkCount(context, node, node.items.length, shape);
  if (items === undefined) return [];
  return node.items.map((item) => checkNode(context, item, items, [...schemaPath, ANY_ITEM]));
}

/** Every map and list that must not be empty needs just one entry. */
function checkCount(context: Context, node: ConfigNode, count: number, shape: Shape): void {
  const countMin = shape.minItems ?? shape.minProperties ?? 0;
  const countMax = shape.maxItems ?? shape.maxProperties ?? Infinity;
  if (count < countMin)
    context.problems.add(node.keyAt, node.path, { wrong: "is empty", expected: expectedText(shape) });
  if (count > countMax) {
    context.problems.add(node.keyAt, node.path, { wrong: `has ${count} entries`, expected: `at most ${countMax}` });
  }
}

function checkScalar(context: Context, node: ScalarNode, shape: Shape, branch: Shape): unknown {
  const { value } = node;
  const choices = choicesOf(shape);
  let finding: Finding | null = null;
  if (choices !== null && typeof value === "string") {
    const chosen = synonymOf(shape, value);
    if (choices.includes(chosen)) return chosen;
    finding = wrongChoice(value, shape, choices);
  } else if (!hasType(branch, value)) finding = mismatch(node, shape);
  else if (typeof value === "number") finding = wrongNumber(node, value, branch, shape);
  else if (typeof value === "string" && branch.const !== undefined) finding = wrongWord(value, shape);
  else if (typeof value === "string" && branch.form !== undefined)
    finding = FORMS[branch.form].parse(value).fault ?? null;
  if (finding !== null) context.problems.add(node.valueAt, node.path, finding);
  return value;
}

function synonymOf(shape: Shape, value: string): string {
  const synonyms = shape.synonyms ?? {};
  return Object.hasOwn(synonyms, value) ? (synonyms[value] ?? value) : value;
}

function hasType(branch: Shape, value: ScalarNode["value"]): boolean {
  if (branch.type === "integer") return typeof value === "number";
  return branch.type === "null" ? value === null : branch.type === typeof value;
}

/** Where words and other things may stand. */
function wrongWord(value: string, shape: Shape): Finding | null {
  const words = branchesOf(shape).flatMap((branch) => (typeof branch.const === "string" ? [branch.const] : []));
  return words.includes(value) ? null : wrongChoice(value, shape, words);
}

function wrongChoice(value: string, shape: Shape, choices: readonly string[]): Finding {
  const expected = expectedText(shape);
  if (shape.unsupported?.includes(value)) {
    return { wrong: `${quoted(value)} is known from the original, not supported yet`, expected };
  }
  const near = nearest(value, [...choices, ...Object.keys(shape.synonyms ?? {})]);
  return { wrong: `is ${quoted(value)}`, expected, nearest: near?.word ?? null };
}

function wrongNumber(node: ScalarNode, value: number, branch: Shape, shape: Shape): Finding | null {
  const isWrongConstant = branch.const !== undefined && branch.const !== value;
  const isBelow = branch.minimum !== undefined && value < branch.minimum;
  const isAbove = branch.maximum !== undefined && value > branch.maximum;
  const isFraction = branch.type === "integer" && !Number.isInteger(value);
  const shown = node.source.slice(0, 40);
  if (isWrongConstant || isBelow || isAbove || isFraction)
    return { wrong: `is ${shown}`, expected: expectedText(shape) };
  if (!/^[-+]?0[0-9]/.test(node.source)) return null;
  return { wrong: `is written ${shown}, which is octal to some readers`, expected: String(value) };
}

/** A value of the wrong kind. */
function mismatch(node: ConfigNode, shape: Shape): Finding {
  const expected = expectedText(shape);
  if (node.kind === "map") return { wrong: "is a map", expected };
  if (node.kind !== "scalar") return { wrong: "is a list", expected };
  const { value, source } = node;
  const wantsText = branchesOf(shape).some((branch) => branch.type === "string" && branch.const === undefined);
  if (value === null) return { wrong: "is empty", expected };
  if (typeof value === "string") {
    const isQuotedValue = node.quoted && !wantsText && /^([0-9]+|true|false)$/.test(value);
    return {
      wrong: `is the text ${quoted(value)}`,
      expected: isQuotedValue ? `${expected}, without quotes` : expected,
    };
  }
  const wrong = typeof value === "number" ? `is the number ${source.slice(0, 40)}` : `is ${String(value)}`;
  return { wrong, expected: wouldDoQuoted(source, shape) ? `${expected}, such as "${source}" in quotes` : expected };
}

/** Would the value be right if it stood in quotes? */
function wouldDoQuoted(source: string, shape: Shape): boolean {
  return branchesOf(shape).some(({ form }) => form !== undefined && FORMS[form].parse(source).fault === undefined);
}
