/** What a check before a start has found, for people and for programs. Pure. */
import type { PathSegment } from "../../config/document.ts";

/** What is looked at, in the order of the report. */
const CHECKS = [
  "configuration",
  "files",
  "certificates",
  "routes",
  "addresses",
  "backends",
  "buffers",
  "limits",
  "workers",
] as const;

/** One of them. */
export type CheckName = (typeof CHECKS)[number];

/** `ok`: as it should be. `warning`: it serves, and somebody should know. `error`: it cannot be served, or not as it is meant. */
export type FindingLevel = "ok" | "warning" | "error";

/** One thing that was found. */
export interface Finding {
  readonly check: CheckName;
  readonly level: FindingLevel;
  /** The key that it is about, as in the file; empty for none. */
  readonly path: readonly PathSegment[];
  readonly text: string;
  /** What to do about it; null where the text says it. */
  readonly remedy: string | null;
}

/** Takes what is found. */
export class Findings {
  readonly #found: Finding[] = [];

  /** All of them by check, in the order in which they came. */
  get all(): readonly Finding[] {
    return CHECKS.flatMap((check) => this.#found.filter((finding) => finding.check === check));
  }

  ok(check: CheckName, text: string): void {
    this.#found.push({ check, level: "ok", path: [], text, remedy: null });
  }

  warn(check: CheckName, path: readonly PathSegment[], text: string, remedy: string | null = null): void {
    this.#found.push({ check, level: "warning", path, text, remedy });
  }

  error(check: CheckName, path: readonly PathSegment[], text: string, remedy: string | null = null): void {
    this.#found.push({ check, level: "error", path, text, remedy });
  }

  /** How many of a level. */
  count(level: FindingLevel): number {
    return this.#found.filter((finding) => finding.level === level).length;
  }

  /** Has a check found no error so far? */
  isWithoutErrors(check: CheckName): boolean {
    return this.#found.every((finding) => finding.check !== check || finding.level !== "error");
  }

  /** Has a check found nothing to complain about so far? */
  isFine(check: CheckName): boolean {
    return this.#found.every((finding) => finding.check !== check || finding.level === "ok");
  }
}

/** So many of a thing, as people write it: `1 pool`, `2 pools`. */
export function numbered(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}
