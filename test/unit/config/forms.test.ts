import { describe, expect, test } from "bun:test";
import { FORMS, parseHashKey, parseMethod, parsePathPrefix, parseProbePath } from "../../../src/config/forms.ts";
import { checked } from "../../../src/config/parsed.ts";

describe("a path prefix", () => {
  const good: readonly (readonly [string, string])[] = [
    ["/", "/"],
    ["/api", "/api"],
    ["/api/", "/api"],
    ["/api//", "/api"],
    ["//", "/"],
    ["/a//b/", "/a/b"],
    ["/caf%C3%A9", "/caf%C3%A9"],
    ["/caf%c3%a9", "/caf%C3%A9"],
    ["/%7euser/a%2Fb%2f", "/~user/a/b"],
    ["/a*b/...", "/a*b/..."],
  ];
  test.each(good)("%s means %s", (text, prefix) => {
    expect(parsePathPrefix(text).value).toBe(prefix);
  });

  const form = 'a path that begins with "/", such as "/api"';
  const bad: readonly (readonly [string, string, string, string | null])[] = [
    ["", "is an empty text", form, null],
    ["api", '"api" does not begin with "/"', form, null],
    ["https://a/b", '"https://a/b" does not begin with "/"', form, null],
    ["/a?b", '"/a?b" has a query or a fragment', form, null],
    ["/a#b", '"/a#b" has a query or a fragment', form, null],
    ["/a b", '"/a b" has a blank or a control character', form, null],
    ["/a\u0000", '"/a\\u0000" has a blank or a control character', form, null],
    ["/café", '"/café" is not ASCII', "the path percent-encoded in UTF-8", null],
    ["/a/../b", '"/a/../b" has a "." or ".." segment', form, null],
    ["/a/.", '"/a/." has a "." or ".." segment', form, null],
    ["/a;b", '"/a;b" has a parameter', "a path without ;parameters, which routes are compared without", null],
    ["/a%2", '"/a%2" is refused in requests (path-escape)', form, null],
    ["/a%2f..", '"/a%2f.." is refused in requests (path-ambiguous)', form, null],
    ["/a%00", '"/a%00" is refused in requests (path-control)', form, null],
    ["/api/*", '"/api/*" ends in a *', "the prefix alone, which takes every path below it", "/api"],
    ["/*", '"/*" ends in a *', "the prefix alone, which takes every path below it", "/"],
  ];
  test.each(bad)("%p is refused", (text, wrong, expected, nearest) => {
    expect(parsePathPrefix(text).fault).toEqual({ wrong, expected, nearest });
  });
});

describe("a health check's path", () => {
  test("may have a query and a trailing slash", () => {
    expect(parseProbePath("/up/?full=1").value).toBe("/up/?full=1");
  });

  test.each(["", "up", "/a b", "/a#b", "/é", "/a\r\nHost: x"])("is not %p", (text) => {
    expect(parseProbePath(text).value).toBeUndefined();
  });
});

describe("a method", () => {
  test("is upper-cased", () => {
    expect(parseMethod("get").value).toBe("GET");
    expect(parseMethod("M-SEARCH").value).toBe("M-SEARCH");
  });

  test.each(["", "GET, POST", "GET POST", "G/T", "GÉT"])("is not %p", (text) => {
    expect(parseMethod(text).fault?.wrong).toBe(`${JSON.stringify(text)} is no HTTP method`);
  });
});

describe("a hash key", () => {
  const good: readonly (readonly [string, object])[] = [
    ["client_ip", { kind: "client_ip" }],
    ["peer_ip", { kind: "client_ip" }],
    ["path", { kind: "path" }],
    ["authority", { kind: "authority" }],
    ["method", { kind: "method" }],
    ["cid", { kind: "cid" }],
    ["header:X-User-Id", { kind: "header", name: "x-user-id" }],
    ["cookie:Session", { kind: "cookie", name: "Session" }],
    ["query:User[id]", { kind: "query", name: "User[id]" }],
  ];
  test.each(good)("%s is read", (text, key) => {
    expect<unknown>(parseHashKey(text).value).toEqual(key);
  });

  const all = "one of client_ip, header:<name>, cookie:<name>, query:<name>, path, authority, method, cid";
  const bad: readonly (readonly [string, string, string, string | null])[] = [
    ["header", '"header" has no name', "header:<name>", null],
    ["header:", '"header:" has no valid name', "header:<name>", null],
    ["header: X", '"header: X" has no valid name', "header:<name>", null],
    ["cookie:a b", '"cookie:a b" has no valid name', "cookie:<name>", null],
    ["query:a=b", '"query:a=b" has no valid name', "query:<name>", null],
    ["query:a&b", '"query:a&b" has no valid name', "query:<name>", null],
    ["query:é", '"query:é" has no valid name', "query:<name>", null],
    ["client-ip", '"client-ip" is nothing to hash', all, "client_ip"],
    ["", '"" is nothing to hash', all, null],
    ["bearer_token", '"bearer_token" is known from the original, not supported yet', all, null],
  ];
  test.each(bad)("%p is refused", (text, wrong, expected, nearest) => {
    expect(parseHashKey(text).fault).toEqual({ wrong, expected, nearest });
  });
});

describe("a name", () => {
  test("is any text of 1 to 128 characters without control characters", () => {
    expect(FORMS.name.parse("api-01 (neu) é").fault).toBeUndefined();
    expect(FORMS.name.parse("x".repeat(128)).fault).toBeUndefined();
    expect(FORMS.name.parse("x".repeat(129)).fault?.wrong).toBe(`the name "${"x".repeat(60)}"... is too long`);
    expect(FORMS.name.parse("a\u001b[31m").fault?.wrong).toBe('the name "a\\u001b[31m" has control characters');
    expect(FORMS.name.parse("").fault?.wrong).toBe("is an empty name");
  });
});

test("a file is a text that is not empty and has no control characters", () => {
  expect(FORMS.file.parse("/a b/ü.pem").fault).toBeUndefined();
  expect(FORMS.file.parse("").fault).toEqual({
    wrong: "is an empty text",
    expected: "the path of a file",
    nearest: null,
  });
  expect(FORMS.folder.parse("a\u0000").fault?.expected).toBe("the path of a folder");
});

test("building from a text that was not checked is a fault of the program", () => {
  expect(() => checked(parseMethod("a b"))).toThrow('an unchecked text was built from: "a b" is no HTTP method');
});
