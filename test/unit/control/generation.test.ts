import { describe, expect, test } from "bun:test";
import type { Snapshot } from "../../../src/config/snapshot.ts";
import { LiveGeneration } from "../../../src/control/generation.ts";
import { HealthMonitor } from "../../../src/control/health.ts";
import { must } from "../../../src/core/assert.ts";
import { Counters } from "../../../src/core/counters.ts";
import { FieldSection } from "../../../src/core/fields.ts";
import { Random } from "../../../src/core/random.ts";
import { at, BackendsBed, ONE, snapshotOf, TWO } from "../../support/backends-bed.ts";
import { ManualTimers } from "../../support/manual-timers.ts";
import { RememberingLog } from "../../support/remembering-log.ts";

const NO_FIELDS = FieldSection.of([]);
const EXCHANGE = { startedMs: 0, onTotalTimeout: () => undefined };

class Bed {
  readonly timers = new ManualTimers();
  readonly backends = new BackendsBed();
  readonly #random = Random.fromEntropy(new Uint32Array(4));
  readonly #counters = new Counters();
  readonly #health = new HealthMonitor({
    ...{ timers: this.timers, random: this.#random, log: new RememberingLog(), counters: this.#counters },
  });

  make(snapshot: Snapshot, before: LiveGeneration | null = null): LiveGeneration {
    const parts = { backends: this.backends.backends, health: this.#health, timers: this.timers };
    return new LiveGeneration(snapshot, { ...parts, random: this.#random, counters: this.#counters }, before);
  }
}

describe("a generation", () => {
  test("is freed when another one is at work and its last exchange is over, and not within that", () => {
    const bed = new Bed();
    const one = bed.make(snapshotOf({ api: at(ONE) }));
    one.enter();
    one.begin(EXCHANGE, NO_FIELDS);
    one.begin(EXCHANGE, NO_FIELDS);
    const two = bed.make(snapshotOf({ api: at(TWO) }), one);
    two.enter();
    let freed = 0;
    one.supersede(30_000, () => (freed += 1));
    one.end(EXCHANGE);
    bed.timers.advance(1000);
    expect([freed, bed.backends.backends.count]).toEqual([0, 2]);
    one.end(EXCHANGE);
    expect(freed).toBe(0);
    bed.timers.advance(0);
    expect([freed, bed.backends.backends.count]).toEqual([1, 1]);
    bed.timers.advance(60_000);
    expect(freed).toBe(1);
  });

  test("is freed after the drain time, whatever still runs", () => {
    const bed = new Bed();
    const one = bed.make(snapshotOf({ api: at(ONE) }));
    one.begin(EXCHANGE, NO_FIELDS);
    let freed = 0;
    one.supersede(30_000, () => (freed += 1));
    bed.timers.advance(29_999);
    expect(freed).toBe(0);
    bed.timers.advance(1);
    expect([freed, bed.backends.backends.count]).toEqual([1, 0]);
    one.end(EXCHANGE);
    bed.timers.advance(1);
    expect(freed).toBe(1);
  });

  test("goes on with the counts of the one before, and with its balancer where it would choose alike", () => {
    const bed = new Bed();
    const one = bed.make(snapshotOf({ api: at(ONE, TWO) }));
    const same = bed.make(snapshotOf({ api: { ...at(ONE, TWO), access_log: "off" } }), one);
    const other = bed.make(snapshotOf({ api: at(TWO, ONE) }), one);
    const [before, after, changed] = [one, same, other].map(({ pools }) => must(pools[0], "there is a pool"));
    expect(after?.inFlight).toBe(must(before, "there is one").inFlight);
    expect(after?.balancer).toBe(must(before, "there is one").balancer);
    expect(changed?.inFlight).toBe(must(before, "there is one").inFlight);
    expect(changed?.balancer).not.toBe(must(before, "there is one").balancer);
  });

  test("is held by nobody once it is freed", () => {
    const bed = new Bed();
    const made: WeakRef<LiveGeneration>[] = [];
    const change = (before: LiveGeneration | null, i: number): LiveGeneration => {
      const next = bed.make(snapshotOf({ api: at(...(i % 2 === 0 ? [ONE] : [ONE, TWO])) }), before);
      next.enter();
      before?.supersede(1000, () => undefined);
      bed.timers.advance(1);
      made.push(new WeakRef(next));
      return next;
    };
    let last: LiveGeneration | null = null;
    for (let i = 0; i < GENERATIONS; i++) last = change(last, i);
    Bun.gc(true);
    const alive = made.filter((ref) => ref.deref() !== undefined).length;
    // The collector is conservative: what lies on the stack it keeps.
    expect(alive).toBeLessThan(GENERATIONS / 10);
    expect(bed.timers.waiting).toBe(0);
    last?.free();
    expect(bed.backends.backends.count).toBe(0);
  });
});

const GENERATIONS = 100;
