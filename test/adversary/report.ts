/** What came of each row, as lines for people: the sum first, then everything that is not simply proved. */
import type { Case } from "./case.ts";
import type { Row } from "./rows.ts";

/** What came of a case. */
export type CaseOutcome = "passed" | "failed" | { readonly skipped: string };

/** The report. A case without an outcome was not played: the run was narrowed to others. */
export function rowReport(
  rows: readonly Row[],
  cases: readonly Case[],
  outcomes: ReadonlyMap<Case, CaseOutcome>,
): string[] {
  const sums = { passing: 0, failing: 0, "not tried": 0 };
  const notes: string[] = [];
  let gaps = 0;
  let elsewhereOnly = 0;
  for (const row of rows) {
    const own = cases.filter((entry) => entry.row === row.row);
    const failed = own.filter((entry) => outcomes.get(entry) === "failed");
    const untried = own.length === 0 ? (row.untried ?? null) : untriedReason(own, outcomes);
    if (own.length === 0 && row.elsewhere !== undefined) {
      elsewhereOnly += 1;
      notes.push(`  elsewhere  ${row.row} ${row.name}: ${row.elsewhere}`);
    } else if (failed.length > 0) {
      sums.failing += 1;
      notes.push(`  failing    ${row.row} ${row.name}: ${failed.map(({ name }) => name).join("; ")}`);
    } else if (untried !== null) {
      sums["not tried"] += 1;
      notes.push(`  not tried  ${row.row} ${row.name}: ${untried}`);
    } else {
      sums.passing += 1;
      const known = own.filter(({ gap }) => gap !== undefined);
      if (known.length > 0) gaps += 1;
      for (const { name, gap } of known) notes.push(`  gap        ${row.row} ${row.name}: ${name}: ${gap}`);
    }
  }
  const counts = Object.entries(sums).map(([word, count]) => `${count} ${word}`);
  const apart = `${gaps} of the passing with a known gap, ${elsewhereOnly} proved by other test files`;
  return [...notes, `adversary rows: ${counts.join(", ")} (${apart})`];
}

/** Why a row with cases was not played as a whole. */
function untriedReason(own: readonly Case[], outcomes: ReadonlyMap<Case, CaseOutcome>): string | null {
  for (const entry of own) {
    const outcome = outcomes.get(entry);
    if (outcome === undefined) return "left out of this run";
    if (outcome !== "passed" && outcome !== "failed") return outcome.skipped;
  }
  return null;
}
