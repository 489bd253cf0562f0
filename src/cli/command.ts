/** What every command shares: what it runs on, and how it ends. It brings little with it, for it is loaded at every start. */
import { CUT_OFF_CODE } from "../control/worker-link.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { EarlySignals } from "./early-signals.ts";

/** Exit codes; documented in `--help` and `docs/cli.md`. */
export const EXIT = { ok: 0, failure: 1, usage: 2, cutOff: CUT_OFF_CODE } as const;

/** What a command runs on. */
export interface CommandContext {
  readonly runtime: Runtime;
  /** Path of the library that the executable carries; null when run from source. */
  readonly embedded: string | null;
  readonly early: EarlySignals;
}

/** What went wrong, for people, and the exit code that belongs to it. */
export function explain(thrown: unknown): { readonly text: string; readonly code: number } {
  if (!(thrown instanceof ProxyError)) {
    const stack = thrown instanceof Error ? (thrown.stack ?? "") : "";
    return { text: `spooky: ${messageOf(thrown)}\n${stack}\n`, code: EXIT.failure };
  }
  const remedy = thrown.remedy === null ? "" : `\n  ${thrown.remedy}`;
  return { text: `${thrown.message}${remedy}\n`, code: thrown.source === "config" ? EXIT.usage : EXIT.failure };
}
