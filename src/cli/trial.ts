/** The trial of a program that shall take a running one's place: everything that it would do first, in a process of its own. */
import { readFileSync, writeSync } from "node:fs";
import process from "node:process";
import { readHandover } from "../control/handover.ts";
import { messageOf } from "../core/error.ts";
import { openLibrary } from "../../ffi/library.ts";
import { buildInfo } from "./build-info.ts";
import { type CommandContext, EXIT } from "./command.ts";
import { understand } from "./handover-check.ts";
import { libraryPlaces } from "./places.ts";

/** Where a trial finds the document, and where it writes its answer. */
const TRIAL_FDS = { document: 3, answer: 4 } as const;

/** A program's answer: whether it can, and as which process it says so. */
type TrialAnswer = { readonly version: string; readonly pid?: number } | { readonly refusal: string };

/** Reads the document that the running program would leave, and answers. */
export function runTrial({ runtime, embedded }: CommandContext): number {
  let answer: TrialAnswer;
  try {
    openLibrary(runtime.foreign, libraryPlaces(embedded, process.env));
    // By its path, so that it is read from its beginning.
    understand(readHandover(readFileSync(`/proc/self/fd/${TRIAL_FDS.document}`, "utf8")), runtime);
    answer = { version: buildInfo().version, pid: process.pid };
  } catch (thrown) {
    answer = { refusal: messageOf(thrown) };
  }
  writeSync(TRIAL_FDS.answer, JSON.stringify(answer));
  return "version" in answer ? EXIT.ok : EXIT.failure;
}

/** The answer from its text; null when it is none. */
export function readAnswer(text: string): TrialAnswer | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    if ("version" in value && typeof value.version === "string")
      return "pid" in value && typeof value.pid === "number"
        ? { version: value.version, pid: value.pid }
        : { version: value.version };
    return "refusal" in value && typeof value.refusal === "string" ? { refusal: value.refusal } : null;
  } catch {
    return null;
  }
}
