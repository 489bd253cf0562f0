/**
 * How long fuzzing goes on and where it begins. Without more it takes a few seconds, from a seed that never changes. A longer run:
 *
 *     SPOOKY_FUZZ_ROUNDS=1000000 SPOOKY_FUZZ_SEED=$RANDOM bun test test/fuzz
 *
 * A failure shows the seed and the bytes; they then become a file among the seeds.
 */
const ROUNDS = process.env["SPOOKY_FUZZ_ROUNDS"];

/** The number that all chance comes from. */
export const FUZZ_SEED = Number(process.env["SPOOKY_FUZZ_SEED"] ?? 20_261_122);

/** Rounds of a test that does so many in a common run. */
export function fuzzRounds(common: number): number {
  return ROUNDS === undefined ? common : Number(ROUNDS);
}

/** Time for a test: none is proved by it, but a long run must not be taken for one that hangs. Milliseconds. */
export const FUZZ_HANGS_AFTER_MS = ROUNDS === undefined ? 60_000 : 86_400_000;
