/** Mistakes in a configuration: collected all, sorted by place, printed one a line. */
import { LIMITS } from "../core/limits.ts";
import { pathText } from "./document.ts";
import type { PathSegment, Position } from "./document.ts";

/** One mistake. The texts are for people and hold no line breaks. */
export interface ConfigProblem extends Position {
  readonly file: string;
  /** The key's path as written, `(document)` for the whole file, `YAML` for text that is no YAML. */
  readonly path: string;
  /** Reads after the path: `is missing`, `unknown key`. */
  readonly wrong: string;
  /** Reads after "expected"; null when there is nothing to say. */
  readonly expected: string | null;
  /** The nearest known key or value; null when none is near. */
  readonly nearest: string | null;
}

/** What a finder of a mistake says about it. */
export interface Finding {
  readonly wrong: string;
  readonly expected?: string | null;
  readonly nearest?: string | null;
}

/** `file:line:column: path.to.key: what is wrong; expected ...; did you mean "nearest"?` */
export function formatProblem(problem: ConfigProblem): string {
  const { file, line, column, path, wrong, expected, nearest } = problem;
  const wanted = expected === null ? "" : `; expected ${expected}`;
  const hint = nearest === null ? "" : `; did you mean ${JSON.stringify(nearest)}?`;
  return `${file}:${line}:${column}: ${path}: ${wrong}${wanted}${hint}`;
}

/** A value as it is shown in a message: quoted, without control characters, cut when long. */
export function quoted(text: string): string {
  const characters = Array.from(text);
  if (characters.length <= SHOWN_CHARACTERS_MAX) return JSON.stringify(text);
  return `${JSON.stringify(characters.slice(0, SHOWN_CHARACTERS_MAX).join(""))}...`;
}

/** Escaped as in JSON, which lets DEL and what follows ASCII pass: a terminal would not. */
function withoutControls(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** More of a wrong value than this does not help to find it. */
const SHOWN_CHARACTERS_MAX = 60;

/** Collects the mistakes of one file. */
export class ProblemList {
  readonly #file: string;
  readonly #found: ConfigProblem[] = [];
  /** Place, last key and text of those already there: what YAML aliases repeat is one mistake, not many. */
  readonly #seen = new Set<string>();

  constructor(file: string) {
    this.#file = file;
  }

  /** Nothing wrong so far. */
  get isEmpty(): boolean {
    return this.#found.length === 0;
  }

  /** Notes a mistake about the key that `path` leads to. */
  add(at: Position, path: readonly PathSegment[], finding: Finding): void {
    this.#push(at, pathText(path), `${path.at(-1) ?? ""}:${finding.wrong}`, finding);
  }

  /** Notes text that is no YAML, or YAML of a kind that is not read. Further words about one place only follow from the first. */
  addSyntax(at: Position, finding: Finding): void {
    this.#push(at, "YAML", "", finding);
  }

  /** All of them by place; those after the maximum are only counted, in a last entry. */
  sorted(): readonly ConfigProblem[] {
    const all = this.#found.toSorted((a, b) => a.line - b.line || a.column - b.column);
    const kept = all.slice(0, LIMITS.configProblemsMax);
    const last = kept.at(-1);
    if (last === undefined || kept.length === all.length) return all;
    const wrong = `${all.length - kept.length} more problems are not shown`;
    return [...kept, { ...last, path: "(document)", wrong, expected: null, nearest: null }];
  }

  #push(at: Position, path: string, sameness: string, finding: Finding): void {
    const identity = `${at.line}:${at.column}:${sameness}`;
    if (this.#seen.has(identity)) return;
    this.#seen.add(identity);
    const { expected = null, nearest = null } = finding;
    this.#found.push({
      file: this.#file,
      line: at.line,
      column: at.column,
      path: withoutControls(path),
      wrong: withoutControls(finding.wrong),
      expected: expected === null ? null : withoutControls(expected),
      nearest: nearest === null ? null : withoutControls(nearest),
    });
  }
}
