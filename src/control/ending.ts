/** How workers end that were told to. */
import type { ProcessEnd } from "../runtime/processes.ts";
import { CUT_OFF_CODE } from "./worker-link.ts";

/** `cut-off`: in order, and what outlived the drain time was broken off. */
export type Ending = "well" | "cut-off" | "badly";

/** The ending that an exit code says. */
export function endingOf({ code }: ProcessEnd): Ending {
  if (code === 0) return "well";
  return code === CUT_OFF_CODE ? "cut-off" : "badly";
}

/** The worst of them; `well` of none. */
export function worstOf(endings: readonly Ending[]): Ending {
  return (["badly", "cut-off"] as const).find((ending) => endings.includes(ending)) ?? "well";
}
