import { describe, expect, test } from "bun:test";
import { asciiJson } from "../../../src/core/ascii-json.ts";

describe("JSON in ASCII", () => {
  test.each([
    ["plain", '"plain"'],
    ["é€", '"\\u00e9\\u20ac"'],
    ["😀", '"\\ud83d\\ude00"'],
    ["\u0080\u007f\n", '"\\u0080\u007f\\n"'],
    ["\ud800", '"\\ud800"'],
  ])("of %j", (value, text) => {
    expect(asciiJson(value)).toBe(text);
    expect(JSON.parse(asciiJson(value))).toBe(value);
  });

  test("keys count as well", () => expect(asciiJson({ ü: ["ß"] })).toBe('{"\\u00fc":["\\u00df"]}'));
});
