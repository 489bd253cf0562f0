import { describe, expect, test } from "bun:test";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { ConsistentHash } from "../../../src/balance/consistent-hash.ts";
import { HashRing, hashText } from "../../../src/balance/hash-ring.ts";
import { NO_BACKEND, NONE_EXCLUDED, type WeightedBackend } from "../../../src/balance/policy.ts";

const HASHES = Array.from({ length: 20_000 }, (_, i) => hashText(`session-${i}`));

function backends(count: number, weight = 100): WeightedBackend[] {
  return Array.from({ length: count }, (_, index) => ({ id: `backend-${index}`, weight }));
}

function picks(balancer: ConsistentHash, usable: Uint8Array, excluded = NONE_EXCLUDED): number[] {
  return HASHES.map((hash) => balancer.pick(usable, excluded, hash));
}

describe("health changes", () => {
  const balancer = new ConsistentHash(backends(8), new Counters());
  const all = new Uint8Array(8).fill(1);
  const before = picks(balancer, all);

  test("a key goes to the same backend every time", () => {
    expect(picks(balancer, all)).toEqual(before);
    expect(picks(new ConsistentHash(backends(8), new Counters()), all)).toEqual(before);
  });

  test("keys of a backend that goes down move, no other key does, and all return when it is back", () => {
    const without = all.slice();
    without[2] = 0;
    const during = picks(balancer, without);
    during.forEach((owner, key) => {
      if (before[key] === 2) expect(owner).not.toBe(2);
      else expect(owner).toBe(before[key] ?? NO_BACKEND);
    });
    expect(new Set(during.filter((_, key) => before[key] === 2)).size).toBe(7);
    expect(picks(balancer, all)).toEqual(before);
  });

  test("a retry goes where the key would go if the failed backend were gone from the file", () => {
    const without = new ConsistentHash(
      backends(8).filter((_, index) => index !== 5),
      new Counters(),
    );
    const named = picks(without, new Uint8Array(7).fill(1)).map((index) => (index < 5 ? index : index + 1));
    expect(picks(balancer, all, 5)).toEqual(named);
  });
});

describe("a large pool that is nearly all down", () => {
  const counters = new Counters();
  const balancer = new ConsistentHash(backends(LIMITS.backendsPerPoolMax), counters);

  test("still answers: always one of the usable backends, always the same for a key, and the cut walks are counted", () => {
    const usable = new Uint8Array(LIMITS.backendsPerPoolMax);
    usable[77] = usable[500] = 1;
    const first = picks(balancer, usable);
    expect(new Set(first)).toEqual(new Set([77, 500]));
    expect(counters.ringWalksCut).toBeGreaterThan(0);
    expect(picks(balancer, usable)).toEqual(first);
  });

  test("says so when all of it is down or excluded", () => {
    const usable = new Uint8Array(LIMITS.backendsPerPoolMax);
    expect(balancer.pick(usable, NONE_EXCLUDED, 123)).toBe(NO_BACKEND);
    usable[9] = 1;
    expect(balancer.pick(usable, 9, 123)).toBe(NO_BACKEND);
  });
});

test("walks go on around the end of the ring", () => {
  const pool = backends(4);
  const balancer = new ConsistentHash(pool, new Counters());
  for (const only of [0, 1, 2, 3]) {
    const usable = new Uint8Array(4);
    usable[only] = 1;
    for (const place of new HashRing(pool).points) expect(balancer.pick(usable, NONE_EXCLUDED, place)).toBe(only);
  }
});

test("walks are not cut in a pool of ordinary size, whatever is down", () => {
  const counters = new Counters();
  const balancer = new ConsistentHash(backends(6), counters);
  const random = Random.fromEntropy([8]);
  const usable = new Uint8Array(6);
  for (let i = 0; i < 5000; i++) {
    usable[i % 6] = random.nextBelow(2);
    balancer.pick(usable, NONE_EXCLUDED, random.nextUint32());
  }
  expect(counters.ringWalksCut).toBe(0);
});
