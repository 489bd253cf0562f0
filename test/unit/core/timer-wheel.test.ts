import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { Random } from "../../../src/core/random.ts";
import { TimerEntry, TimerWheel, WHEEL_RESOLUTION_MS } from "../../../src/core/timer-wheel.ts";
import { oneOf } from "../../support/sections.ts";

class Named extends TimerEntry {
  readonly name: string;

  constructor(name: string) {
    super();
    this.name = name;
  }
}

/** A wheel whose entries are set by name and whose calls are collected. */
function wheelWith(startMs: number, deadlines: Readonly<Record<string, number>> = {}) {
  const wheel = new TimerWheel<Named>(startMs);
  const entries = new Map(Object.entries(deadlines).map(([name]) => [name, new Named(name)]));
  for (const [name, entry] of entries) wheel.set(entry, deadlines[name] ?? Infinity);
  const entry = (name: string): Named => entries.get(name) ?? new Named(name);
  const expire = (nowMs: number): string[] => {
    const names: string[] = [];
    wheel.expire(nowMs, (expired) => names.push(expired.name));
    return names.sort();
  };
  return { wheel, entry, expire };
}

describe("a timer wheel", () => {
  test("calls each entry once, at its deadline and not before", () => {
    const { wheel, expire } = wheelWith(1000, { early: 1005, late: 1005.5, later: 1100 });
    expect(wheel.nextDeadlineMs()).toBe(1005);
    expect(expire(1004.999)).toEqual([]);
    expect(expire(1005)).toEqual(["early"]);
    expect(expire(1005.25)).toEqual([]);
    expect(wheel.nextDeadlineMs()).toBe(1005.5);
    expect(expire(1005.5)).toEqual(["late"]);
    expect(expire(2000)).toEqual(["later"]);
    expect(expire(3000)).toEqual([]);
    expect(wheel.size).toBe(0);
  });

  test("has no deadline while nothing is set", () => {
    const { wheel, entry } = wheelWith(0, { one: 50 });
    expect(wheel.nextDeadlineMs()).toBe(50);
    wheel.cancel(entry("one"));
    expect(wheel.nextDeadlineMs()).toBe(Infinity);
    expect(wheel.size).toBe(0);
    wheel.cancel(entry("one"));
    expect(wheel.size).toBe(0);
  });

  test("an entry tells its deadline, and Infinity when it has none", () => {
    const { wheel, entry, expire } = wheelWith(0, { one: 5, two: 5 });
    expect(entry("one").deadlineMs).toBe(5);
    wheel.cancel(entry("one"));
    expect(expire(5)).toEqual(["two"]);
    expect([entry("one").deadlineMs, entry("two").deadlineMs]).toEqual([Infinity, Infinity]);
  });

  test("a deadline moves to later and to earlier times", () => {
    const { wheel, entry, expire } = wheelWith(0, { one: 10 });
    wheel.set(entry("one"), 500);
    expect(expire(499)).toEqual([]);
    wheel.set(entry("one"), 505);
    wheel.set(entry("one"), 501);
    expect(expire(501)).toEqual(["one"]);
    wheel.set(entry("one"), 600);
    expect(expire(600)).toEqual(["one"]);
  });

  test("a deadline in the past is due at once", () => {
    const { wheel, entry, expire } = wheelWith(1000);
    const late = entry("late");
    wheel.set(late, 10);
    expect(wheel.nextDeadlineMs()).toBe(10);
    expect(expire(1000)).toEqual(["late"]);
  });

  test("Infinity as a deadline cancels, and what is no time is a fault of the program", () => {
    const { wheel, entry, expire } = wheelWith(0, { one: 10 });
    wheel.set(entry("one"), Infinity);
    expect(wheel.size).toBe(0);
    expect(expire(100)).toEqual([]);
    expect(() => wheel.set(entry("one"), NaN)).toThrow(AssertionFault);
  });

  test("deadlines beyond its span of 4.6 hours are kept and reached", () => {
    const dayMs = 86_400_000;
    const { expire } = wheelWith(0, { day: dayMs, month: 30 * dayMs, decade: 3650 * dayMs });
    expect(expire(dayMs - 1)).toEqual([]);
    expect(expire(dayMs)).toEqual(["day"]);
    expect(expire(30 * dayMs - 0.5)).toEqual([]);
    expect(expire(30 * dayMs)).toEqual(["month"]);
    expect(expire(3650 * dayMs)).toEqual(["decade"]);
  });

  test("one far deadline costs few wake-ups, even if it was moved a thousand times", () => {
    const { wheel, entry, expire } = wheelWith(0, { far: 1000 });
    for (let ms = 1000; ms <= 3_600_000; ms += 3600) wheel.set(entry("far"), ms + 3600);
    let wakeUps = 0;
    for (let called: string[] = []; called.length === 0; wakeUps++) called = expire(wheel.nextDeadlineMs());
    expect(wakeUps).toBeLessThanOrEqual(6);
  });

  test("after an expiry the next deadline is always later, so nobody spins", () => {
    for (const startMs of [0, 0.1, 1e12 + 0.3]) {
      const { wheel, expire } = wheelWith(startMs, { one: startMs + 64.7, two: startMs + 64.9, three: startMs + 4097 });
      let steps = 0;
      while (wheel.size > 0) {
        const nowMs = wheel.nextDeadlineMs();
        expire(nowMs);
        expect(wheel.nextDeadlineMs()).toBeGreaterThan(nowMs);
        steps += 1;
      }
      expect(steps).toBeLessThan(10);
    }
  });

  test("has the resolution that its name says", () => expect(WHEEL_RESOLUTION_MS).toBe(1));
});

describe("callbacks of a timer wheel", () => {
  test("may cancel entries that are due too", () => {
    const wheel = new TimerWheel<Named>(0);
    const entries = ["one", "two", "three"].map((name) => new Named(name));
    for (const entry of entries) wheel.set(entry, 10);
    const called: string[] = [];
    wheel.expire(10, (expired) => {
      called.push(expired.name);
      for (const entry of entries) if (entry !== expired) wheel.cancel(entry);
    });
    expect(called.length).toBe(1);
    expect(wheel.size).toBe(0);
    wheel.expire(1000, (expired) => called.push(expired.name));
    expect(called.length).toBe(1);
  });

  test("may set entries that are due too, which are then called at their new time only", () => {
    const wheel = new TimerWheel<Named>(0);
    const entries = ["one", "two"].map((name) => new Named(name));
    for (const entry of entries) wheel.set(entry, 10);
    const called: string[] = [];
    const moveOther = (expired: Named): void => {
      called.push(expired.name);
      for (const entry of entries) if (entry !== expired) wheel.set(entry, 20);
    };
    wheel.expire(10, moveOther);
    expect([called.length, wheel.size, wheel.nextDeadlineMs()]).toEqual([1, 1, 20]);
    wheel.expire(20, (expired) => called.push(expired.name));
    expect(called.sort()).toEqual(["one", "two"]);
  });

  test("that set themselves to a passed time are called by the next expiry, not for ever by this one", () => {
    const { wheel, entry } = wheelWith(0, { again: 10 });
    let calls = 0;
    const again = (): void => {
      calls += 1;
      wheel.set(entry("again"), 5);
    };
    wheel.expire(10, again);
    expect([calls, wheel.nextDeadlineMs()]).toEqual([1, 5]);
    wheel.expire(10, again);
    expect(calls).toBe(2);
  });

  test("that throw take none of the others with them", () => {
    const { wheel, expire } = wheelWith(0, { one: 10, two: 10, three: 10 });
    const thrown = new AssertionFault("a callback failed");
    expect(() => {
      wheel.expire(10, () => {
        throw thrown;
      });
    }).toThrow(thrown);
    expect([wheel.size, wheel.nextDeadlineMs()]).toEqual([2, 10]);
    expect(expire(10).length).toBe(2);
  });
});

describe("a timer wheel against a sorted list", () => {
  /** Distances that reach every level, lie on slot borders, go back, and have fractions. */
  function randomDistance(random: Random): number {
    const reach = oneOf(random, [3, 70, 5000, 300_000, 20_000_000, 500_000_000]);
    const fraction = oneOf(random, [0, 0, 0.25, 0.999]);
    const border = oneOf(random, [0, 64, 4096, 262_144]);
    return random.nextBelow(4) === 0 ? border - random.nextBelow(3) : random.nextBelow(reach) + fraction - 1;
  }

  function run(seed: number, startMs: number, operations: number): void {
    const random = Random.fromEntropy([seed]);
    const wheel = new TimerWheel<Named>(startMs);
    const entries = Array.from({ length: 60 }, (_, i) => new Named(String(i)));
    const model = new Map<Named, number>();
    let nowMs = startMs;
    const firstOfModel = (): number => Math.min(Infinity, ...model.values());

    for (let operation = 0; operation < operations; operation++) {
      const entry = oneOf(random, entries);
      switch (random.nextBelow(8)) {
        case 0:
          wheel.cancel(entry);
          model.delete(entry);
          break;
        case 1: {
          const deadlineMs = (model.get(entry) ?? nowMs) + random.nextBelow(50);
          wheel.set(entry, deadlineMs);
          model.set(entry, deadlineMs);
          break;
        }
        case 2:
        case 3: {
          const jumpMs = random.nextBelow(2) === 0 ? nowMs + randomDistance(random) / 8 : wheel.nextDeadlineMs();
          if (jumpMs !== Infinity) nowMs = Math.max(nowMs, jumpMs);
          const expected = entries.filter((each) => (model.get(each) ?? Infinity) <= nowMs).map((each) => each.name);
          const called: string[] = [];
          wheel.expire(nowMs, (expired) => called.push(expired.name));
          for (const each of entries) if ((model.get(each) ?? Infinity) <= nowMs) model.delete(each);
          expect({ seed, operation, called: called.sort() }).toEqual({ seed, operation, called: expected.sort() });
          expect(wheel.nextDeadlineMs()).toBeGreaterThan(nowMs);
          break;
        }
        default: {
          const deadlineMs = nowMs + randomDistance(random);
          wheel.set(entry, deadlineMs);
          model.set(entry, deadlineMs);
        }
      }
      expect(wheel.size).toBe(model.size);
      expect(wheel.nextDeadlineMs()).toBeLessThanOrEqual(firstOfModel());
    }
  }

  test("10,000 random operations agree", () => run(1, 0, 10_000));
  test("and from a start with a fraction", () => run(2, 123_456.789, 10_000));
  test("and beyond 32 bits of milliseconds", () => run(3, 1_795_000_000_000.5, 10_000));
  test("and in 40 short runs", () => {
    for (let seed = 100; seed < 140; seed++) run(seed, seed * 1013.7, 400);
  });

  test("100,000 entries that are moved and then expire are all called, and no other", () => {
    const random = Random.fromEntropy([100_000]);
    const wheel = new TimerWheel<Named>(0);
    const entries = Array.from({ length: 100_000 }, (_, i) => new Named(String(i)));
    for (const entry of entries) wheel.set(entry, random.nextBelow(60_000));
    for (const entry of entries) wheel.set(entry, random.nextBelow(60_000));
    expect(wheel.size).toBe(100_000);
    const late = entries.filter((entry) => entry.deadlineMs > 30_000).length;
    let calls = 0;
    const count = (): void => {
      calls += 1;
    };
    for (let nowMs = 0; nowMs < 30_000; nowMs += 17) wheel.expire(nowMs, count);
    wheel.expire(30_000, count);
    expect([calls, wheel.size]).toEqual([100_000 - late, late]);
  });
});
