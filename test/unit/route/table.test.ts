import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { hostKey } from "../../../src/route/hosts.ts";
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

test("prefixes are one when their normal forms are", () => {
  const pools = ["/caf%c3%a9", "/caf%C3%A9", "/a%2Fb", "/a//b/./c/..", "/%61/b", "/a/b"].map((pathPrefix) => ({
    route: { host: null, pathPrefix, method: null },
  }));
  expect(compileRoutes(pools).shadowed).toEqual([
    { pool: 1, by: 0 },
    { pool: 3, by: 2 },
    { pool: 4, by: 2 },
    { pool: 5, by: 2 },
  ]);
});
