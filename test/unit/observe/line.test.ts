import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { jsonFormat, plainFormat, quoteJson, timeText } from "../../../src/observe/line.ts";
import { randomText } from "../../support/sections.ts";

const EPOCH_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
const NASTY = [
  'a"b\\c',
  "line\nbreak\r\n",
  "\u001b[31mred\u001b[0m",
  "\u009b31m",
  "nul\0",
  "\u007f",
  "\u2028\u2029",
  "\u202eturned",
  "\ud800 alone",
  "é€😀",
  '","level":"error',
  "a=b c",
  "",
];

describe("log lines", () => {
  test("time is RFC 3339 in UTC with milliseconds", () => {
    expect(timeText(EPOCH_MS)).toBe("2026-01-02T03:04:05.006Z");
  });

  test("JSON: one object a line, fields in order, values as they were", () => {
    const fields = { text: "a b", count: 3, share: 0.5, yes: true, none: null, odd: NaN };
    const line = jsonFormat.line(EPOCH_MS, "info", "hello", fields);
    expect(line).toBe(
      '{"time":"2026-01-02T03:04:05.006Z","level":"info","msg":"hello","text":"a b","count":3,"share":0.5,"yes":true,"none":null,"odd":null}',
    );
  });

  test("JSON: whatever a value, a message or a name holds comes back as it was and forges nothing", () => {
    for (const text of NASTY) {
      const line = jsonFormat.line(EPOCH_MS, "warn", text, { value: text, [`n${text}`]: "x" });
      expect(line).toMatch(/^[^\x00-\x1f\u007f-\u009f\u2028-\u202e]*$/);
      const parsed: Record<string, unknown> = JSON.parse(line);
      expect([parsed["msg"], parsed["value"], parsed[`n${text}`], parsed["level"]]).toEqual([text, text, "x", "warn"]);
    }
  });

  test("JSON: random strings survive", () => {
    const random = Random.fromEntropy([3]);
    for (let round = 0; round < 5000; round++) {
      const text = randomText(random, 40);
      const quoted = quoteJson(text);
      expect(JSON.parse(quoted)).toBe(text);
      expect(quoted).not.toMatch(/[\x00-\x1f\u007f-\u009f]/);
    }
  });

  test("plain: readable, and values that could be mistaken are quoted", () => {
    const line = plainFormat(false).line(EPOCH_MS, "warn", "two words", {
      a: "x",
      b: "y z",
      c: "q=1",
      d: "",
      e: 7,
      f: null,
    });
    expect(line).toBe('2026-01-02T03:04:05.006Z WARN  two words a=x b="y z" c="q=1" d="" e=7 f=null');
  });

  test("plain: nothing forges a line or reaches the terminal", () => {
    for (const text of NASTY) {
      const line = plainFormat(false).line(EPOCH_MS, "info", text, { value: text, [`n${text}`]: "x" });
      expect(line).not.toMatch(/[\x00-\x1f\u007f-\u009f\u2028-\u202e]/);
    }
  });

  test("plain: colours only where they are asked for", () => {
    expect(plainFormat(true).line(EPOCH_MS, "error", "m", {})).toContain("\u001b[31mERROR\u001b[0m");
    expect(plainFormat(false).line(EPOCH_MS, "error", "m", {})).not.toContain("\u001b");
  });

  test("a value too long for a line is cut, and says so", () => {
    const long = "x".repeat(LIMITS.logValueCharactersMax + 1);
    const parsed: Record<string, string> = JSON.parse(jsonFormat.line(EPOCH_MS, "info", long, { long }));
    for (const text of [parsed["msg"], parsed["long"]]) {
      expect(text?.length).toBe(LIMITS.logValueCharactersMax);
      expect(text).toEndWith("x...");
    }
    const plain = plainFormat(false).line(EPOCH_MS, "info", long, { long });
    expect(plain.length).toBeLessThan(2 * LIMITS.logValueCharactersMax + 100);
  });
});
