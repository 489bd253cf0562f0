import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { Random } from "../../../src/core/random.ts";
import { ProbeSchedule } from "../../../src/health/schedule.ts";

const INTERVAL_MS = 5000;

function schedule(nowMs = 1000, seed = 1): ProbeSchedule {
  return new ProbeSchedule(INTERVAL_MS, nowMs, Random.fromEntropy([seed]));
}

/** Start times of the first probes of a backend that is probed as soon as it is due. */
function starts(count: number, random: Random): number[] {
  const probes = new ProbeSchedule(INTERVAL_MS, 0, random);
  return Array.from({ length: count }, () => {
    const startMs = probes.nextProbeAtMs;
    probes.onStarted(startMs);
    return startMs;
  });
}

describe("the first probe", () => {
  test("is due within one interval, anywhere in it", () => {
    const random = Random.fromEntropy([5]);
    const dues = Array.from({ length: 1000 }, () => new ProbeSchedule(INTERVAL_MS, 1000, random).nextProbeAtMs - 1000);
    expect(Math.min(...dues)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...dues)).toBeLessThan(INTERVAL_MS);
    // Uniform: every tenth of the interval gets about 100 of 1,000, sigma 9.5.
    for (let tenth = 0; tenth < 10; tenth++) {
      const inTenth = dues.filter((dueMs) => Math.floor((dueMs / INTERVAL_MS) * 10) === tenth).length;
      expect(Math.abs(inTenth - 100)).toBeLessThan(48);
    }
  });

  test("is due at the same time for the same seed", () => {
    expect(schedule().nextProbeAtMs).toBe(schedule().nextProbeAtMs);
    expect(schedule().nextProbeAtMs).not.toBe(schedule(1000, 2).nextProbeAtMs);
  });
});

describe("later probes", () => {
  const times = starts(2000, Random.fromEntropy([6]));
  const gaps = times.slice(1).map((startMs, i) => startMs - (times[i] ?? 0));

  test("come after the interval, give or take a tenth", () => {
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(INTERVAL_MS * 0.9);
    expect(Math.max(...gaps)).toBeLessThan(INTERVAL_MS * 1.1);
    expect(Math.max(...gaps) - Math.min(...gaps)).toBeGreaterThan(INTERVAL_MS * 0.19);
  });

  test("are as many as the interval says in the long run", () => {
    const mean = gaps.reduce((sum, gapMs) => sum + gapMs, 0) / gaps.length;
    // Uniform over 1,000 ms: sigma of one gap 289 ms, of the mean of 1,999 gaps 6.5 ms.
    expect(Math.abs(mean - INTERVAL_MS)).toBeLessThan(5 * 6.5);
  });

  test("run from start to start, whenever the probe before ended", () => {
    const probes = schedule(0);
    probes.onStarted(10_000);
    expect(probes.nextProbeAtMs).toBeGreaterThanOrEqual(14_500);
    expect(probes.nextProbeAtMs).toBeLessThan(15_500);
  });
});

test("the probes of 200 backends started together do not fire together, now or later", () => {
  const random = Random.fromEntropy([7]);
  const backends = Array.from({ length: 200 }, () => starts(100, random.fork()));
  for (const round of [0, 10, 99]) {
    const perSlot = new Map<number, number>();
    for (const times of backends) {
      const slot = Math.floor(((times[round] ?? 0) % INTERVAL_MS) / 100);
      perSlot.set(slot, (perSlot.get(slot) ?? 0) + 1);
    }
    // 200 in 50 slots of 100 ms: 4 each; 16 in one is six sigma away.
    expect(Math.max(...perSlot.values())).toBeLessThan(16);
  }
});

describe("a backend in doubt", () => {
  test("is probed a tenth of the interval after the last probe", () => {
    const probes = schedule(0);
    probes.onStarted(10_000);
    probes.hurry(10_100);
    expect(probes.nextProbeAtMs).toBe(10_500);
  });

  test("is probed now when the last probe is longer ago", () => {
    const probes = schedule(0);
    probes.onStarted(10_000);
    probes.hurry(12_000);
    expect(probes.nextProbeAtMs).toBe(12_000);
  });

  test("is not probed later by further doubts, nor when a probe is due earlier", () => {
    const probes = schedule(0);
    probes.onStarted(10_000);
    probes.hurry(10_600);
    probes.hurry(10_700);
    expect(probes.nextProbeAtMs).toBe(10_600);
    const due = schedule(0);
    const dueMs = due.nextProbeAtMs;
    due.hurry(dueMs + 50);
    expect(due.nextProbeAtMs).toBe(dueMs);
  });

  test("is probed at most ten times an interval, however many doubts there are", () => {
    const probes = schedule(0);
    let count = 0;
    for (let nowMs = 0; nowMs < 10 * INTERVAL_MS; nowMs++) {
      probes.hurry(nowMs);
      if (probes.nextProbeAtMs > nowMs) continue;
      probes.onStarted(nowMs);
      count++;
    }
    expect(count).toBeLessThanOrEqual(100);
    expect(count).toBeGreaterThan(95);
  });

  test("returns to the usual interval after the hurried probe", () => {
    const probes = schedule(0);
    probes.onStarted(10_000);
    probes.hurry(10_100);
    probes.onStarted(probes.nextProbeAtMs);
    expect(probes.nextProbeAtMs).toBeGreaterThanOrEqual(10_500 + INTERVAL_MS * 0.9);
  });
});

test("an interval of nothing is a fault of the program", () => {
  expect(() => new ProbeSchedule(0, 0, Random.fromEntropy([1]))).toThrow(AssertionFault);
});
