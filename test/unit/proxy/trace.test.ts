import { describe, expect, test } from "bun:test";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { Random } from "../../../src/core/random.ts";
import { isTraceParent, Trace } from "../../../src/proxy/trace.ts";
import { fieldsOfFlat, latin1 } from "../../support/sections.ts";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";
const GOOD = `00-${ID}-${PARENT}-01`;

/** Whether it is one, wherever it stands among other bytes. */
function isOne(value: string): boolean {
  const alone = isTraceParent(latin1(value), 0, value.length);
  expect(isTraceParent(latin1(`0f${value}-0f`), 2, 2 + value.length)).toBe(alone);
  return alone;
}

describe("a traceparent is kept", () => {
  for (const value of [
    GOOD,
    `00-${ID}-${PARENT}-00`,
    `00-${ID}-${PARENT}-ff`,
    `00-${"0".repeat(31)}1-${"0".repeat(15)}1-00`,
    `01-${ID}-${PARENT}-01`,
    `fe-${ID}-${PARENT}-01`,
    `01-${ID}-${PARENT}-01-what-comes-later`,
    `cc-${ID}-${PARENT}-01-`,
  ]) {
    test(value, () => expect(isOne(value)).toBe(true));
  }
});

describe("a traceparent is replaced", () => {
  for (const [why, value] of [
    ["empty", ""],
    ["too short", GOOD.slice(0, -1)],
    ["version 00 and longer", `${GOOD}-`],
    ["version 00 and longer, without a hyphen", `${GOOD}0`],
    ["version ff", `ff-${ID}-${PARENT}-01`],
    ["a later version that goes on without a hyphen", `01-${ID}-${PARENT}-01.what`],
    ["capitals", `00-${ID.toUpperCase()}-${PARENT}-01`],
    ["no hex", `00-${ID.replace("f", "g")}-${PARENT}-01`],
    ["a trace id of zeros", `00-${"0".repeat(32)}-${PARENT}-01`],
    ["a parent id of zeros", `00-${ID}-${"0".repeat(16)}-01`],
    ["other separators", GOOD.replaceAll("-", "_")],
    ["a separator out of place", `00-${ID}${PARENT}--01`],
    ["a version of one digit", `0-${ID}0-${PARENT}-01`],
    ["flags that are no number", `00-${ID}-${PARENT}-0x`],
  ] as const) {
    test(why, () => expect(isOne(value)).toBe(false));
  }
});

describe("a trace of our own", () => {
  const writer = new FieldWriter();
  const written = (trace: Trace): string => {
    writer.begin();
    trace.write(writer);
    return fieldsOfFlat(writer.finish()).join();
  };

  test("is valid, not sampled, and the same with every attempt", () => {
    const random = Random.fromEntropy([7]);
    const seen = new Set<string>();
    for (let i = 0; i < 1000; i++) {
      const trace = new Trace(random);
      const [name = "", value = ""] = written(trace).split(",");
      expect([name, value.slice(-3)]).toEqual(["traceparent", "-00"]);
      expect(isOne(value)).toBe(true);
      expect(written(trace)).toBe(`${name},${value}`);
      seen.add(value.slice(3, 35)).add(value.slice(36, 52));
    }
    expect(seen.size).toBe(2000);
  });
});
