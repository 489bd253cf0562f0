/**
 * What a case of the adversarial suite is. To add one, put an entry into a file of `cases/` (a new file is named in
 * `cases/index.ts`) and take the row's reason for having none out of `rows.ts`. `bun test test/adversary -t "row 20 "` runs one row;
 * `-t "method"` whatever has the word in its name.
 *
 * `run` starts what it needs from the bed, attacks, and asserts. Then the runner itself asserts that the process lives, that a
 * fresh connection is answered 200, that after SIGTERM the exit code is 0 and `native_handles` is 0, and that nothing was said
 * that speaks of a defect.
 */
import type { Bed } from "./bed.ts";

/** Programs that a case cannot do without. Where one is lacking, the case is a skip, by name, and its row is not tried. */
export type Need = "aioquic" | "h3i";

/** One case. */
export interface Case {
  /** Of the table in `rows.ts`. */
  readonly row: number;
  /** What is done, in a few words; a row with several cases names each. */
  readonly name: string;
  readonly needs?: readonly Need[];
  /**
   * Why what is asserted is not what the row requires: who decides it otherwise. Such a row is counted apart, and
   * `docs/http3-cases.md` tells of it.
   */
  readonly gap?: string;
  readonly run: (bed: Bed) => Promise<void>;
}
