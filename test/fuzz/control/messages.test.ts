/**
 * What is said on the control socket, under damage: nothing throws on either side, and whatever is read leaves as what it was read as.
 * See `../rounds.ts`.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { statusText } from "../../../src/cli/status-text.ts";
import { readAnswer, readRequest, writeControl } from "../../../src/control/control-message.ts";
import { LineCutter } from "../../../src/control/worker-link.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { damaged, textSeeds } from "../damage.ts";
import { FUZZ_HANGS_AFTER_MS, FUZZ_SEED, fuzzRounds } from "../rounds.ts";

const ROUNDS = fuzzRounds(20_000);
const SEEDS = textSeeds(join(import.meta.dirname, "seeds"));
const LINES = SEEDS.flatMap(({ text }) => text.trim().split("\n"));
const WORDS = [
  "{",
  "}",
  "[",
  "]",
  '"',
  ":",
  ",",
  "null",
  "1e999",
  "-1",
  "\\u0000",
  "\\",
  "\n",
  "/",
  "v",
  "do",
  "is",
  "é",
];

test("every kept seed is read", () => {
  const read = LINES.map((line) => [readRequest(line), readAnswer(line)] as const);
  expect(read.filter(([request]) => "do" in request)).toHaveLength(5);
  expect(read.filter(([, answer]) => answer !== null)).toHaveLength(5);
});

test(
  "damaged lines are read as what they say, or refused",
  () => {
    const random = Random.fromEntropy([FUZZ_SEED, 15]);
    for (let round = 0; round < ROUNDS; round++) {
      const text = damaged(LINES, WORDS, random);
      for (const line of new LineCutter("", LIMITS.controlRequestCharactersMax).push(`${text}\n`) ?? []) tryLine(line);
    }
  },
  FUZZ_HANGS_AFTER_MS,
);

test("however deep it is nested", () => {
  const depth = LIMITS.controlRequestCharactersMax / 2 - 100;
  const deep = "[".repeat(depth) + "]".repeat(depth);
  for (const line of [deep, `{"v":${deep},"do":"status"}`, `{"v":1,"is":"status","status":{"crews":${deep}}}`])
    tryLine(line);
});

function tryLine(line: string): void {
  const request = readRequest(line);
  const written = writeControl(request);
  expect(written.indexOf("\n")).toBe(written.length - 1);
  if ("do" in request) expect(readRequest(written.trim())).toEqual(request);
  else expect(readAnswer(written.trim())).toEqual(request);
  const answer = readAnswer(line);
  if (answer?.is === "status") expect(statusText(answer.status, 0)).toEndWith("\n");
  else if (answer !== null) expect(readAnswer(writeControl(answer).trim())).toEqual(answer);
}
