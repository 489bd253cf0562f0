import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { hostKey } from "../../../src/route/hosts.ts";
import { comparablePath, pathLength } from "../../../src/route/path.ts";
import { compileRoutes } from "../../../src/route/table.ts";

function compile(host: string | null, pathPrefix: string): void {
  compileRoutes([{ route: { host, pathPrefix, method: null } }]);
}

describe("a table is not compiled from what the configuration must have refused", () => {
  for (const prefix of ["", "api", "/api/", "/a?b"]) {
    test(`path prefix ${JSON.stringify(prefix)}`, () => {
      expect(() => compile(null, prefix)).toThrow(AssertionFault);
    });
  }

  for (const host of ["", "Example.org", "*", "*.", "a.*.org", "*a.org", "a/b", "[::1"]) {
    test(`host ${JSON.stringify(host)}`, () => {
      expect(() => compile(host, "/")).toThrow(AssertionFault);
    });
  }

  test("more pools than the limit", () => {
    const pools = Array.from({ length: LIMITS.poolsMax + 1 }, (_, i) => ({
      route: { host: null, pathPrefix: `/${i}`, method: null },
    }));
    expect(() => compileRoutes(pools)).toThrow(AssertionFault);
    compileRoutes(pools.slice(1));
  });
});

test("a host pattern has one key, however it is written", () => {
  expect(["example.org", "example.org.", "*.example.org", "*.example.org.", "[::1]", "::1"].map(hostKey)).toEqual([
    "example.org",
    "example.org",
    ".example.org",
    ".example.org",
    "::1",
    "::1",
  ]);
});

test("a path ends before its query", () => {
  expect(["/a?b", "/a", "?", "", "/a?b?c"].map(pathLength)).toEqual([2, 2, 0, 0, 2]);
});

test("paths are compared as they were sent, until normalising is written", () => {
  expect(comparablePath("/%61/../b?c")).toBe("/%61/../b?c");
});
