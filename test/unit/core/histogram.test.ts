/** Histograms: what falls into which bucket, and what is left of them when many are added up. */
import { expect, test } from "bun:test";
import { CounterSums } from "../../../src/control/counter-sums.ts";
import { BORDERS_MS, Histogram, type HistogramReading, readHistograms } from "../../../src/core/histogram.ts";
import { Random } from "../../../src/core/random.ts";

function written(histogram: Histogram): Record<string, number> {
  const counts: Record<string, number> = {};
  histogram.writeTo(counts, "ms");
  return counts;
}

function reading(durations: readonly number[]): HistogramReading | undefined {
  const histogram = new Histogram();
  for (const ms of durations) histogram.record(ms);
  return readHistograms(written(histogram)).histograms["ms"];
}

test("borders rise, and all that people like to ask for are among them", () => {
  expect(BORDERS_MS.toSorted((a, b) => a - b)).toEqual([...BORDERS_MS]);
  expect(new Set(BORDERS_MS).size).toBe(BORDERS_MS.length);
  for (const seconds of [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
    expect(BORDERS_MS).toContain(seconds * 1000);
});

test("a duration falls into the bucket whose border is the first that it does not exceed", () => {
  const random = Random.fromEntropy(Uint32Array.of(1, 2, 3, 4));
  const durations = Array.from({ length: 20_000 }, () => 10 ** (random.nextBelow(10_000) / 1000 - 4));
  const near = BORDERS_MS.flatMap((border) => [border, border - 1e-9, border + 1e-9]);
  for (const ms of [0, 1e9, ...durations, ...near]) {
    const border = BORDERS_MS.find((upper) => ms <= upper) ?? Infinity;
    const found = reading([ms])?.buckets;
    if (found?.[0]?.[0] !== border) expect({ ms, found }).toEqual({ ms, found: [[border, 1]] });
  }
});

test("nothing is said of one that is empty; sums are kept to the microsecond", () => {
  expect(written(new Histogram())).toEqual({});
  expect(reading([0.7, 0.71, 250.0004, 1e6])).toEqual({
    count: 4,
    sumMs: 1_000_251.41,
    buckets: [
      [0.75, 2],
      [300, 1],
      [Infinity, 1],
    ],
  });
});

test("what several workers recorded is added up bucket by bucket, dead ones and those with other borders included", () => {
  const [first, second] = [new Histogram(), new Histogram()];
  first.record(1);
  first.record(7);
  second.record(7);
  const sums = new CounterSums();
  sums.report(0, { requests_started: 2, ...written(first) });
  sums.report(1, { requests_started: 1, ...written(second) });
  sums.settle(0);
  sums.report(0, { "ms:7": 1, "ms:sum": 6.5 });
  expect(readHistograms(sums.sums())).toEqual({
    counters: { requests_started: 3 },
    histograms: {
      ms: {
        count: 4,
        sumMs: 21.5,
        buckets: [
          [1, 1],
          [7, 1],
          [7.5, 2],
        ],
      },
    },
  });
});
