/** Text of a configuration file in, snapshot or all of its mistakes out. Reads no file: whoever has the text has read it. */
import { assert } from "../core/assert.ts";
import { buildSnapshot } from "./build.ts";
import { checkConfig } from "./check.ts";
import { childOf } from "./document.ts";
import { parseYaml } from "./parse.ts";
import { ProblemList } from "./problem.ts";
import type { ConfigProblem } from "./problem.ts";
import { checkRules } from "./rules.ts";
import { isConfigValue } from "./schema.ts";
import type { Snapshot } from "./snapshot.ts";

export { formatProblem } from "./problem.ts";
export type { ConfigProblem } from "./problem.ts";

/** Exactly one of the two: a snapshot, or at least one problem. */
export type LoadResult = { readonly snapshot: Snapshot } | { readonly problems: readonly ConfigProblem[] };

/** The `control.socket` that a text names by its path, whatever else is wrong with it; null where it names none. */
export function statedControlSocket(text: string): string | null {
  const control = childOf(parseYaml(text, new ProblemList("")), "control");
  const socket = control === null ? null : childOf(control, "socket");
  if (socket?.kind !== "scalar" || typeof socket.value !== "string") return null;
  return socket.value.startsWith("/") ? socket.value : null;
}

/**
 * Parses, checks and builds. All mistakes are found in one go, except that text which is no YAML is not looked into further.
 * `fileName` only stands in the problems.
 */
export function loadConfig(text: string, fileName: string): LoadResult {
  const problems = new ProblemList(fileName);
  const root = parseYaml(text, problems);
  const value = checkConfig(root, problems);
  checkRules(root, problems);
  if (!problems.isEmpty) return { problems: problems.sorted() };
  assert(isConfigValue(value), "a configuration without problems has the shape of the schema");
  const upstream = childOf(root, "upstream");
  const poolNames = upstream?.kind === "map" ? [...upstream.entries.keys()] : [];
  return { snapshot: buildSnapshot(value, poolNames) };
}
