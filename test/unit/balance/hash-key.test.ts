import { describe, expect, test } from "bun:test";
import type { HashKey } from "../../../src/config/snapshot.ts";
import { cookieValue, hashKeyOf, queryValue, type HashKeyRequest } from "../../../src/balance/hash-key.ts";

function request(path: string, fields: Readonly<Record<string, string>>): HashKeyRequest {
  return {
    clientIp: "192.0.2.17",
    connectionIdHex: "0a0b0c",
    authority: "example.org:8443",
    path,
    method: "GET",
    header: (name) => fields[name] ?? null,
  };
}

const FULL = request("/a/b?user=7&x=%C3%A9", { "x-user": "u1", cookie: "theme=dark; sid=abc" });
const BARE = request("/a/b", {});

const KINDS: readonly (readonly [HashKey, string, string])[] = [
  [{ kind: "client_ip" }, "192.0.2.17", "192.0.2.17"],
  [{ kind: "cid" }, "0a0b0c", "0a0b0c"],
  [{ kind: "authority" }, "example.org:8443", "example.org:8443"],
  [{ kind: "method" }, "GET", "GET"],
  [{ kind: "path" }, "/a/b", "/a/b"],
  [{ kind: "header", name: "x-user" }, "u1", "192.0.2.17"],
  [{ kind: "header", name: "X-User" }, "u1", "192.0.2.17"],
  [{ kind: "cookie", name: "sid" }, "abc", "192.0.2.17"],
  [{ kind: "query", name: "user" }, "7", "192.0.2.17"],
  [{ kind: "query", name: "x" }, "%C3%A9", "192.0.2.17"],
];

for (const [key, full, bare] of KINDS) {
  const name = "name" in key ? `${key.kind}:${key.name}` : key.kind;
  test(`key ${name} reads its part of the request, or the client's address where the part is absent`, () => {
    expect(hashKeyOf(key, FULL)).toBe(full);
    expect(hashKeyOf(key, BARE)).toBe(bare);
  });
}

test("a part that is there but empty falls back to the client's address", () => {
  const empty = request("/?user=", { "x-user": "", cookie: "sid=" });
  for (const kind of ["header", "cookie", "query"] as const) {
    const name = { header: "x-user", cookie: "sid", query: "user" }[kind];
    expect(hashKeyOf({ kind, name }, empty)).toBe("192.0.2.17");
  }
  expect(hashKeyOf({ kind: "authority" }, { ...BARE, authority: "" })).toBe("192.0.2.17");
});

test("bytes of a value pass as they are", () => {
  const bytes = Buffer.from("sid=€à").toString("latin1");
  expect(hashKeyOf({ kind: "cookie", name: "sid" }, request("/", { cookie: bytes }))).toBe(bytes.slice(4));
});

describe("cookies", () => {
  const cases: readonly (readonly [string, string, string | null])[] = [
    ["sid=1", "sid", "1"],
    ["a=1; sid=2; b=3", "sid", "2"],
    ["sid=1; sid=2", "sid", "1"],
    ["a=1;sid=2", "sid", "2"],
    ["a=1 ; \t sid=2 \t; b", "sid", "2"],
    ["xsid=1; sidx=2", "sid", null],
    ["SID=1", "sid", null],
    ["sid; a=1", "sid", null],
    ["flag; sid=2", "sid", "2"],
    ["a=sid=1; sid=x=y", "sid", "x=y"],
    ['sid="quoted"', "sid", '"quoted"'],
    ["sid=", "sid", ""],
    ["; ;;sid=1", "sid", "1"],
    ["a=1; si", "sid", null],
    ["", "sid", null],
    ["=1", "sid", null],
  ];
  for (const [cookies, name, value] of cases) {
    test(`${JSON.stringify(cookies)} has ${JSON.stringify(value)}`, () => {
      expect(cookieValue(cookies, name)).toBe(value);
    });
  }

  test("an absent field has none", () => {
    expect(cookieValue(null, "sid")).toBe(null);
  });
});

describe("query parameters", () => {
  const cases: readonly (readonly [string, string, string | null])[] = [
    ["/?id=1", "id", "1"],
    ["/a?x=0&id=1&y=2", "id", "1"],
    ["/?id=1&id=2", "id", "1"],
    ["/?xid=1&idx=2", "id", null],
    ["/?ID=1", "id", null],
    ["/?id", "id", null],
    ["/?id&id=2", "id", "2"],
    ["/?id=", "id", ""],
    ["/?id=a=b", "id", "a=b"],
    ["/?id=a%20b+c", "id", "a%20b+c"],
    ["/?%69d=1", "id", null],
    ["/?&&id=1", "id", "1"],
    ["/?a=?id=2", "id", null],
    ["/id=1", "id", null],
    ["/&id=1", "id", null],
    ["/?", "id", null],
    ["", "id", null],
    ["/?x&=1", "id", null],
  ];
  for (const [path, name, value] of cases) {
    test(`${JSON.stringify(path)} has ${JSON.stringify(value)}`, () => {
      expect(queryValue(path, name)).toBe(value);
    });
  }
});
