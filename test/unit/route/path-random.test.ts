/** The promise about paths (`path-promise.ts`), tried on every short one and on many long ones. */
import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { LETTERS, PIECES, randomPath, tryPath, words } from "./path-promise.ts";

describe("no path leads around its route", () => {
  for (const [name, letters, lengthMax, passedMin] of [
    ["letters", LETTERS, 4, 2000],
    ["pieces", PIECES, 3, 1000],
  ] as const) {
    test(`of all that ${lengthMax} ${name} make`, () => {
      let passed = 0;
      let tried = 0;
      for (const word of words(letters, lengthMax)) {
        tried += 1;
        if (tryPath(`/${word}`)) passed += 1;
      }
      expect(passed).toBeGreaterThan(passedMin);
      expect(tried - passed).toBeGreaterThan(passedMin / 10);
    });
  }

  test("of 8,000 long ones", () => {
    const random = Random.fromEntropy([3986]);
    let passed = 0;
    for (let round = 0; round < 8000; round++) {
      if (tryPath(randomPath(random, 12))) passed += 1;
    }
    expect(passed).toBeGreaterThan(1000);
  });
});
