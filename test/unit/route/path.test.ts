import { describe, expect, test } from "bun:test";
import { comparablePath, pathLength } from "../../../src/route/path.ts";
import { targetFault } from "../../../src/route/target.ts";
import { latin1 } from "../../support/sections.ts";
import { referenceForm } from "./path-models.ts";

/** Also with other bytes around it. */
function faultOf(path: string): string | null {
  const around = latin1(`%2f..${path}..;/`);
  const alone = targetFault(latin1(path), 0, path.length);
  expect(targetFault(around, 5, 5 + path.length)).toBe(alone);
  return alone;
}

test("a path ends before its query", () => {
  expect(["/a?b", "/a", "?", "", "/a?b?c"].map(pathLength)).toEqual([2, 2, 0, 0, 2]);
});

describe("a path is compared as it is when nothing can be changed about it", () => {
  for (const path of [
    "/",
    "/a",
    "/a/",
    "/a.b/c..d/e.",
    "/a/b?c=/../%2e;//",
    "/?",
    "/a-b_c~d!$&'()*+,=:@[]|^`{}\"<>",
    "*",
    "",
  ]) {
    test(path, () => expect(comparablePath(path)).toBe(path));
  }
});

describe("a path is compared in its normal form", () => {
  for (const [path, form] of [
    ["/%61bc", "/abc"],
    ["/%7Euser/%41%2d%2E%5f", "/~user/A-._"],
    ["/caf%c3%a9", "/caf%C3%A9"],
    ["/a%20b%25%3f%23%7f%00", "/a%20b%25%3F%23%7F%00"],
    ["/%40x%3A%21%2B%3d", "/@x:!+="],
    ["/a/./b", "/a/b"],
    ["/a/b/../c", "/a/c"],
    ["/a/b/..", "/a/"],
    ["/a/b/.", "/a/b/"],
    ["/../../a", "/a"],
    ["/..", "/"],
    ["/.", "/"],
    ["/a/%2E%2e/b", "/b"],
    ["/...", "/..."],
    ["/a/..b/.c", "/a/..b/.c"],
    ["//a", "/a"],
    ["/a//b///", "/a/b/"],
    ["/a%2fb%2F", "/a/b/"],
    ["/a\\b%5cc", "/a/b/c"],
    ["/a;b=c/d;e", "/a/d"],
    ["/a/;x", "/a/"],
    ["/a%3bb", "/a"],
    ["/a;b?c;d=%2e/../e", "/a?c;d=%2e/../e"],
    ["/%61?%61", "/a?%61"],
    ["/a%", "/a%"],
    ["/a%2", "/a%2"],
    ["/a%zz/%61", "/a%zz/a"],
    ["/a%2?e", "/a%2?e"],
  ] as const) {
    test(path, () => {
      expect(comparablePath(path)).toBe(form);
      expect(referenceForm(path)).toBe(form);
      expect(comparablePath(form)).toBe(form);
    });
  }

  test("however long it is", () => {
    const long = "/%61b".repeat(20_000);
    expect(comparablePath(`${long}?q`)).toBe(`${"/ab".repeat(20_000)}?q`);
    expect(comparablePath("/%61")).toBe("/a");
  });
});

describe("a path passes", () => {
  for (const path of [
    ...["/a%2Fb", "/a%20b", "/caf%C3%A9", "//x", "/a;b=c", "/a\\b", "/a%5cb", "/100%25", "/%c3%28", "/.well-known/x"],
    ...["/a/../b", "/a/./b", "/a/%2e%2E/b", "/..", "/.", "/a/..?b", "/a..;b", "/...;x", "/a;..", "/a/.../b", "/a/..b"],
    ...[
      "/a?%zz",
      "/a?%00",
      "/a?/..;/%2f..",
      "/a%2F/",
      "/%2Fa",
      "/a;b;c/d;e=f",
      "/a%252Fb",
      "/a%2541",
      "/%25",
      "/%2525",
    ],
    ...["/a.b%2fc.d", "/;x/a", "/a;x/../b", "/%61%2E", "/a%3B", "/a/%2e", "/%2e%2e/%2e%2e"],
  ]) {
    test(path, () => expect(faultOf(path)).toBeNull());
  }
});

describe("a path is refused", () => {
  for (const [fault, paths] of [
    ["path-escape", ["/%", "/%2", "/%zz", "/%2g", "/%g2", "/a%2?e", "/a%?ab", "/%%41", "/a%2f..%"]],
    ["path-control", ["/%00", "/a%0a", "/%0D%0a", "/%1f", "/%7F", "/a/../%09"]],
    [
      "path-ambiguous",
      [
        // Behind or before a slash that not everybody takes for one.
        ...[
          "/a%2f..",
          "/a%2F../b",
          "/..%2fb",
          "/a/..%5cb",
          "/a\\..\\b",
          "/a\\..",
          "/..\\a",
          "/a%5c..",
          "/a%2f.",
          "/.%2fa",
        ],
        ...["/a%2f%2e%2e", "/a%2f.%2e/b", "/%2e%2e%2fb", "/a%2f../b?c", "/a%2f..%2fb"],
        // With a parameter.
        ...["/..;", "/..;/b", "/a/..;x=y/b", "/.;/b", "/%2e%2e;/b", "/..%3b/b", "/.;", "/a/..;"],
        // Over segments that some servers do not count, or count twice.
        ...["/a//../b", "/a/b//c/../../d", "//..", "/a/;x/../b", "/a%2fb/../c", "/a\\b/../c", "/a%2fb/%2e%2e/c"],
        // Over dots that some take for a name.
        ...["/a/%2e/../b", "/a/%2e%2e/../b", "/a/../%2e%2e/b", "/a/.%2e/.."],
        // A parameter that may end at an escaped slash.
        ...["/a;x%2fb", "/a;x\\b", "/a%3bx%2fb", "/a;x/b;y%5cc"],
        // Escaped more than once.
        ...[
          "/%252e%252e/a",
          "/a%252f..",
          "/a%252f..%252fb",
          "/%25252e%25252e",
          "/a%255c..",
          "/%25%32%65",
          "/..%253b",
          "/a%25252525",
        ],
      ],
    ],
    ["path-empty", [""]],
    ["path-form", ["a", "http://a/", "*", "?", "%2fa"]],
    ["path-fragment", ["/a#b", "/a?b#"]],
    ["path-character", ["/a b", "/\t", "/\u00e9", "/a?\u007f", "/\0"]],
  ] as const) {
    for (const path of paths) test(`${JSON.stringify(path)}: ${fault}`, () => expect(faultOf(path)).toBe(fault));
  }
});
