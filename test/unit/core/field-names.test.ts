import { describe, expect, test } from "bun:test";
import {
  FIELD,
  FIELD_ID_MAX,
  fieldIdOf,
  fieldIdOfBytes,
  fieldNameOf,
  fieldSet,
  PSEUDO_FIELD_LAST,
  UNKNOWN_FIELD,
} from "../../../src/core/field-names.ts";
import { Random } from "../../../src/core/random.ts";
import { latin1, oneOf, randomText } from "../../support/sections.ts";

/** RFC 7541 appendix A and RFC 9204 appendix A. */
const STATIC_TABLE_NAMES =
  `:authority :method :path :scheme :status accept accept-charset accept-encoding accept-language
  accept-ranges access-control-allow-credentials access-control-allow-headers access-control-allow-methods
  access-control-allow-origin access-control-expose-headers access-control-request-headers access-control-request-method
  age allow alt-svc authorization cache-control content-disposition content-encoding content-language content-length
  content-location content-range content-security-policy content-type cookie date early-data etag expect expect-ct expires
  forwarded from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location
  max-forwards origin proxy-authenticate proxy-authorization purpose range referer refresh retry-after server set-cookie
  strict-transport-security timing-allow-origin transfer-encoding upgrade-insecure-requests user-agent vary via
  www-authenticate x-content-type-options x-forwarded-for x-frame-options x-xss-protection`.split(/\s+/);

const NAMES = Object.entries(FIELD);

function idOf(name: string): number {
  return fieldIdOfBytes(latin1(name), 0, name.length);
}

describe("numbers of field names", () => {
  test("every name is found by its bytes, by its text and back", () => {
    for (const [name, id] of NAMES) {
      expect([name, idOf(name), fieldIdOf(name), fieldNameOf(id)]).toEqual([name, id, id, name]);
    }
  });

  test("no number is used twice and all fit a table of 256", () => {
    expect(new Set(NAMES.map(([, id]) => id)).size).toBe(NAMES.length);
    expect(NAMES.every(([, id]) => id > UNKNOWN_FIELD && id < FIELD_ID_MAX)).toBe(true);
  });

  test("every name of the HPACK and QPACK static tables has a number", () => {
    expect(STATIC_TABLE_NAMES.filter((name) => fieldIdOf(name) === UNKNOWN_FIELD)).toEqual([]);
  });

  test("the pseudo-fields, and only they, have the first numbers", () => {
    for (const [name, id] of NAMES) expect([name, id <= PSEUDO_FIELD_LAST]).toEqual([name, name.startsWith(":")]);
  });

  test("a name is found in the middle of other bytes", () => {
    expect(fieldIdOfBytes(latin1("xxcookieyy"), 2, 6)).toBe(FIELD.cookie);
    expect(fieldIdOfBytes(latin1("xxcookieyy"), 2, 7)).toBe(UNKNOWN_FIELD);
  });

  test("the empty name, upper case, and a name cut or extended by one byte are unknown", () => {
    expect(idOf("")).toBe(UNKNOWN_FIELD);
    expect(fieldNameOf(UNKNOWN_FIELD)).toBe("");
    const known = new Set(NAMES.map(([name]) => name));
    for (const [name] of NAMES) {
      for (const other of [name.toUpperCase(), name.slice(1), name.slice(0, -1), `${name}s`, `x${name}`]) {
        if (!known.has(other)) expect([other, idOf(other)]).toEqual([other, UNKNOWN_FIELD]);
      }
    }
  });

  test("names run together with those that lie behind them in memory are unknown", () => {
    const known = new Map<string, number>(NAMES);
    const joined = NAMES.map(([name]) => name).join("");
    for (let at = 0, i = 0; i < NAMES.length; at += NAMES[i]?.[0].length ?? 0, i++) {
      for (let length = 1; length < 300; length++) {
        const name = joined.slice(at, at + length);
        expect([name, idOf(name)]).toEqual([name, known.get(name) ?? UNKNOWN_FIELD]);
      }
    }
  });

  test("20,000 random names, most of them one byte away from a known one, are told apart", () => {
    const random = Random.fromEntropy([20_261_123]);
    for (let round = 0; round < 20_000; round++) {
      const bytes = latin1(random.nextBelow(4) === 0 ? randomText(random, 40) : oneOf(random, NAMES)[0]);
      if (bytes.length > 0) bytes[random.nextBelow(bytes.length)] = random.nextBelow(256);
      const name = String.fromCharCode(...bytes);
      expect([name, idOf(name)]).toEqual([name, fieldIdOf(name)]);
    }
  });
});

describe("sets of field names", () => {
  test("hold their members and nothing else", () => {
    const set = fieldSet(["te", "cookie"]);
    expect(set.length).toBe(FIELD_ID_MAX);
    expect(NAMES.filter(([, id]) => set[id] === 1).map(([name]) => name)).toEqual(["te", "cookie"]);
  });
});
