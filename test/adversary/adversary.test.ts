/** The adversarial suite: plays every case and says row by row what came of it. `case.ts` tells how to add one. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { Bed } from "./bed.ts";
import type { Case, Need } from "./case.ts";
import { CASES } from "./cases/index.ts";
import { H3I_MISSING, h3iProgram } from "./h3i.ts";
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
      test(name, () => play(entry));
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

describe("the row table", () => {
  test("names every row once, in order", () => {
    expect(ROWS.map(({ row }) => row)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
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
