import { describe, expect, test } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { at, BackendsBed as Bed, ONE, snapshotOf, TWO } from "../../support/backends-bed.ts";

describe("backends of one configuration after the other", () => {
  test("that stay where they are and are reached alike are the same, whatever else is said of them", () => {
    const bed = new Bed();
    const before = bed.backends.take(snapshotOf({ api: at(ONE, TWO) }));
    const renamed = {
      backends: [{ id: "other", address: TWO, weight: 9 }],
      load_balancing: { type: "random" },
    };
    const after = bed.backends.take(snapshotOf({ api: renamed }));
    expect(after[0]?.[0]).toBe(must(before[0]?.[1], "there are two"));
    expect(bed.told).toEqual([`open ${ONE}`, `open ${TWO}`]);
    bed.backends.giveBack(before);
    expect(bed.told.slice(2)).toEqual([`retire ${ONE}`]);
    bed.backends.giveBack(after);
    expect(bed.told.slice(3)).toEqual([`retire ${TWO}`, "close"]);
    expect(bed.backends.count).toBe(0);
  });

  test.each([
    ["another address", { api: at(TWO) }, {}],
    ["another pool", { web: at(ONE) }, {}],
    ["another transport", { api: { ...at(ONE), transport: "fetch" } }, {}],
    ["another time-out of backends", { api: at(ONE) }, { performance: { backend_timeout_ms: 4321 } }],
    ["another time-out of bodies", { api: at(ONE) }, { performance: { backend_body_idle_timeout_ms: 4321 } }],
  ] as const)("that are reached otherwise begin anew: %s", (_, pools, more) => {
    const bed = new Bed();
    const before = bed.backends.take(snapshotOf({ api: at(ONE) }));
    const after = bed.backends.take(snapshotOf(pools, more));
    expect(after[0]?.[0]).not.toBe(must(before[0]?.[0], "there is one"));
    expect(bed.backends.count).toBe(2);
  });

  test("begin anew when the files of their trust hold something else", () => {
    const bed = new Bed();
    const snapshot = snapshotOf({ api: at(ONE) });
    const before = bed.backends.take(snapshot);
    bed.trust = "another";
    expect(bed.backends.take(snapshot)[0]?.[0]).not.toBe(must(before[0]?.[0], "there is one"));
  });

  test("of one address twice in a pool are two, in their order", () => {
    const bed = new Bed();
    const snapshot = snapshotOf({ api: at(ONE, ONE) });
    const [first, second] = must(bed.backends.take(snapshot)[0], "there is a pool");
    expect(first).not.toBe(must(second, "there are two"));
    const again = must(bed.backends.take(snapshot)[0], "there is a pool");
    expect([again[0] === first, again[1] === second]).toEqual([true, true]);
  });

  test("one of which cannot be reached as configured leave nothing behind, and those at work alone", () => {
    const bed = new Bed();
    const before = bed.backends.take(snapshotOf({ api: at(ONE) }));
    bed.unreachable = must(snapshotOf({ api: at(TWO) }).pools[0]?.backends[0], "there is one").address;
    const slow = { performance: { backend_timeout_ms: 4321 } };
    expect(() => bed.backends.take(snapshotOf({ api: at(ONE, TWO) }, slow))).toThrow("cannot be reached");
    expect(bed.backends.count).toBe(1);
    expect(bed.told.slice(2)).toEqual([`retire ${ONE}`, "close"]);
    bed.backends.giveBack(before);
    expect(bed.backends.count).toBe(0);
  });

  test("are as many after a thousand changes as after one", () => {
    const bed = new Bed();
    let before = bed.backends.take(snapshotOf({ api: at(ONE) }));
    const snapshots = [snapshotOf({ api: at(ONE, TWO) }), snapshotOf({ api: at(TWO) }), snapshotOf({ api: at(ONE) })];
    for (let i = 0; i < 999; i++) {
      const after = bed.backends.take(must(snapshots[i % 3], "one of three"));
      bed.backends.giveBack(before);
      before = after;
    }
    expect(bed.backends.count).toBe(1);
  });
});
