import { describe, expect, test } from "bun:test";
import { editDistance, nearest } from "../../../src/config/nearest.ts";

describe("the distance of two words", () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ["", "", 0],
    ["port", "port", 0],
    ["", "port", 4],
    ["port", "", 4],
    ["prot", "port", 1],
    ["pot", "port", 1],
    ["poort", "port", 1],
    ["bort", "port", 1],
    ["kitten", "sitting", 3],
    ["ab", "ba", 1],
    ["ca", "abc", 3],
  ];
  test.each(cases)("%p and %p is %d", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe("the nearest word", () => {
  test("is found whatever its case", () => {
    expect(nearest("WARN", ["info", "warn"])).toEqual({ word: "warn", distance: 0 });
  });

  test("is the first of equally near ones", () => {
    expect(nearest("bat", ["cat", "rat"])?.word).toBe("cat");
  });

  test("may lack a unit or have one too many", () => {
    expect(nearest("timeout", ["path", "timeout_ms"])?.word).toBe("timeout_ms");
    expect(nearest("interval_ms", ["interval", "timeout_ms"])?.word).toBe("interval");
    expect(nearest("consistent", ["random", "consistent-hash"])?.word).toBe("consistent-hash");
  });

  test("of a short word may differ by one letter, of a long one by three", () => {
    expect(nearest("id", ["ib"])?.word).toBe("ib");
    expect(nearest("id", ["xy"])).toBeNull();
    expect(nearest("type", ["tls"])).toBeNull();
    expect(nearest("helth_chek", ["health_check"])?.word).toBe("health_check");
    expect(nearest("load_balancng", ["load_balancing"])?.word).toBe("load_balancing");
    expect(nearest("lod_blncng", ["load_balancing"])).toBeNull();
  });

  test("of a word that is far too long is not looked for", () => {
    const word = "a".repeat(65);
    expect(nearest(word, [word])).toBeNull();
  });
});
