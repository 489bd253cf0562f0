/** The adversarial suite: plays every case and says row by row what came of it. `case.ts` tells how to add one. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { Bed } from "./bed.ts";
import type { Case, Need } from "./case.ts";
import { CASES } from "./cases/index.ts";
import { HANGS_AFTER_MS } from "../support/time-limit.ts";
import { H3I_MISSING, h3iProgram } from "./h3i.ts";
import { H3SPEC } from "./h3spec.ts";
import { rowReport } from "./report.ts";
import type { CaseOutcome } from "./report.ts";
import { ROWS } from "./rows.ts";

const LACKING: Readonly<Record<Need, string | null>> = {
  aioquic: aioquicPython === null ? AIOQUIC_MISSING : null,
  h3i: h3iProgram === null ? H3I_MISSING : null,
};

const outcomes = new Map<Case, CaseOutcome>();

describe("adversary", () => {
  for (const entry of CASES) {
    const name = `row ${entry.row} ${entry.name}${entry.gap === undefined ? "" : ` (gap: ${entry.gap})`}`;
    const lacking = (entry.needs ?? []).map((need) => LACKING[need]).find((reason) => reason !== null) ?? null;
    if (lacking === null) {
      test(name, () => play(entry), HANGS_AFTER_MS);
    } else {
      outcomes.set(entry, { skipped: lacking });
      test.skip(`${name}: ${lacking}`, () => undefined);
    }
  }

  afterAll(() => {
    for (const line of rowReport(ROWS, CASES, outcomes)) console.log(line);
  });
});

/** A case that does not come to its end has failed. */
async function play(entry: Case): Promise<void> {
  outcomes.set(entry, "failed");
  const bed = new Bed();
  await entry.run(bed);
  await bed.finish();
  outcomes.set(entry, "passed");
}

describe("the report", () => {
  const entry = (row: number, name: string, gap?: string): Case => ({
    ...{ row, name, run: () => Promise.resolve() },
    ...(gap === undefined ? {} : { gap }),
  });
  const [good, bad, known, left, lacking] = [
    entry(1, "a"),
    entry(1, "b"),
    entry(2, "c", "why"),
    entry(3, "d"),
    entry(4, "e"),
  ];
  const rows = [1, 2, 3, 4].map((row) => ({ row, name: `row ${row}` }));
  const all = [
    ...rows,
    { row: 5, name: "row 5", untried: "no way" },
    { row: 6, name: "row 6", elsewhere: "a.test.ts" },
  ];

  test("counts a row by its worst case, and names whatever is not simply proved", () => {
    const outcomes = new Map<Case, CaseOutcome>([
      ...[good, known].map((passed) => [passed, "passed"] as const),
      [bad, "failed"],
      [lacking, { skipped: "no h3i" }],
    ]);
    expect(rowReport(all, [good, bad, known, left, lacking], outcomes)).toEqual([
      "  failing    1 row 1: b",
      "  gap        2 row 2: c: why",
      "  not tried  3 row 3: left out of this run",
      "  not tried  4 row 4: no h3i",
      "  not tried  5 row 5: no way",
      "  elsewhere  6 row 6: a.test.ts",
      "adversary rows: 1 passing, 1 failing, 3 not tried (1 of the passing with a known gap, 1 proved by other test files)",
    ]);
  });
});

describe("the list of h3spec", () => {
  test("names cases of ours that there are", () => {
    expect(H3SPEC.filter(({ missing }) => missing?.startsWith("no table") === true)).toEqual([]);
    expect(H3SPEC).toHaveLength(49);
  });
});

describe("the row table", () => {
  test("names every row once, in order", () => {
    expect(ROWS.map(({ row }) => row)).toEqual(Array.from({ length: 118 }, (_, index) => index + 1));
  });

  test("knows of each row how it is proved, or why it is not", () => {
    const withCases = new Set(CASES.map(({ row }) => row));
    const ways = ROWS.map(({ row, elsewhere, untried }) => {
      const count = [withCases.has(row), elsewhere !== undefined, untried !== undefined].filter(Boolean).length;
      return count === 1 || (count === 2 && untried === undefined) ? null : `row ${row}: ${count} ways`;
    });
    expect(ways.filter((problem) => problem !== null)).toEqual([]);
  });

  test("names test files that are there", () => {
    const files = ROWS.flatMap(({ elsewhere }) => (elsewhere === undefined ? [] : [elsewhere]));
    expect(files.filter((file) => !existsSync(join(import.meta.dir, "..", "..", file)))).toEqual([]);
  });

  test("has a row for every case, and no two cases have the same name", () => {
    const known = new Set(ROWS.map(({ row }) => row));
    expect(CASES.filter(({ row }) => !known.has(row)).map(({ name }) => name)).toEqual([]);
    const names = CASES.map(({ row, name }) => `${row} ${name}`);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});
