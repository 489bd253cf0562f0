import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { Random } from "../../../src/core/random.ts";

function numbers(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.nextUint32());
}

describe("the raw generator", () => {
  test("gives the numbers of the reference implementation (vector of the Rust crate rand_xoshiro)", () => {
    expect(numbers(Random.fromState([1, 2, 3, 4]), 10)).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  test("gives the numbers of the reference implementation for words with the high bit set", () => {
    const state = [0x964d4a0c, 0xd40ab895, 0xad7fdecb, 0x3006f0f0] as const;
    expect(numbers(Random.fromState(state), 4)).toEqual(REFERENCE_OF_HIGH_WORDS);
  });

  test("refuses the state that would give zeros for ever", () => {
    expect(() => Random.fromState([0, 0, 0, 0])).toThrow(AssertionFault);
  });
});

describe("entropy", () => {
  test("the same words give the same numbers", () => {
    expect(numbers(Random.fromEntropy([7, 8]), 100)).toEqual(numbers(Random.fromEntropy([7, 8]), 100));
  });

  test("every word counts, and so do their order and their number", () => {
    const seeds = [[], [0], [0, 0], [1], [1, 2], [2, 1], [1, 2, 3, 4], [1, 2, 3, 4, 0], [1, 2, 3, 4, 5], [0x8000_0000]];
    const firsts = seeds.map((words) => numbers(Random.fromEntropy(words), 2).join());
    expect(new Set(firsts).size).toBe(seeds.length);
  });

  test("one changed bit changes about half of the bits of the first number", () => {
    let changed = 0;
    for (let bit = 0; bit < 128; bit++) {
      const words = new Uint32Array([11, 22, 33, 44]);
      const before = Random.fromEntropy(words).nextUint32();
      const word = bit >>> 5;
      words[word] = (words[word] ?? 0) ^ (1 << (bit & 31));
      changed += ones(before ^ Random.fromEntropy(words).nextUint32());
    }
    // 128 x 32 fair coins: mean 2048, sigma 32.
    expect(Math.abs(changed - 2048)).toBeLessThan(5 * 32);
  });
});

describe("nextBelow", () => {
  test("stays below the bound, for the smallest and the largest bounds too", () => {
    const random = Random.fromEntropy([1]);
    for (const bound of [1, 2, 3, 255, 256, 257, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_ffff, 0x1_0000_0000]) {
      for (let i = 0; i < 1000; i++) {
        const drawn = random.nextBelow(bound);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn < bound).toBe(true);
      }
    }
  });

  test("draws every value equally often, where the bound is no power of two", () => {
    const random = Random.fromEntropy([2]);
    for (const bound of [3, 6, 7, 100]) {
      const draws = 200_000;
      const counts = new Array<number>(bound).fill(0);
      for (let i = 0; i < draws; i++) {
        const drawn = random.nextBelow(bound);
        counts[drawn] = (counts[drawn] ?? 0) + 1;
      }
      expect(chiSquare(counts, draws / bound)).toBeLessThan(bound - 1 + 5 * Math.sqrt(2 * (bound - 1)));
    }
  });

  test("has no bias where taking a remainder would have the largest", () => {
    // With bound 3 x 2^30 a remainder would draw the lowest third twice as often.
    const random = Random.fromEntropy([3]);
    const draws = 100_000;
    let low = 0;
    for (let i = 0; i < draws; i++) if (random.nextBelow(3 * 2 ** 30) < 2 ** 30) low++;
    const sigma = Math.sqrt(draws * (1 / 3) * (2 / 3));
    expect(Math.abs(low - draws / 3)).toBeLessThan(5 * sigma);
  });

  test("refuses a bound of nothing and one beyond 32 bits", () => {
    const random = Random.fromEntropy([4]);
    expect(() => random.nextBelow(0)).toThrow(AssertionFault);
    expect(() => random.nextBelow(2 ** 32 + 1)).toThrow(AssertionFault);
  });
});

describe("fork", () => {
  test("gives the same child for the same parent, and another for each call", () => {
    const parent = Random.fromEntropy([5]);
    const twin = Random.fromEntropy([5]);
    expect(numbers(parent.fork(), 10)).toEqual(numbers(twin.fork(), 10));
    expect(numbers(parent.fork(), 10)).not.toEqual(numbers(Random.fromEntropy([5]).fork(), 10));
  });

  test("numbers drawn from a child leave the parent's alone", () => {
    const parent = Random.fromEntropy([6]);
    const twin = Random.fromEntropy([6]);
    numbers(parent.fork(), 1000);
    twin.fork();
    expect(numbers(parent, 10)).toEqual(numbers(twin, 10));
  });

  test("parent and child do not repeat each other", () => {
    const parent = Random.fromEntropy([7]);
    const child = parent.fork();
    const seen = new Set(numbers(parent, 1000));
    expect(numbers(child, 1000).filter((drawn) => seen.has(drawn)).length).toBeLessThan(3);
  });
});

/** From the test data of edorfaus/xoshiro-6502, made with the authors' C code. */
const REFERENCE_OF_HIGH_WORDS = [0xf1391922, 0x6fe53806, 0xa5be2840, 0xf510ee70];

function chiSquare(counts: readonly number[], expected: number): number {
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

function ones(word: number): number {
  return (word >>> 0).toString(2).replaceAll("0", "").length;
}
