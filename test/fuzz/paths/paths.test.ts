/** Paths under damage: the promise of `test/unit/route/path-promise.ts`, for more and longer ones. See `../rounds.ts`. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../../../src/core/random.ts";
import { LETTERS, PIECES, randomPath, tryPath, words } from "../../unit/route/path-promise.ts";
import { damaged } from "../damage.ts";
import { FUZZ_HANGS_AFTER_MS, FUZZ_SEED, fuzzRounds } from "../rounds.ts";

const ROUNDS = fuzzRounds(10_000);
const LETTERS_MAX = ROUNDS > 100_000 ? 6 : 5;
/** One a line; what follows two spaces says why it is kept. */
const SEEDS = readFileSync(join(import.meta.dirname, "seeds.txt"), "latin1")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => line.split("  ")[0] ?? "");

test("every kept path keeps the promise", () => {
  expect(SEEDS.length).toBeGreaterThan(20);
  for (const path of SEEDS) tryPath(path);
});

test(
  `so does all that ${LETTERS_MAX} letters make`,
  () => {
    let passed = 0;
    for (const word of words(LETTERS, LETTERS_MAX)) if (tryPath(`/${word}`)) passed += 1;
    expect(passed).toBeGreaterThan(20_000);
  },
  FUZZ_HANGS_AFTER_MS,
);

test(
  `so do ${ROUNDS} damaged seeds and as many random paths (seed ${FUZZ_SEED})`,
  () => {
    const random = Random.fromEntropy([FUZZ_SEED, 3986]);
    let passed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      if (tryPath(damaged(SEEDS, PIECES, random))) passed += 1;
      if (tryPath(randomPath(random, 40))) passed += 1;
    }
    expect(passed).toBeGreaterThan(ROUNDS / 20);
  },
  FUZZ_HANGS_AFTER_MS,
);
