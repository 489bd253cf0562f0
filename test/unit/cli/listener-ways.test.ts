/** Which workers get the datagrams of a listener that not every crew reads. */
import { describe, expect, test } from "bun:test";
import { waysOf } from "../../../src/cli/listener-sockets.ts";

/** Bank 1 has taken over from bank 0, of whose three workers the one of slot 1 has ended. */
const WAYS = {
  active: { first: 4, count: 2 },
  draining: { first: 0, count: 3 },
  standIns: [{ slot: 1, by: 5 }],
};

describe("the ways of a listener", () => {
  test("that both crews read are those of all", () => {
    expect(waysOf(new Set([0, 1]), WAYS)).toBe(WAYS);
  });

  test("that is new leave datagrams for the crew before where nobody reads them", () => {
    expect(waysOf(new Set([1]), WAYS)).toBe(WAYS);
  });

  test("that is left lead to the crew before, also whoever is new, and never to a worker that does not read it", () => {
    expect(waysOf(new Set([0]), WAYS)).toEqual({
      active: WAYS.draining,
      draining: WAYS.active,
      standIns: [{ slot: 1, by: 2 }],
    });
  });

  test("that is left, and of whose workers none is there any more, have no stand-ins", () => {
    const standIns = [0, 1, 2].map((slot) => ({ slot, by: 4 }));
    expect(waysOf(new Set([0]), { ...WAYS, standIns })?.standIns).toEqual([]);
  });

  test("that only a crew reads which starts are not touched", () => {
    expect(waysOf(new Set([1]), { active: { first: 0, count: 3 }, draining: null, standIns: [] })).toBeNull();
  });
});
