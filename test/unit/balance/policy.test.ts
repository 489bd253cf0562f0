/** What every balancing policy keeps to; each of the three goes through the same suite. */
import { STANDARD_BACKEND } from "../../support/settings.ts";
import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import type { BackendSettings, BalancingType } from "../../../src/config/snapshot.ts";
import { createBalancer } from "../../../src/balance/create.ts";
import { pointCounts } from "../../../src/balance/hash-ring.ts";
import { NO_BACKEND, NONE_EXCLUDED, type Balancer } from "../../../src/balance/policy.ts";

const PICKS = 100_000;

interface Policy {
  readonly type: BalancingType;
  /** Standard deviation of the number of picks that a backend gets, apart from its expected number. */
  sigmaOfPicks(weights: readonly number[], index: number): number;
}

const POLICIES: readonly Policy[] = [
  // Deterministic: in each round of as many picks as the weights sum to, everyone gets exactly its weight. One pick of
  // tolerance for the round that is not complete.
  { type: "round-robin", sigmaOfPicks: () => 1 / 5 },
  { type: "random", sigmaOfPicks: (weights, index) => binomialSigma(share(weights, index)) },
  { type: "consistent-hash", sigmaOfPicks: ringSigma },
];

for (const policy of POLICIES) {
  describe(policy.type, () => {
    for (const weights of [
      [100, 100],
      [100, 200, 300],
      [1, 1, 1, 1],
      [1, 2],
      [1000, 500, 250],
      [7, 1, 3, 1, 1],
    ]) {
      test(`weights ${weights.join(", ")} are honoured over ${PICKS} picks`, () => {
        expectShares(policy, weights, new Uint8Array(weights.length).fill(1), NONE_EXCLUDED);
      });
    }

    test("the usable backends share the picks by their weights when others are down or excluded", () => {
      expectShares(policy, [100, 300, 200, 100], new Uint8Array([1, 0, 1, 1]), NONE_EXCLUDED);
      expectShares(policy, [100, 300, 200, 100], new Uint8Array([1, 1, 1, 1]), 1);
      expectShares(policy, [100, 300, 200, 100], new Uint8Array([1, 0, 1, 1]), 2);
    });

    test("a balancer made with other weights honours those", () => {
      const before = picksOf(balancerOf(policy.type, [300, 100]), new Uint8Array([1, 1]), NONE_EXCLUDED);
      const after = picksOf(balancerOf(policy.type, [100, 300]), new Uint8Array([1, 1]), NONE_EXCLUDED);
      expect((before[0] ?? 0) / PICKS).toBeGreaterThan(0.6);
      expect((after[0] ?? 0) / PICKS).toBeLessThan(0.4);
    });

    test("no backend is picked when none is usable, and picking goes on when one is again", () => {
      const balancer = balancerOf(policy.type, [100, 100, 100]);
      const usable = new Uint8Array(3);
      for (const hash of hashes(100)) expect(balancer.pick(usable, NONE_EXCLUDED, hash)).toBe(NO_BACKEND);
      usable[1] = 1;
      for (const hash of hashes(100)) expect(balancer.pick(usable, NONE_EXCLUDED, hash)).toBe(1);
    });

    test("no backend is picked when the only usable one is excluded", () => {
      const balancer = balancerOf(policy.type, [100, 100, 100]);
      for (const hash of hashes(100)) expect(balancer.pick(new Uint8Array([0, 1, 0]), 1, hash)).toBe(NO_BACKEND);
    });

    test("no backend is picked from a pool without any", () => {
      expect(balancerOf(policy.type, []).pick(new Uint8Array(0), NONE_EXCLUDED, 7)).toBe(NO_BACKEND);
    });

    test("a single backend is always picked, unless it is excluded or down", () => {
      const balancer = balancerOf(policy.type, [1]);
      for (const hash of hashes(100)) {
        expect(balancer.pick(new Uint8Array([1]), NONE_EXCLUDED, hash)).toBe(0);
        expect(balancer.pick(new Uint8Array([1]), 0, hash)).toBe(NO_BACKEND);
        expect(balancer.pick(new Uint8Array([0]), NONE_EXCLUDED, hash)).toBe(NO_BACKEND);
      }
    });

    test("whatever is usable and excluded, the pick is one of the rest, and there is one as long as there is a rest", () => {
      const random = Random.fromEntropy([41]);
      const weights = Array.from({ length: 9 }, () => 1 + random.nextBelow(1000));
      const balancer = balancerOf(policy.type, weights);
      const usable = new Uint8Array(weights.length);
      for (let round = 0; round < 20_000; round++) {
        for (let i = 0; i < usable.length; i++) usable[i] = random.nextBelow(3) === 0 ? 1 : 0;
        const excluded = random.nextBelow(weights.length + 1) - 1;
        const picked = balancer.pick(usable, excluded, random.nextUint32());
        const rest = usable.filter((byte, index) => byte === 1 && index !== excluded).length;
        if (rest === 0) expect(picked).toBe(NO_BACKEND);
        else expect(usable[picked] === 1 && picked !== excluded).toBe(true);
      }
    });

    test("the most backends a pool may have are all picked", () => {
      const weights = new Array<number>(LIMITS.backendsPerPoolMax).fill(100);
      const picks = picksOf(balancerOf(policy.type, weights), new Uint8Array(weights.length).fill(1), NONE_EXCLUDED);
      expect(Math.min(...picks)).toBeGreaterThan(0);
      expect(() => balancerOf(policy.type, [...weights, 100])).toThrow(AssertionFault);
    });

    test("weights that the configuration must have refused are a fault of the program", () => {
      for (const weight of [0, -1, 1.5, 1001, Number.NaN]) {
        expect(() => balancerOf(policy.type, [weight])).toThrow(AssertionFault);
      }
    });

    test("it says whether it wants a hash: without one, equal picks do not depend on it", () => {
      const balancer = balancerOf(policy.type, [100, 100]);
      const twin = balancerOf(policy.type, [100, 100]);
      const usable = new Uint8Array([1, 1]);
      const same = hashes(200).filter(
        (hash) => balancer.pick(usable, NONE_EXCLUDED, hash) === twin.pick(usable, NONE_EXCLUDED, 0),
      );
      if (balancer.needsHash) expect(same.length).toBeLessThan(200);
      else expect(same.length).toBe(200);
    });
  });
}

function expectShares(policy: Policy, weights: readonly number[], usable: Uint8Array, excluded: number): void {
  const picks = picksOf(balancerOf(policy.type, weights), usable, excluded);
  const left = weights.map((weight, index) => (usable[index] === 1 && index !== excluded ? weight : 0));
  left.forEach((weight, index) => {
    if (weight === 0) expect(picks[index]).toBe(0);
    else {
      const apart = Math.abs((picks[index] ?? 0) - share(left, index) * PICKS);
      expect(apart).toBeLessThanOrEqual(5 * policy.sigmaOfPicks(left, index));
    }
  });
}

function picksOf(balancer: Balancer, usable: Uint8Array, excluded: number): number[] {
  const picks = new Array<number>(usable.length).fill(0);
  for (const hash of hashes(PICKS)) {
    const picked = balancer.pick(usable, excluded, hash);
    picks[picked] = (picks[picked] ?? 0) + 1;
  }
  return picks;
}

function hashes(count: number): number[] {
  const random = Random.fromEntropy([4711]);
  return Array.from({ length: count }, () => random.nextUint32());
}

function balancerOf(balancing: BalancingType, weights: readonly number[]): Balancer {
  const backends = weights.map((weight, index): BackendSettings => {
    const address = `http://127.0.0.1:${8000 + index}`;
    return {
      ...STANDARD_BACKEND,
      id: `backend-${index}`,
      address,
      ...{ scheme: "http", protocol: "http1", transport: "native" },
      host: "127.0.0.1",
      port: 8000 + index,
      weight,
    };
  });
  return createBalancer({ balancing, backends }, Random.fromEntropy([17]), new Counters());
}

function share(weights: readonly number[], index: number): number {
  return (weights[index] ?? 0) / weights.reduce((sum, weight) => sum + weight, 0);
}

function binomialSigma(chance: number): number {
  return Math.sqrt(PICKS * chance * (1 - chance));
}

/**
 * Of n points that divide a circle at random, k have a share of it that is Beta(k, n - k) distributed. To that comes the error of
 * the picks. The numbers of points are rounded, so the mean is k/n and not exactly the weight's share.
 */
function ringSigma(weights: readonly number[], index: number): number {
  const counts = pointCounts(Int32Array.from(weights)).map((count, i) => (weights[i] === 0 ? 0 : count));
  const n = counts.reduce((sum, count) => sum + count, 0);
  const k = counts[index] ?? 0;
  const ofRing = Math.sqrt((k * (n - k)) / (n * n * (n + 1)));
  const ofRounding = Math.abs(k / n - share(weights, index));
  return Math.hypot(ofRing * PICKS, binomialSigma(k / n)) + (ofRounding * PICKS) / 5;
}
