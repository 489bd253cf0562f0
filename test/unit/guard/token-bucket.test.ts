/** The token bucket: what it lets through over time, on a clock that the test moves. */
import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { TokenBucket } from "../../../src/guard/token-bucket.ts";

/** How many single tokens can be had now. */
function drain(bucket: TokenBucket, nowMs: number): number {
  let taken = 0;
  while (bucket.take(nowMs)) taken += 1;
  return taken;
}

describe("a bucket", () => {
  test("is full at the start and no fuller after a long time", () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 5 }, 1000);
    expect(drain(bucket, 1000)).toBe(5);
    expect(drain(bucket, 1_000_000)).toBe(5);
  });

  test("fills with time, fractions included", () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 5 }, 0);
    drain(bucket, 0);
    expect(bucket.take(99)).toBe(false);
    expect(bucket.take(100)).toBe(true);
    expect(bucket.take(150)).toBe(false);
    expect(drain(bucket, 350)).toBe(2);
  });

  test("gives all that is asked for, or nothing", () => {
    const bucket = new TokenBucket({ perSecond: 1, burst: 10 }, 0);
    expect(bucket.take(0, 11)).toBe(false);
    expect(bucket.take(0, 8)).toBe(true);
    expect(bucket.take(0, 3)).toBe(false);
    expect(bucket.take(0, 2)).toBe(true);
    expect(bucket.take(0)).toBe(false);
  });

  test("gains nothing from a clock that goes back", () => {
    const bucket = new TokenBucket({ perSecond: 1000, burst: 3 }, 1000);
    drain(bucket, 1000);
    expect(bucket.take(0)).toBe(false);
    expect(bucket.take(1000)).toBe(false);
    expect(bucket.take(1001)).toBe(true);
  });

  test("without a rate is filled by what is given back alone, and not above its size", () => {
    const bucket = new TokenBucket({ perSecond: 0, burst: 2 }, 0);
    drain(bucket, 0);
    expect(bucket.take(1_000_000)).toBe(false);
    bucket.give(1);
    expect(drain(bucket, 1_000_000)).toBe(1);
    bucket.give(100);
    expect(drain(bucket, 1_000_000)).toBe(2);
  });

  test("of no size lets nothing through", () => {
    expect(new TokenBucket({ perSecond: 100, burst: 0 }, 0).take(10_000)).toBe(false);
  });
});

test("10,000 random steps: never more than the burst and the rate allow, and never less to one who takes all there is", () => {
  const random = Random.fromEntropy([31_415]);
  const [perSecond, burst] = [250, 40];
  const bucket = new TokenBucket({ perSecond, burst }, 0);
  let [nowMs, taken, expected] = [0, 0, burst];
  for (let step = 0; step < 10_000; step++) {
    const passedMs = random.nextBelow(20);
    nowMs += passedMs;
    // The exact model in thousandths of a token, which no rounding can wear down.
    expected = Math.min(burst * 1000, (step === 0 ? burst * 1000 : expected) + passedMs * perSecond);
    while (expected >= 1000) {
      expect(bucket.take(nowMs)).toBe(true);
      expected -= 1000;
      taken += 1;
    }
    expect(taken).toBeLessThanOrEqual(burst + (nowMs * perSecond) / 1000);
  }
  expect(taken).toBeGreaterThan(burst);
});
