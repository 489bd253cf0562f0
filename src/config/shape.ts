/**
 * The schema as data. TypeBox schemas are JSON Schema objects; this is the part of JSON Schema that `schema.ts` uses, plus our
 * annotations, as a plain type, so that the checker and the docs need not know TypeBox.
 */
import type { ConfigNode } from "./document.ts";
import { FORMS } from "./forms.ts";
import type { FormName } from "./forms.ts";

/** Units of numbers. */
export type Unit = "ms" | "bytes" | "connections" | "streams" | "requests" | "packets" | "fields" | "events";

/** What we say about a key beyond JSON Schema. */
export interface Annotations {
  /** What the key means; the sentence in the reference. */
  readonly description?: string;
  readonly unit?: Unit;
  /** `process`: counts once for the whole program. `worker`: each worker process has its own. `process` when absent. */
  readonly scope?: "process" | "worker";
  /** Other paths from the top for the same setting. */
  readonly aliases?: readonly string[];
  readonly form?: FormName;
  /** Other spellings of values, with what they stand for. */
  readonly synonyms?: Readonly<Record<string, string>>;
  /** Values that the original knows and we do not. */
  readonly unsupported?: readonly string[];
  /** May be left out where the key of this name stands beside it with something in it. */
  readonly unless?: string;
  /** What to call it after "expected", where the type alone would not do. */
  readonly expected?: string;
}

/** One key's schema. A key is required when it has no `default`. */
export interface Shape extends Annotations {
  readonly type?: string;
  readonly const?: string | number | boolean;
  readonly anyOf?: readonly Shape[];
  readonly properties?: Readonly<Record<string, Shape>>;
  /** A map whose keys are names: one entry, for all of them. */
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
}

/** A key with everything above it, as in the reference. */
export interface KeyRow {
  /** Keys from the top; `<pool>` stands for any name, `[]` for any item. */
  readonly path: readonly string[];
  readonly shape: Shape;
}

/** How the name of a pool is called in schema paths. */
export const ANY_POOL = "<pool>";
/** How an item of a list is called in schema paths. */
export const ANY_ITEM = "[]";

/** `upstream.<pool>.backends[].id`. */
export function schemaPathText(path: readonly string[]): string {
  return path.join(".").replaceAll(`.${ANY_ITEM}`, ANY_ITEM);
}

/** Every key below `shape`, parents before children, in the schema's order. */
export function keyRows(shape: Shape, path: readonly string[] = []): readonly KeyRow[] {
  const rows: KeyRow[] = [];
  for (const branch of branchesOf(shape)) {
    for (const [key, child] of Object.entries(branch.properties ?? {})) {
      rows.push({ path: [...path, key], shape: child }, ...keyRows(child, [...path, key]));
    }
    const named = namedShape(branch);
    if (named !== null) rows.push(...keyRows(named, [...path, ANY_POOL]));
    if (branch.items !== undefined) rows.push(...keyRows(branch.items, [...path, ANY_ITEM]));
  }
  return rows;
}

/** The shape of every value of a map with free names; null for other shapes. */
export function namedShape(shape: Shape): Shape | null {
  return Object.values(shape.patternProperties ?? {})[0] ?? null;
}

/** The values that a key with a closed list of them takes; null for other shapes. */
export function choicesOf(shape: Shape): readonly string[] | null {
  const constants = branchesOf(shape).map((branch) => branch.const);
  const texts = constants.filter((value) => typeof value === "string");
  return texts.length === constants.length ? texts : null;
}

/** Alternatives of a shape; the shape itself when there are none. */
export function branchesOf(shape: Shape): readonly Shape[] {
  return shape.anyOf ?? [shape];
}

/**
 * The alternative that a node is measured against, by its kind only; null when none takes that kind. A closed list of values is
 * its own alternative.
 */
export function branchFor(shape: Shape, node: ConfigNode): Shape | null {
  if (choicesOf(shape) !== null) return node.kind === "scalar" ? shape : null;
  const fitting = branchesOf(shape).filter((branch) => takesKind(branch, node));
  const value = node.kind === "scalar" ? node.value : null;
  const ofItsType = fitting.find(({ type }) => type === (typeof value === "number" ? "integer" : typeof value));
  return ofItsType ?? fitting[0] ?? null;
}

function takesKind(branch: Shape, node: ConfigNode): boolean {
  if (node.kind === "map") return branch.type === "object";
  if (node.kind === "list") return branch.type === "array";
  if (node.kind === "broken" || branch.type === "object" || branch.type === "array") return false;
  return (node.value === null) === (branch.type === "null");
}

/** What may stand there, in words: reads after "expected". */
export function expectedText(shape: Shape): string {
  if (shape.expected !== undefined) return shape.expected;
  const choices = choicesOf(shape);
  if (choices !== null) return choicesText(choices);
  const named = branchesOf(shape).filter((branch) => branch.type !== "null");
  return named.map(typeExpected).join(", or ");
}

function choicesText(choices: readonly string[]): string {
  const texts = choices.map((choice) => JSON.stringify(choice)).join(", ");
  return choices.length === 1 ? texts : `one of ${texts}`;
}

function typeExpected(shape: Shape): string {
  if (shape.expected !== undefined) return shape.expected;
  if (shape.const !== undefined) return JSON.stringify(shape.const);
  if (shape.properties !== undefined) return `a map with ${Object.keys(shape.properties).join(", ")}`;
  if (shape.form !== undefined) return FORMS[shape.form].expected;
  if (shape.type === "boolean") return "true or false";
  if (shape.type === "integer") return `an integer from ${shape.minimum} to ${shape.maximum}${unitText(shape.unit)}`;
  return shape.type === "array" ? "a list" : "a text";
}

function unitText(unit: Unit | undefined): string {
  if (unit === undefined) return "";
  return unit === "ms" ? " (milliseconds)" : ` (${unit})`;
}
