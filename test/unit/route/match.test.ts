import { describe, expect, test } from "bun:test";
import type { RouteSettings } from "../../../src/config/snapshot.ts";
import { matchRoute, NO_ROUTE } from "../../../src/route/match.ts";
import { compileRoutes, type RouteTable } from "../../../src/route/table.ts";

/** `"GET api.example.org/v1"`: method and host may be left out. */
function route(text: string): RouteSettings {
  const [, method, host, pathPrefix] = /^(?:([A-Z]+) )?([^/]*)(\/.*)$/.exec(text) ?? [];
  return { method: method ?? null, host: host ? host : null, pathPrefix: pathPrefix ?? "/" };
}

function tableOf(texts: readonly string[]): RouteTable {
  return compileRoutes(texts.map((text) => ({ route: route(text) })));
}

/** The text of the route that takes the request, or null. */
function winner(texts: readonly string[], authority: string, path: string, method = "GET"): string | null {
  return texts[matchRoute(tableOf(texts), authority, path, method)] ?? null;
}

/** Routes; then requests as `[authority, path, method, the route that must win]`. */
type Case = readonly [string, readonly string[], readonly (readonly [string, string, string, string | null])[]];

const CASES: readonly Case[] = [
  [
    "the guide's three pools",
    ["/api", "/static", "/"],
    [
      ["a", "/api", "GET", "/api"],
      ["a", "/api/", "GET", "/api"],
      ["a", "/api/users/7", "POST", "/api"],
      ["a", "/apis", "GET", "/"],
      ["a", "/api-docs/api", "GET", "/"],
      ["a", "/static/site.css", "GET", "/static"],
      ["a", "/", "GET", "/"],
      ["a", "//api", "GET", "/api"],
      ["a", "/x/../%61pi/%2e/7?/../", "GET", "/api"],
      ["a", "/api/../apis", "GET", "/"],
      ["a", "/api%2Fusers", "GET", "/api"],
      ["a", "/api;v=1/users", "GET", "/api"],
      ["a", "/API", "GET", "/"],
    ],
  ],
  [
    "a table without `/`",
    ["/api"],
    [
      ["a", "/api", "GET", "/api"],
      ["a", "/", "GET", null],
      ["a", "/ap", "GET", null],
      ["a", "", "CONNECT", null],
      ["a", "*", "OPTIONS", null],
    ],
  ],
  [
    "`/` takes what is no path",
    ["/"],
    [
      ["a", "*", "OPTIONS", "/"],
      ["a", "", "CONNECT", "/"],
      ["", "/", "GET", "/"],
    ],
  ],
  [
    "the query is no part of the path",
    ["/a/b", "/a", "/"],
    [
      ["a", "/a?/b", "GET", "/a"],
      ["a", "/a/b?x", "GET", "/a/b"],
      ["a", "/a/b?", "GET", "/a/b"],
      ["a", "/?/a/b", "GET", "/"],
      ["a", "/x?y/a", "GET", "/"],
    ],
  ],
  [
    "the longest prefix wins, in whatever order",
    ["/a/b", "/", "/a/b/c", "/a"],
    [
      ["a", "/a/b/c/d", "GET", "/a/b/c"],
      ["a", "/a/b/cd", "GET", "/a/b"],
      ["a", "/a/x", "GET", "/a"],
      ["a", "/b", "GET", "/"],
    ],
  ],
  [
    "prefixes that sort between a path and its prefix",
    ["/a", "/a-b", "/a!", "/a/b-", "/a/b", "/a.b/c"],
    [
      ["a", "/a/x", "GET", "/a"],
      ["a", "/a-b/x", "GET", "/a-b"],
      ["a", "/a-c", "GET", null],
      ["a", "/a/b-/", "GET", "/a/b-"],
      ["a", "/a/b--", "GET", "/a"],
      ["a", "/a/b/-", "GET", "/a/b"],
      ["a", "/a!", "GET", "/a!"],
      ["a", "/a.b", "GET", null],
    ],
  ],
  [
    "hosts before paths",
    ["/api/v1/deep", "example.org/api", "*.example.org/", "/"],
    [
      ["example.org", "/api/v1/deep", "GET", "example.org/api"],
      ["example.org", "/other", "GET", "/"],
      ["www.example.org", "/api/v1/deep", "GET", "*.example.org/"],
      ["a.b.example.org", "/", "GET", "*.example.org/"],
      ["example.com", "/api/v1/deep", "GET", "/api/v1/deep"],
      ["badexample.org", "/", "GET", "/"],
      [".example.org", "/", "GET", "/"],
      ["org", "/", "GET", "/"],
    ],
  ],
  [
    "exact before the longest wildcard before shorter ones",
    ["*.org/", "*.example.org/", "*.b.example.org/", "a.b.example.org/"],
    [
      ["a.b.example.org", "/", "GET", "a.b.example.org/"],
      ["c.b.example.org", "/", "GET", "*.b.example.org/"],
      ["x.a.b.example.org", "/", "GET", "*.b.example.org/"],
      ["b.example.org", "/", "GET", "*.example.org/"],
      ["example.org", "/", "GET", "*.org/"],
      ["org", "/", "GET", null],
      ["example.net", "/", "GET", null],
    ],
  ],
  [
    "a host without the path falls back to less specific hosts, step by step",
    ["www.example.org/only", "*.example.org/wild", "*.org/wide", "/any"],
    [
      ["www.example.org", "/only/x", "GET", "www.example.org/only"],
      ["www.example.org", "/wild/x", "GET", "*.example.org/wild"],
      ["www.example.org", "/wide/x", "GET", "*.org/wide"],
      ["www.example.org", "/any/x", "GET", "/any"],
      ["www.example.org", "/none", "GET", null],
      ["example.org", "/wild", "GET", null],
      ["example.org", "/wide", "GET", "*.org/wide"],
    ],
  ],
  [
    "a method of its own before any, first within the prefix",
    ["/a", "POST /a", "GET /", "/"],
    [
      ["a", "/a", "POST", "POST /a"],
      ["a", "/a", "GET", "/a"],
      ["a", "/", "GET", "GET /"],
      ["a", "/", "HEAD", "/"],
      ["a", "/a", "post", "/a"],
    ],
  ],
  [
    "a longer prefix that lacks the method gives way to a shorter one",
    ["GET /a/b", "POST /a", "/"],
    [
      ["a", "/a/b", "GET", "GET /a/b"],
      ["a", "/a/b", "POST", "POST /a"],
      ["a", "/a/b", "PUT", "/"],
      ["a", "/a", "GET", "/"],
    ],
  ],
  [
    "a host that lacks the method gives way to a less specific host",
    ["GET example.org/a", "POST *.org/a", "/a"],
    [
      ["example.org", "/a", "GET", "GET example.org/a"],
      ["example.org", "/a", "POST", "POST *.org/a"],
      ["example.org", "/a", "PUT", "/a"],
    ],
  ],
  [
    "authorities in every spelling",
    ["example.org/", "[::1]/", "*.example.org/", "127.0.0.1/"],
    [
      ["EXAMPLE.org", "/", "GET", "example.org/"],
      ["example.org:8443", "/", "GET", "example.org/"],
      ["example.org:", "/", "GET", "example.org/"],
      ["example.org.", "/", "GET", "example.org/"],
      ["Example.ORG.:443", "/", "GET", "example.org/"],
      ["example.org..", "/", "GET", null],
      ["WWW.Example.Org:443", "/", "GET", "*.example.org/"],
      ["[::1]", "/", "GET", "[::1]/"],
      ["[::1]:8443", "/", "GET", "[::1]/"],
      ["::1", "/", "GET", null],
      ["[::1", "/", "GET", null],
      ["127.0.0.1:443", "/", "GET", "127.0.0.1/"],
      ["27.0.0.1", "/", "GET", null],
      ["example.org:x", "/", "GET", null],
      ["user@example.org", "/", "GET", null],
      ["", "/", "GET", null],
      [".", "/", "GET", null],
      [":443", "/", "GET", null],
      ["[]", "/", "GET", null],
      ["1234", "/", "GET", null],
    ],
  ],
  [
    "the configured host in other spellings",
    ["::1/", "example.org./", "2001:DB8::1/".toLowerCase()],
    [
      ["[::1]:443", "/", "GET", "::1/"],
      ["example.org", "/", "GET", "example.org./"],
      ["[2001:DB8::1]", "/", "GET", "2001:db8::1/"],
    ],
  ],
];

for (const [name, texts, requests] of CASES) {
  test(`routing: ${name}`, () => {
    const won = requests.map(([authority, path, method]) => [
      authority,
      path,
      method,
      winner(texts, authority, path, method),
    ]);
    expect(won).toEqual(requests.map((request) => [...request]));
  });
}

describe("ties", () => {
  test("of two equal routes the first in the file wins, and the other is reported", () => {
    const texts = ["/b", "/a", "GET x.org/a", "/a", "GET x.org/a", "GET x.org./a"];
    const table = tableOf(texts);
    expect(matchRoute(table, "x.org", "/a", "PUT")).toBe(1);
    expect(matchRoute(table, "x.org", "/a", "GET")).toBe(2);
    expect(table.shadowed).toEqual([
      { pool: 3, by: 1 },
      { pool: 4, by: 2 },
      { pool: 5, by: 2 },
    ]);
  });

  test("the same prefix for another host or method is no duplicate", () => {
    expect(tableOf(["/a", "GET /a", "a/a", "*.a/a", "GET a/a"]).shadowed).toEqual([]);
  });
});

test("an empty table takes nothing", () => {
  expect(matchRoute(compileRoutes([]), "a", "/", "GET")).toBe(NO_ROUTE);
});

test("very long authorities and paths are answered like others", () => {
  const texts = ["*.example.org/a", "/"];
  expect(winner(texts, `${"x".repeat(100_000)}.example.org`, `/a/${"y".repeat(100_000)}`)).toBe("*.example.org/a");
  expect(winner(texts, "x".repeat(100_000), "/a".repeat(50_000))).toBe("/");
});

test("a thousand hosts are told apart", () => {
  const texts = Array.from({ length: 1000 }, (_, i) => `${i % 2 === 0 ? "" : "*."}host-${i}.example.org/`);
  const table = tableOf(texts);
  for (let i = 0; i < 1000; i++) {
    expect(matchRoute(table, `${i % 2 === 0 ? "" : "deep.er."}host-${i}.example.org`, "/", "GET")).toBe(i);
    expect(matchRoute(table, `${i % 2 === 0 ? "deep.er." : ""}host-${i}.example.org`, "/", "GET")).toBe(NO_ROUTE);
  }
});
