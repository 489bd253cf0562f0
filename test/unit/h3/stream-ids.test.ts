/** Which streams have begun: exact in any order, and small whatever their number. */
import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { STREAM_ID_STEP, StreamIds } from "../../../src/h3/stream-ids.ts";

describe("ids of streams that have begun", () => {
  test("are known in whatever order they came", () => {
    const ids = new StreamIds();
    expect([ids.highest, ids.has(0)]).toEqual([-STREAM_ID_STEP, false]);
    for (const id of [8, 0, 20]) ids.note(id);
    expect([0, 4, 8, 12, 16, 20, 24].map((id) => ids.has(id))).toEqual([true, false, true, false, false, true, false]);
    expect(ids.highest).toBe(20);
    ids.note(4);
    ids.note(20);
    expect([ids.has(4), ids.has(20), ids.highest]).toEqual([true, true, 20]);
  });

  test("agree with a set of all of them, over random orders", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = Random.fromEntropy([seed]);
      const ids = new StreamIds();
      const all = new Set<number>();
      for (let turn = 0; turn < 200; turn++) {
        const id = STREAM_ID_STEP * random.nextBelow(100 + turn);
        expect(ids.has(id)).toBe(all.has(id));
        ids.note(id);
        all.add(id);
      }
      expect(ids.highest).toBe(Math.max(...all));
    }
  });
});
