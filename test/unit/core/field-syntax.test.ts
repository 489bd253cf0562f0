import { describe, expect, test } from "bun:test";
import {
  contentLengthOf,
  equalsIgnoringCase,
  hasControl,
  isToken,
  nameFault,
  valueFault,
} from "../../../src/core/field-syntax.ts";
import { latin1 } from "../../support/sections.ts";

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => byte);

/** Applies a check to the middle of a text, between bytes that would break every rule. */
function within<T>(check: (bytes: Uint8Array, at: number, end: number) => T, text: string): T {
  return check(latin1(`\0 ${text} \n`), 2, 2 + text.length);
}

describe("field names", () => {
  test("lower-case tokens pass", () => {
    for (const name of ["a", "x-own", "0", "!#$%&'*+-.^_`|~"])
      expect([name, within(nameFault, name)]).toEqual([name, null]);
  });

  test("of all bytes exactly the token characters of RFC 9110 pass", () => {
    for (const byte of ALL_BYTES) {
      const name = `a${String.fromCharCode(byte)}z`;
      const isTokenCharacter = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/.test(name.charAt(1));
      const expected = isTokenCharacter ? (/[A-Z]/.test(name) ? "name-upper-case" : null) : "name-character";
      expect([byte, within(nameFault, name), within(isToken, name)]).toEqual([byte, expected, isTokenCharacter]);
    }
  });

  test("no name is none", () => {
    expect(within(nameFault, "")).toBe("name-empty");
    expect(within(isToken, "")).toBe(false);
  });
});

describe("field values", () => {
  test("of all bytes exactly the controls but HTAB are refused inside", () => {
    for (const byte of ALL_BYTES) {
      const value = `a${String.fromCharCode(byte)}z`;
      const isControl = (byte < 0x20 && byte !== 0x09) || byte === 0x7f;
      expect([byte, within(valueFault, value), within(hasControl, value)]).toEqual([
        byte,
        isControl ? "value-character" : null,
        isControl,
      ]);
    }
  });

  test("white space is refused at either end, alone, and not inside", () => {
    for (const value of [" a", "a ", "\ta", "a\t", " ", "\t"])
      expect(within(valueFault, value)).toBe("value-whitespace");
    for (const value of ["", "a b", "a\tb", "\u00a0a"]) expect(within(valueFault, value)).toBeNull();
  });
});

describe("content-length", () => {
  const good: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["7", 7],
    ["1234567890", 1_234_567_890],
    ["00012", 12],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
  ];
  for (const [text, value] of good) test(`${text} is read`, () => expect(within(contentLengthOf, text)).toBe(value));

  const bad = [
    "",
    "+5",
    "-5",
    "-0",
    "5 ",
    " 5",
    "5,5",
    "5, 5",
    "0x10",
    "1e3",
    "5.0",
    "5a",
    "\u00b2",
    "9007199254740992",
  ];
  for (const text of [...bad, "9007199254740993", "18446744073709551616", "9".repeat(400)]) {
    test(`${JSON.stringify(text.slice(0, 24))} is refused`, () => expect(within(contentLengthOf, text)).toBe(-1));
  }
});

describe("comparison without case", () => {
  test("folds ASCII letters and nothing else", () => {
    const same = (a: string, b: string): boolean => equalsIgnoringCase(latin1(a + b), 0, a.length, a.length);
    expect(same("Example.COM", "eXAMPLE.com")).toBe(true);
    expect(same("a", "b")).toBe(false);
    expect(same("@", "`")).toBe(false);
    expect(same("[", "{")).toBe(false);
    expect(same("\u00c0", "\u00e0")).toBe(false);
  });
});
