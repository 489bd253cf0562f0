import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { FIELD } from "../../../src/core/field-names.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { FieldSection } from "../../../src/core/fields.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import {
  type Field,
  fieldsOf,
  fieldsOfFlat,
  flatOf,
  latin1,
  oneOf,
  randomText,
  sectionOf,
} from "../../support/sections.ts";

const FIELDS: readonly Field[] = [
  [":method", "GET"],
  ["accept", "*/*"],
  ["x-own", ""],
  ["cookie", "a=1"],
  ["x-own", "second"],
  ["cookie", "b=2"],
];

describe("a field section", () => {
  test("tells names, values, numbers and positions in the order received", () => {
    const section = sectionOf(FIELDS);
    expect(section.count).toBe(6);
    expect(fieldsOf(section)).toEqual([...FIELDS]);
    expect([0, 1, 2, 3].map((i) => section.nameId(i))).toEqual([FIELD[":method"], FIELD.accept, 0, FIELD.cookie]);
    expect([section.nameAt(1), section.valueAt(1), section.valueEnd(1)]).toEqual([10, 16, 19]);
    expect([section.nameLength(1), section.valueLength(1), section.valueLength(2)]).toEqual([6, 3, 0]);
    expect(section.bytes).toEqual(latin1(FIELDS.flat().join("")));
  });

  test("finds fields by number, from any position on", () => {
    const section = sectionOf(FIELDS);
    expect(section.find(FIELD.cookie)).toBe(3);
    expect(section.findFrom(FIELD.cookie, 4)).toBe(5);
    expect(section.findFrom(FIELD.cookie, 6)).toBe(-1);
    expect(section.find(FIELD.te)).toBe(-1);
  });

  test("gets the first value of a known and of an unknown name", () => {
    const section = sectionOf(FIELDS);
    expect(section.get("cookie")).toBe("a=1");
    expect(section.get("x-own")).toBe("");
    expect(section.get("x-other")).toBeNull();
    expect(section.get("te")).toBeNull();
  });

  test("compares names and values without case folding", () => {
    const section = sectionOf(FIELDS);
    expect(section.nameIs(2, "x-own")).toBe(true);
    expect(section.nameIs(2, "x-owe")).toBe(false);
    expect(section.nameIs(2, "x-ow")).toBe(false);
    expect(section.valueIs(0, "GET")).toBe(true);
    expect(section.valueIs(0, "get")).toBe(false);
    expect(section.valueIs(2, "")).toBe(true);
  });

  test("may be empty", () => {
    const section = sectionOf([]);
    expect(section.count).toBe(0);
    expect(section.get("accept")).toBeNull();
  });

  test("copies what it is made of, so the scratch it came from may be used again", () => {
    const flat = flatOf(FIELDS);
    const section = FieldSection.from(flat);
    flat.fill(0);
    expect(section === null ? null : fieldsOf(section)).toEqual([...FIELDS]);
  });

  test("reads the first bytes of a larger scratch, and any gap behind its table", () => {
    const flat = flatOf(FIELDS, 13);
    const scratch = new Uint8Array(flat.length + 100).fill(7);
    scratch.set(flat);
    const section = FieldSection.from(scratch, flat.length);
    expect(section === null ? null : fieldsOf(section)).toEqual([...FIELDS]);
    expect(FieldSection.from(scratch)).toBeNull();
  });

  test("gives every byte as the character of the same number, whatever stands beside it", () => {
    const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
    const section = sectionOf([
      ["x-all", all],
      ["x-plain", "plain"],
      ["x-utf8", "gr\u00c3\u00bcn"],
    ]);
    expect(fieldsOf(section)).toEqual([
      ["x-all", all],
      ["x-plain", "plain"],
      ["x-utf8", "gr\u00c3\u00bcn"],
    ]);
  });

  test("asserts that positions lie inside it", () => {
    const section = sectionOf(FIELDS);
    for (const i of [-1, 6, 7]) {
      expect(() => section.nameId(i)).toThrow(AssertionFault);
      expect(() => section.value(i)).toThrow(AssertionFault);
    }
    expect(() => section.find(0)).toThrow(AssertionFault);
  });
});

describe("a flat section that does not fit together is refused", () => {
  const u32 = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["nothing", new Uint8Array(0)],
    ["less than the two words", new Uint8Array(7)],
    ["bytes that begin behind the end", u32(0, 9)],
    ["bytes that begin in the table", u32(1, 12, 0, 0)],
    ["bytes that begin in the table, with lengths that fit", u32(1, 12, 0, 4)],
    ["bytes that begin in the two words", u32(0, 4)],
    ["a table that is cut", u32(2, 24, 0, 0)],
    ["a count beyond all bounds", u32(0xffff_ffff, 8)],
    ["a count whose table wraps 32 bits to nothing", u32(0x2000_0000, 8)],
    ["a name that is too long", u32(1, 16, 1, 0)],
    ["a value that is too long", u32(1, 16, 0, 1)],
    ["lengths whose sum wraps 32 bits", u32(1, 16, 0xffff_ffff, 1)],
    ["lengths that leave bytes over", u32(1, 16, 1, 1, 0)],
    ["bytes without fields", u32(0, 8, 0)],
  ];
  for (const [name, flat] of cases) {
    test(name, () => expect(FieldSection.from(flat)).toBeNull());
  }

  test("a length beyond the scratch", () => expect(FieldSection.from(flatOf(FIELDS), 4000)).toBeNull());

  test("every shortening and lengthening of a good one", () => {
    const flat = flatOf(FIELDS);
    for (let length = 0; length < flat.length; length++) expect(FieldSection.from(flat.slice(0, length))).toBeNull();
    expect(FieldSection.from(flat)).not.toBeNull();
  });

  test("20,000 damaged ones are refused or read, and never throw", () => {
    const random = Random.fromEntropy([9114]);
    let read = 0;
    for (let round = 0; round < 20_000; round++) {
      const flat = flatOf(FIELDS, random.nextBelow(8));
      for (let hits = random.nextBelow(3); hits >= 0; hits--) flat[random.nextBelow(64)] = random.nextBelow(256);
      const section = FieldSection.from(flat);
      if (section === null) continue;
      read += 1;
      expect(fieldsOf(section).flat().join("").length).toBe(section.bytes.length);
    }
    expect(read).toBeGreaterThan(500);
  });
});

describe("a field writer", () => {
  test("gives back what was added, by strings, from a section and in runs", () => {
    const writer = new FieldWriter();
    const section = sectionOf(FIELDS);
    writer.begin();
    expect(writer.add(":status", "200")).toBe(true);
    expect(writer.addFrom(section, 5)).toBe(true);
    expect(writer.addRun(section, 1, 4)).toBe(true);
    expect(writer.addRun(section, 2, 2)).toBe(true);
    const expected: Field[] = [
      [":status", "200"],
      ["cookie", "b=2"],
      ["accept", "*/*"],
      ["x-own", ""],
      ["cookie", "a=1"],
    ];
    expect(writer.count).toBe(5);
    expect(fieldsOfFlat(writer.finish())).toEqual(expected);
    expect(fieldsOf(writer.toSection())).toEqual(expected);
  });

  test("joins all values of one name", () => {
    const writer = new FieldWriter();
    writer.begin();
    expect(writer.addJoined(sectionOf(FIELDS), 3, "; ")).toBe(true);
    expect(writer.addJoined(sectionOf(FIELDS), 5, "; ")).toBe(true);
    expect(fieldsOfFlat(writer.finish())).toEqual([
      ["cookie", "a=1; b=2"],
      ["cookie", "b=2"],
    ]);
  });

  test("makes a section that later use of the writer leaves alone", () => {
    const writer = new FieldWriter();
    writer.begin();
    writer.add("x-own", "first");
    const section = writer.toSection();
    writer.begin();
    writer.add("x-own", "other");
    expect(fieldsOf(section)).toEqual([["x-own", "first"]]);
  });

  test("keeps one memory for all sections, which native code may hold on to", () => {
    const writer = new FieldWriter();
    writer.begin();
    const { buffer, byteOffset } = writer.finish();
    writer.begin();
    writer.add("x-own", "v".repeat(100_000));
    expect(writer.finish().buffer).toBe(buffer);
    expect(byteOffset % 4).toBe(0);
  });

  test("takes a section's limit of fields and those of our own, then refuses all until the next begin", () => {
    const writer = new FieldWriter();
    const max = LIMITS.fieldsPerSectionMax + LIMITS.fieldsAddedMax;
    writer.begin();
    for (let i = 0; i < max - 1; i++) expect(writer.add("a", "b")).toBe(true);
    expect(writer.addRun(sectionOf(FIELDS), 0, 2)).toBe(false);
    expect(writer.full).toBe(true);
    expect(writer.add("a", "b")).toBe(false);
    expect(writer.addRun(sectionOf(FIELDS), 0, 0)).toBe(false);
    expect(writer.count).toBe(max - 1);
    expect(() => writer.finish()).toThrow(AssertionFault);
    writer.begin();
    expect(writer.full).toBe(false);
    expect(writer.add("a", "b")).toBe(true);
  });

  test("takes as many bytes as its limit and not one more", () => {
    const writer = new FieldWriter();
    const value = "v".repeat(LIMITS.fieldWriterBytesMax - 1);
    writer.begin();
    expect(writer.add("n", value)).toBe(true);
    expect(fieldsOfFlat(writer.finish())).toEqual([["n", value]]);
    expect(writer.add("n", "")).toBe(false);
    writer.begin();
    expect(writer.add("n", `${value}v`)).toBe(false);
    writer.begin();
    writer.add("n", "v".repeat(LIMITS.fieldWriterBytesMax - 10));
    expect(writer.addFrom(sectionOf([["12345", "123456"]]), 0)).toBe(false);
    writer.begin();
    writer.add("n", "v".repeat(LIMITS.fieldWriterBytesMax - 10));
    expect(writer.addJoined(sectionOf(FIELDS), 3, "; ")).toBe(false);
  });

  test("asserts that text has one byte per character", () => {
    const writer = new FieldWriter();
    writer.begin();
    expect(() => writer.add("x-own", "\u20ac")).toThrow(AssertionFault);
  });

  test("a run that is most of a section near the end of the memory is copied whole all the same", () => {
    const writer = new FieldWriter();
    const long: readonly Field[] = [
      ["dropped", "d".repeat(300)],
      ["x-own", "v".repeat(400)],
    ];
    writer.begin();
    writer.add("n", "f".repeat(LIMITS.fieldWriterBytesMax - 1 - 405));
    expect(writer.addFrom(sectionOf(long), 1)).toBe(true);
    expect(fieldsOfFlat(writer.finish())[1]).toEqual(["x-own", "v".repeat(400)]);
  });

  test("1,000 random sections come back as a list of strings would have it", () => {
    const random = Random.fromEntropy([7541]);
    const writer = new FieldWriter();
    for (let round = 0; round < 1000; round++) {
      const source = Array.from({ length: 1 + random.nextBelow(20) }, (): Field => {
        const name = oneOf(random, ["cookie", "x-own", "accept", ":path", randomText(random, 20)]);
        return [name, randomText(random, random.nextBelow(8) === 0 ? 3000 : 60)];
      });
      const section = sectionOf(source);
      const expected: Field[] = [];
      writer.begin();
      for (let steps = random.nextBelow(12); steps > 0; steps--) {
        const from = random.nextBelow(source.length);
        const to = from + random.nextBelow(source.length - from + 1);
        expect(writer.addRun(section, from, to)).toBe(true);
        expected.push(...source.slice(from, to));
        const added: Field = ["x-added", randomText(random, 100)];
        expect(writer.add(...added)).toBe(true);
        expected.push(added);
      }
      expect(fieldsOfFlat(writer.finish())).toEqual(expected);
      expect(fieldsOf(writer.toSection())).toEqual(expected);
    }
  });
});

describe("a writer's view", () => {
  test("shows what the section of its own would hold, from any field on", () => {
    const writer = new FieldWriter();
    const source = sectionOf([
      ["accept", "a"],
      ["x-odd", "b"],
      ["cookie", "1"],
      ["cookie", "2"],
    ]);
    writer.begin();
    writer.add(":status", "200");
    writer.addRun(source, 0, 2);
    writer.addJoined(source, 2, "; ");
    writer.add("x-last", "\u00e9");
    const own = writer.toSection();
    for (let first = 0; first <= own.count; first++) {
      const view = writer.view(first);
      expect(fieldsOf(view)).toEqual(fieldsOf(own).slice(first));
      expect(Array.from({ length: view.count }, (_, i) => view.nameId(i))).toEqual(
        Array.from({ length: view.count }, (_, i) => own.nameId(i + first)),
      );
      expect([view.get("x-last"), view.get(":status")]).toEqual([
        first <= 4 ? "\u00e9" : null,
        first === 0 ? "200" : null,
      ]);
      expect(view.lengthBytes).toBe(own.after(first).lengthBytes);
    }
  });

  test("is one object, and shows the latest section", () => {
    const writer = new FieldWriter();
    writer.begin();
    writer.add("a", "first and longer");
    const view = writer.view();
    expect(view.value(0)).toBe("first and longer");
    writer.begin();
    expect(writer.view().count).toBe(0);
    writer.add("content-type", "x");
    expect(writer.view()).toBe(view);
    expect([view.name(0), view.value(0), view.after(1).count]).toEqual(["content-type", "x", 0]);
  });

  test("of a section that lacks fields is not given", () => {
    const writer = new FieldWriter();
    writer.begin();
    while (writer.add("x", "")) continue;
    expect(() => writer.view()).toThrow("lacks fields");
  });
});
