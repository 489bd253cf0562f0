/** Configurations under damage: whatever the text, the answer is a snapshot or mistakes with their places. See `../rounds.ts`. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatProblem, loadConfig } from "../../../src/config/load.ts";
import { CONFIG_SHAPE } from "../../../src/config/schema.ts";
import { keyRows } from "../../../src/config/shape.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { compileRoutes } from "../../../src/route/table.ts";
import { damaged, textSeeds } from "../damage.ts";
import { FUZZ_HANGS_AFTER_MS, FUZZ_SEED, fuzzRounds } from "../rounds.ts";

const ROUNDS = fuzzRounds(1000);
const GUIDE = join(import.meta.dirname, "..", "..", "golden", "guide-config.yaml");
const SEEDS = [...textSeeds(join(import.meta.dirname, "seeds")).map(({ text }) => text), readFileSync(GUIDE, "latin1")];

/** Every key there is, and what YAML and our own forms have rules for. */
const WORDS = [
  ...keyRows(CONFIG_SHAPE).map(({ path }) => `${path.at(-1) ?? ""}: `),
  ..."\n|\r\n|\n  |\t|: |- |[|]|{|}|#|\"|'|&a |*a|<<: *a\n|!!str |? |>\n|\\|%YAML 1.1\n|---\n|...\n|\0|\x7f|\xff|\ufeff".split(
    "|",
  ),
  ..."null|~|true|yes|on|0|-1|010|0x10|1e9|.inf|.nan|999999999999999999999|1_000|12:30:45|2026-11-26".split("|"),
  ..."10.0.0.0/8|::/0|10.0.0.1/33|unix:/run/a|h3://a|https://[::1]:1|a:99999|/a%2f..|/caf%c3%a9|/a;b|*.a|*|\u00e9".split(
    "|",
  ),
];

/** The outcome of one text, if it is one of those that there may be. */
function outcomeOf(text: string): "good" | "bad" {
  const result = loadConfig(text, "fuzz.yaml");
  if ("snapshot" in result) {
    compileRoutes(result.snapshot.pools);
    return "good";
  }
  const { problems } = result;
  if (problems.length === 0 || problems.length > LIMITS.configProblemsMax + 1)
    throw new Error("there are problems, and not too many");
  const lines = text.split(/\r\n|\r|\n/).length;
  for (const problem of problems) {
    const { line, column, path, wrong } = problem;
    if (line < 1 || line > lines || column < 1 || path === "" || wrong === "")
      throw new Error(`no place: ${formatProblem(problem)}`);
    if (!/^fuzz\.yaml:\d+:\d+: [^\p{Cc}]+$/u.test(formatProblem(problem)))
      throw new Error(`no line: ${formatProblem(problem)}`);
  }
  return "bad";
}

test("every kept seed is loaded or refused with places", () => {
  expect(SEEDS.length).toBeGreaterThan(8);
  const outcomes = SEEDS.map(outcomeOf);
  expect(new Set(outcomes)).toEqual(new Set(["good", "bad"]));
});

test(
  `${ROUNDS} damaged ones are (seed ${FUZZ_SEED})`,
  () => {
    const random = Random.fromEntropy([FUZZ_SEED, 1]);
    const seen = { good: 0, bad: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const text = damaged(SEEDS, WORDS, random);
      try {
        seen[outcomeOf(text)] += 1;
      } catch (thrown) {
        throw new Error(`round ${round}: ${JSON.stringify(text)}: ${String(thrown)}`, { cause: thrown });
      }
    }
    expect(seen.good).toBeGreaterThan(ROUNDS / 200);
    expect(seen.bad).toBeGreaterThan(ROUNDS / 5);
  },
  FUZZ_HANGS_AFTER_MS,
);
