/**
 * HPACK with a foreign implementation at the other end, both ways: what Python's hpack codes we read, what we code it reads, over long
 * sequences that share a dynamic table whose size goes down, up and to nothing on the way. `test/golden/field-blocks.json` is a part
 * of the same that needs no Python.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { Random } from "../../src/core/random.ts";
import { HpackDecoder } from "../../src/h2/hpack-decoder.ts";
import { HpackEncoder } from "../../src/h2/hpack-encoder.ts";
import { type Field, fieldsOf, oneOf, randomText, sectionOf } from "../support/sections.ts";
import { runProcess } from "../support/process.ts";
import { AIOQUIC_MISSING, aioquicPython } from "./aioquic.ts";

const SEED = 75_410;
const BLOCKS = 150;
/** Names that our encoder never indexes. */
const SECRETS: readonly string[] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];
const NAMES: readonly string[] = [
  ...[":path", ":status", ":authority", ":method", "accept", "via", "date", "content-length", "x-request-id", "server"],
  ...["x-a", "x-bc", "x-def", "grpc-timeout", "user-agent", ...SECRETS],
];
const EVERY_BYTE = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");

/** What changes before a block, and the block's fields. */
interface Step {
  readonly sizes: readonly number[];
  readonly fields: readonly Field[];
  readonly huffman: boolean;
}

interface Coded {
  readonly hex: string;
  readonly tableBytes: number;
}

interface Read {
  readonly fields: readonly (readonly [name: string, value: string, never: boolean])[];
  readonly tableBytes: number;
}

/** How the table's size changes: never, sometimes, or all the time. */
const KINDS: readonly (readonly [name: string, sizes: (random: Random) => number[]])[] = [
  ["a table that stays", () => []],
  ["a table that changes now and then", (random) => (random.nextBelow(10) > 0 ? [] : [random.nextBelow(4097)])],
  [
    "a table that shrinks and grows between two blocks",
    (random) =>
      random.nextBelow(4) > 0 ? [] : [oneOf(random, [0, 33, 100, 4096]), oneOf(random, [0, 64, 1000, 4096])],
  ],
  ["a table of no bytes", () => [0]],
];

function story(random: Random, sizes: (random: Random) => number[]): Step[] {
  const values = Array.from({ length: 10 }, () => randomText(random, 120));
  return Array.from({ length: BLOCKS }, (_, i): Step => {
    const fields = Array.from({ length: random.nextBelow(14) }, (): Field => {
      const name = random.nextBelow(8) === 0 ? `x-${random.nextBelow(1000)}` : oneOf(random, NAMES);
      return [name, random.nextBelow(5) === 0 ? randomText(random, 300) : oneOf(random, values)];
    });
    if (i % 7 === 0) fields.push(["x-empty", ""], ["x-every-byte", EVERY_BYTE]);
    if (i % 31 === 5) fields.push(["x-long", "long ".repeat(random.nextBelow(2000))]);
    return { sizes: sizes(random), fields, huffman: random.nextBelow(2) === 0 };
  });
}

async function play<Answer>(direction: "encode" | "decode", blocks: readonly object[][]): Promise<Answer[][]> {
  const { code, stdout, stderr } = await runProcess({
    command: [aioquicPython ?? "", join(import.meta.dir, "hpack_peer.py")],
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    input: JSON.stringify(blocks.map((story) => ({ direction, blocks: story }))),
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** How many fields of a kind a story has: a comparison of nothing would pass. */
function count(steps: readonly Step[], wanted: (field: Field) => boolean): number {
  return steps.reduce((sum, { fields }) => sum + fields.filter(wanted).length, 0);
}

describe(aioquicPython === null ? AIOQUIC_MISSING : "HPACK against Python's hpack:", () => {
  const testPython = test.skipIf(aioquicPython === null);

  testPython(`what it codes is read (seed ${SEED})`, async () => {
    const random = Random.fromEntropy([SEED]);
    const stories = KINDS.map(([, sizes]) => story(random, sizes));
    const given = stories.map((steps) =>
      steps.map((step) => ({ ...step, fields: step.fields.map((field) => [...field, random.nextBelow(5) === 0]) })),
    );
    const coded = await play<Coded>("encode", given);
    const writer = new FieldWriter();
    stories.forEach((steps, s) => {
      const decoder = new HpackDecoder();
      expect(coded[s]?.length).toBe(BLOCKS);
      coded[s]?.forEach(({ hex, tableBytes }, i) => {
        const block = Uint8Array.fromHex(hex);
        writer.begin();
        expect(decoder.decode(block, 0, block.length, writer)).toBeNull();
        expect(fieldsOf(writer.toSection())).toEqual([...(steps[i]?.fields ?? [])]);
        expect(decoder.tableBytes).toBe(tableBytes);
      });
      expect(count(steps, ([, value]) => value === "")).toBeGreaterThan(20);
    });
  });

  for (const huffman of [false, true])
    testPython(`what we code ${huffman ? "with" : "without"} Huffman's code is read by it (seed ${SEED})`, async () => {
      const random = Random.fromEntropy([SEED, huffman ? 1 : 0]);
      const stories = KINDS.map(([, sizes]) => story(random, sizes));
      const tables: number[][] = [];
      const blocks = stories.map((steps) => {
        const encoder = new HpackEncoder(huffman);
        const sizesAfter: number[] = [];
        tables.push(sizesAfter);
        return steps.map(({ sizes, fields }) => {
          for (const size of sizes) encoder.setTableBytesMax(size);
          const section = sectionOf(fields);
          const into = new Uint8Array(HpackEncoder.blockBytesMax(section));
          const end = encoder.putSection(section, into, encoder.begin(into, 0));
          sizesAfter.push(encoder.tableBytes);
          return { sizes, hex: into.subarray(0, end).toHex() };
        });
      });
      const read = await play<Read>("decode", blocks);
      stories.forEach((steps, s) => {
        expect(read[s]?.length).toBe(BLOCKS);
        read[s]?.forEach(({ fields, tableBytes }, i) => {
          const expected = (steps[i]?.fields ?? []).map(([name, value]) => [name, value, SECRETS.includes(name)]);
          expect(fields as unknown).toEqual(expected);
          expect(tableBytes).toBe(tables[s]?.[i] ?? -1);
        });
        expect(count(steps, ([name]) => SECRETS.includes(name))).toBeGreaterThan(50);
      });
      expect(tables.flat().some((bytes) => bytes > LIMITS.hpackEncoderTableBytesMax / 2)).toBe(true);
    });
});
