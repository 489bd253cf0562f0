import { expect, test } from "bun:test";
import { NONE_EXCLUDED } from "../../../src/balance/policy.ts";
import { RoundRobin } from "../../../src/balance/round-robin.ts";

function balancerOf(...weights: readonly number[]): RoundRobin {
  return new RoundRobin(weights.map((weight, index) => ({ id: `backend-${index}`, weight })));
}

/** The names a, b, c ... of the next picks. */
function picked(balancer: RoundRobin, count: number, usable: readonly number[], excluded = NONE_EXCLUDED): string {
  const bytes = Uint8Array.from(usable);
  return Array.from({ length: count }, () => "abcdefgh"[balancer.pick(bytes, excluded, 0)] ?? "-").join("");
}

test("weights 5, 1, 1 give the sequence that nginx documents for its smooth round-robin, again and again", () => {
  expect(picked(balancerOf(5, 1, 1), 21, [1, 1, 1])).toBe("aabacaa".repeat(3));
});

test("equal weights go round in the order of the file", () => {
  expect(picked(balancerOf(100, 100, 100), 9, [1, 1, 1])).toBe("abcabcabc");
});

test("weights 4, 2, 1 never come in a row that the weights do not force", () => {
  expect(picked(balancerOf(4, 2, 1), 14, [1, 1, 1])).toBe("abacaba".repeat(2));
});

test("every round of as many picks as the weights sum to gives each backend exactly its weight", () => {
  const weights = [13, 7, 1, 29];
  const balancer = balancerOf(...weights);
  for (let round = 0; round < 20; round++) {
    const names = picked(balancer, 50, [1, 1, 1, 1]);
    expect([..."abcd"].map((name) => names.split(name).length - 1)).toEqual(weights);
  }
});

test("while one is down the others take turns, and it comes back into its place", () => {
  const balancer = balancerOf(1, 1, 1);
  expect(picked(balancer, 3, [1, 1, 1])).toBe("abc");
  expect(picked(balancer, 4, [1, 0, 1])).toBe("acac");
  expect(picked(balancer, 6, [1, 1, 1])).toBe("abcabc");
});

test("a retry takes the next one and does not disturb the turns of the one that failed", () => {
  const balancer = balancerOf(1, 1, 1);
  expect(picked(balancer, 1, [1, 1, 1])).toBe("a");
  expect(picked(balancer, 1, [1, 1, 1], 0)).toBe("b");
  const names = picked(balancer, 300, [1, 1, 1]);
  for (const name of "abc") expect(Math.abs(names.split(name).length - 1 - 100)).toBeLessThanOrEqual(1);
});

test("a backend that flaps for long gets its share afterwards, neither a rush nor a drought", () => {
  const balancer = balancerOf(10, 20, 30);
  for (let i = 0; i < 1000; i++) picked(balancer, 1 + (i % 7), [1, i % 2, i % 3 === 0 ? 0 : 1]);
  const names = picked(balancer, 600, [1, 1, 1]);
  const counts = [..."abc"].map((name) => names.split(name).length - 1);
  for (const [index, wanted] of [100, 200, 300].entries()) {
    expect(Math.abs((counts[index] ?? 0) - wanted)).toBeLessThanOrEqual(2);
  }
});
