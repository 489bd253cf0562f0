/** What workers say of counts and of how things are, and what a supervisor makes of it. */
import { expect, test } from "bun:test";
import { BeatCounts } from "../../../src/control/beat-counts.ts";
import { CounterSums } from "../../../src/control/counter-sums.ts";
import { gaugeName, labelledName, readLabels } from "../../../src/core/labels.ts";
import { readHistograms } from "../../../src/core/histogram.ts";

test("only what has changed is said", () => {
  const beat = new BeatCounts();
  expect(
    beat.changed(
      [
        ["a", 1],
        ["b", 2],
      ],
      new Map([["=g", 5]]),
    ),
  ).toEqual({ a: 1, b: 2, "=g": 5 });
  expect(
    beat.changed(
      [
        ["a", 1],
        ["b", 3],
      ],
      new Map([["=g", 5]]),
    ),
  ).toEqual({ b: 3 });
  expect(beat.changed([], new Map())).toEqual({ "=g": 0 });
  expect(beat.changed([], new Map())).toEqual({});
  expect(beat.changed([], new Map([["=g", 5]]))).toEqual({ "=g": 5 });
});

test("what is left out is as it was; how things were ends with the worker, and is in no sum", () => {
  const sums = new CounterSums();
  sums.report(3, { a: 1, b: 2, "=g|p": 5, "=h": 1 });
  sums.report(3, { b: 4, "=h": 0 });
  expect(sums.sums()).toEqual({ a: 1, b: 4 });
  expect([...sums.gaugesOf(3)]).toEqual([["=g|p", 5]]);
  const later = new CounterSums(sums.handOver());
  expect([...later.gaugesOf(3)]).toEqual([["=g|p", 5]]);
  later.settle(3);
  expect([...later.gaugesOf(3)]).toEqual([]);
  expect(later.sums()).toEqual({ a: 1, b: 4 });
});

test("values of labels come back, whatever is in them", () => {
  const values = ["a|b", "50%:x", "", "%7c", "ü"];
  expect(readLabels(labelledName("n", values))).toEqual({ name: "n", values });
});

test("the status of a program has none of them", () => {
  const counts = {
    plain: 1,
    [labelledName("x", ["p"])]: 2,
    [`${labelledName("y", ["p"])}:2.5`]: 1,
    [gaugeName("z")]: 3,
  };
  expect(readHistograms(counts)).toEqual({ counters: { plain: 1 }, histograms: {} });
});
