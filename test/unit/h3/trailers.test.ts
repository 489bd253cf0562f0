import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { readTrailers } from "../../../src/h3/trailers.ts";
import { type Field, sectionOf } from "../../support/sections.ts";

function reasonOf(...fields: readonly Field[]): string | null {
  return readTrailers(sectionOf(fields))?.reason ?? null;
}

describe("trailers pass", () => {
  test("when there are none", () => expect(reasonOf()).toBeNull());
  test("with gRPC's fields", () => expect(reasonOf(["grpc-status", "0"], ["grpc-message", "ok"])).toBeNull());
  test("with fields of anybody's", () =>
    expect(reasonOf(["x-checksum", "abc"], ["server-timing", "db;dur=53"])).toBeNull());
  test("with an empty value", () => expect(reasonOf(["grpc-message", ""])).toBeNull());
});

describe("trailers are refused with", () => {
  for (const name of [":method", ":path", ":scheme", ":authority", ":status", ":protocol", ":foo", ":"]) {
    test(name, () => expect(reasonOf(["x-own", "v"], [name, "v"])).toBe("pseudo-in-trailers"));
  }

  for (const name of ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]) {
    test(name, () => expect(reasonOf([name, "v"])).toBe("connection-specific"));
  }

  const forbidden = [
    "content-length",
    "host",
    "te",
    "trailer",
    "cookie",
    "set-cookie",
    "authorization",
    "content-type",
  ];
  for (const name of [
    ...forbidden,
    "content-encoding",
    "expect",
    "range",
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "x-request-id",
    "x_forwarded_for",
    "x.real.ip",
    "x-forwarded-client-cert",
  ]) {
    test(name, () => expect(reasonOf([name, "1"])).toBe("trailer-forbidden"));
  }

  const bad: readonly (readonly [string, Field])[] = [
    ["name-empty", ["", "v"]],
    ["name-upper-case", ["X-Own", "v"]],
    ["name-character", ["x own", "v"]],
    ["value-character", ["x-own", "a\r\nb"]],
    ["value-character", ["grpc-status", "0\0"]],
    ["value-whitespace", ["grpc-status", " 0"]],
  ];
  for (const [reason, field] of bad) {
    test(`${JSON.stringify(field)}`, () => expect(reasonOf(["x-first", "v"], field)).toBe(reason));
  }

  test("more fields than a section may have", () => {
    const fields = Array.from({ length: LIMITS.fieldsPerSectionMax + 1 }, (): Field => ["a", "b"]);
    expect(reasonOf(...fields.slice(1))).toBeNull();
    expect(reasonOf(...fields)).toBe("too-many-fields");
  });
});
