/** The report of `spooky check`, for people and for programs. Pure. */
import { childOf, type ConfigNode, FILE_START, type PathSegment, pathText, type Position } from "../config/document.ts";
import type { ConfigProblem } from "../config/problem.ts";
import type { Finding, Findings } from "../control/preflight/finding.ts";

/** A file as it was read: its name and its tree. */
export interface CheckedFile {
  readonly path: string;
  readonly root: ConfigNode;
}

const LEVEL_WIDTH = 7;
const CHECK_WIDTH = 13;
const COLOURS = { ok: "\x1b[32m", warning: "\x1b[33m", error: "\x1b[31m" } as const;
const MARKS = { ok: "✓", warning: "!", error: "✗" } as const;

/** One line for each finding, its remedy below it. */
export function reportText(file: CheckedFile, findings: Findings, colours: boolean): string {
  return findings.all.map((finding) => findingText(file, finding, colours)).join("");
}

function findingText(file: CheckedFile, { level, check, path, text, remedy }: Finding, colours: boolean): string {
  const word = level.padEnd(LEVEL_WIDTH);
  const mark = `${MARKS[level]} ${word}`;
  const start = `${colours ? `${COLOURS[level]}${mark}\x1b[0m` : mark} ${check.padEnd(CHECK_WIDTH)} `;
  const place = path.length === 0 ? "" : `${placeText(file, path)}: `;
  return `${start}${place}${text}\n${remedy === null ? "" : `  ${" ".repeat(LEVEL_WIDTH + CHECK_WIDTH + 2)}${remedy}\n`}`;
}

/** `file:line:column: path.to.key`; where the key was left out, the place of the section that it would be in. */
function placeText(file: CheckedFile, path: readonly PathSegment[]): string {
  const { line, column } = positionOf(file.root, path);
  return `${file.path}:${line}:${column}: ${pathText(path)}`;
}

/** Where the nearest part of a path stands that was written. */
function positionOf(root: ConfigNode, path: readonly PathSegment[]): Position {
  let node = root;
  for (const segment of path) {
    const child = childOf(node, segment);
    if (child === null) break;
    node = child;
  }
  return node === root ? FILE_START : node.keyAt;
}

/** A finding in the report for programs. `line` and `column` are null where it is about no key. */
interface JsonFinding {
  readonly check: string;
  readonly level: string;
  readonly key: string | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly text: string;
  readonly remedy: string | null;
}

/** One JSON object on one line. `root` null: the file could not be read as a configuration, and `problems` says why. */
export function reportJson(
  path: string,
  root: ConfigNode | null,
  findings: Findings,
  problems: readonly ConfigProblem[] = [],
): string {
  const ofProblems = problems.map(({ path: key, line, column, wrong, expected, nearest }): JsonFinding => {
    const text = expected === null ? wrong : `${wrong}; expected ${expected}`;
    const remedy = nearest === null ? null : `did you mean ${JSON.stringify(nearest)}?`;
    return { check: "configuration", level: "error", key, line, column, text, remedy };
  });
  const ofChecks = findings.all.map(({ check, level, path: keyPath, text, remedy }): JsonFinding => {
    const at = keyPath.length === 0 || root === null ? null : positionOf(root, keyPath);
    const key = keyPath.length === 0 ? null : pathText(keyPath);
    return { check, level, key, line: at?.line ?? null, column: at?.column ?? null, text, remedy };
  });
  const errors = problems.length + findings.count("error");
  const warnings = findings.count("warning");
  return `${JSON.stringify({ v: 1, config: path, errors, warnings, findings: [...ofProblems, ...ofChecks] })}\n`;
}
