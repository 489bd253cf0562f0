import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { fetchTarget } from "../../../src/upstream/fetch-target.ts";
import { oneOf } from "../../support/sections.ts";

describe("fetchTarget", () => {
  test("leaves legal paths and queries as they are", () => {
    for (const path of [
      "/",
      "/a/b.c/..d/.e/f../g...",
      "/a//b/",
      "/a;b=c,d@e:f!$&'()*+~_-|[]",
      "/%2F%20%zz%",
      "/?",
      "/a?b=/../c&d=./e?f",
      "/a?{}|\\^`[]",
    ]) {
      expect(fetchTarget(path)).toBe(path);
    }
  });

  test("percent-encodes bytes that a URI may not have, each for itself", () => {
    expect(fetchTarget('/a"b<c>d')).toBe("/a%22b%3Cc%3Ed");
    expect(fetchTarget("/{x}^`\\?{x}")).toBe("/%7Bx%7D%5E%60%5C?{x}");
    expect(fetchTarget("/\xc3\xa9?\xff")).toBe("/%C3%A9?%FF");
  });

  test("refuses what would arrive as another path", () => {
    for (const path of [
      "",
      "*",
      "a",
      "//a",
      "/a/./b",
      "/a/../b",
      "/.",
      "/..",
      "/a/%2e",
      "/a/%2E./b",
      "/a/.%2e",
      "/a#b",
    ]) {
      expect(fetchTarget(path)).toBeNull();
    }
    for (const path of ["/a b", "/a\tb", "/a\r\nb", "/\0", "/a\x7f", "/a?b c", "/\u0100"]) {
      expect(fetchTarget(path)).toBeNull();
    }
  });

  test("whatever it lets through, a URL parser does not change, but for the quote in a query", () => {
    const random = Random.fromEntropy([7]);
    const parts = [
      "/",
      ".",
      "..",
      "%2e",
      "%2E",
      "a",
      "?",
      "\\",
      '"',
      "{",
      "^",
      "|",
      "'",
      "%",
      "~",
      "\xe9",
      ";",
      "&",
      "=",
      "[",
      ":",
    ];
    let passed = 0;
    for (let round = 0; round < 20_000; round++) {
      let path = "/";
      for (let i = random.nextBelow(12); i > 0; i--) path += oneOf(random, parts);
      const target = fetchTarget(path);
      if (target === null) continue;
      passed += 1;
      const url = new URL(`http://h${target}`);
      const at = target.indexOf("?");
      const expected = at < 0 ? target : target.slice(0, at) + target.slice(at).replaceAll("'", "%27");
      // A lone question mark is kept on the wire and only not shown by `search`.
      expect(url.href).toBe(`http://h${expected}`);
    }
    expect(passed).toBeGreaterThan(5000);
  });
});
