import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { CounterSums } from "../../../src/control/counter-sums.ts";

describe("sums over workers", () => {
  test("are those of what each said last", () => {
    const sums = new CounterSums();
    sums.report(0, { requests: 1, probes: 2 });
    sums.report(1, { requests: 10 });
    sums.report(0, { requests: 3, probes: 2 });
    expect(sums.sums()).toEqual({ requests: 13, probes: 2 });
  });

  test("keep what dead workers said last", () => {
    const sums = new CounterSums();
    sums.report(0, { requests: 5 });
    sums.settle(0);
    sums.settle(1);
    expect(sums.sums()).toEqual({ requests: 5 });
    sums.report(0, { requests: 1 });
    expect(sums.sums()).toEqual({ requests: 6 });
  });

  test("of a most-ever-seen are the highest of all", () => {
    const sums = new CounterSums();
    sums.report(0, { glitches_highest: 7 });
    sums.report(1, { glitches_highest: 9 });
    sums.settle(1);
    sums.report(1, { glitches_highest: 2 });
    expect(sums.sums()).toEqual({ glitches_highest: 9 });
  });

  test("never go back and lose nothing that was reported, whoever dies", () => {
    const random = Random.fromEntropy([7]);
    const sums = new CounterSums();
    const counted = [0, 0, 0];
    let settled = 0;
    let before = 0;
    for (let step = 0; step < 2000; step++) {
      const slot = random.nextBelow(3);
      if (random.nextBelow(20) === 0) {
        settled += counted[slot] ?? 0;
        counted[slot] = 0;
        sums.settle(slot);
      } else {
        counted[slot] = (counted[slot] ?? 0) + random.nextBelow(100);
        sums.report(slot, { requests: counted[slot] ?? 0 });
      }
      const now = sums.sums()["requests"] ?? 0;
      expect(now).toBeGreaterThanOrEqual(before);
      expect(now).toBe(settled + counted.reduce((sum, count) => sum + count, 0));
      before = now;
    }
    expect(before).toBeGreaterThan(10_000);
  });

  test("go on with those of the supervisor itself when another program takes its place", () => {
    const before = new CounterSums();
    before.report(0, { requests: 5, lines: 1 });
    before.report(1, { requests: 2 });
    before.settle(1);
    const own = { lines: 3 };
    expect(before.sums(own)).toEqual({ requests: 7, lines: 4 });
    const after = new CounterSums(before.handOver(own));
    // What was asked for beforehand has changed nothing, should there be no other program after all.
    expect(before.sums(own)).toEqual({ requests: 7, lines: 4 });
    expect(after.sums({})).toEqual({ requests: 7, lines: 4 });
    after.report(0, { requests: 6, lines: 1 });
    expect(after.sums({ lines: 1 })).toEqual({ requests: 8, lines: 5 });
  });
});
