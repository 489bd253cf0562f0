/**
 * HPACK under damaged blocks: another implementation's, changed in one to four places, then taken with the table that the blocks
 * before left behind. What can still be read survives our own encoder, too. See `../rounds.ts`.
 */
import { expect, test } from "bun:test";
import golden from "../../golden/field-blocks.json";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { HpackDecoder } from "../../../src/h2/hpack-decoder.ts";
import { HpackEncoder } from "../../../src/h2/hpack-encoder.ts";
import { type Field, fieldsOf, oneOf, sectionOf } from "../../support/sections.ts";
import { FUZZ_HANGS_AFTER_MS, FUZZ_SEED, fuzzRounds } from "../rounds.ts";

const ROUNDS = fuzzRounds(3000);
const STORIES = golden.map(({ blocks }) => blocks.map(({ hex }) => Uint8Array.fromHex(hex)));
/** First bytes of each representation, and numbers at the edges of their prefixes. */
const BYTES = [0, 0x0f, 0x10, 0x1f, 0x20, 0x3e, 0x3f, 0x40, 0x7f, 0x80, 0xbe, 0xc0, 0xfe, 0xff];
const writer = new FieldWriter();

function mutate(block: Uint8Array, random: Random): Uint8Array {
  let bytes = [...block];
  for (let changes = 1 + random.nextBelow(4); changes > 0; changes--) {
    const at = random.nextBelow(bytes.length + 1);
    switch (random.nextBelow(4)) {
      case 0:
        bytes.splice(at, random.nextBelow(6));
        break;
      case 1:
        bytes.splice(at, 0, ...Array.from({ length: 1 + random.nextBelow(5) }, () => oneOf(random, BYTES)));
        break;
      case 2:
        bytes = bytes.concat([...oneOf(random, oneOf(random, STORIES))].slice(0, random.nextBelow(40)));
        break;
      default:
        bytes[at] = random.nextBelow(2) === 0 ? oneOf(random, BYTES) : (bytes[at] ?? 0) ^ (1 << random.nextBelow(8));
    }
  }
  return Uint8Array.from(bytes);
}

test(
  `${ROUNDS} stories with damaged blocks end in fields or in a fault (seed ${FUZZ_SEED})`,
  () => {
    const random = Random.fromEntropy([FUZZ_SEED, 4]);
    const ends = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const decoder = new HpackDecoder();
      const [encoder, echo] = [new HpackEncoder(round % 2 === 0), new HpackDecoder()];
      for (const block of oneOf(random, STORIES).slice(0, 6)) {
        const bytes = random.nextBelow(3) > 0 ? mutate(block, random) : block;
        // Only the block itself may be read: what lies around it is another frame's.
        const within = Uint8Array.from([0xbe, 0x88, ...bytes, 0x88, 0xbe]);
        writer.begin();
        const fault = decoder.decode(within, 2, 2 + bytes.length, writer);
        const end = fault ?? (decoder.tooLarge ? "too-large" : "fields");
        ends.set(end, (ends.get(end) ?? 0) + 1);
        expect(decoder.tableBytes).toBeLessThanOrEqual(LIMITS.hpackDecoderTableBytesMax);
        expect(writer.scratchEnd).toBeLessThan(LIMITS.h2FieldListBytesMax + 8192);
        if (fault !== null) break;
        if (!decoder.tooLarge) expectEcho(fieldsOf(writer.toSection()), encoder, echo);
      }
    }
    const kinds = ["fields", "hpack-truncated", "hpack-integer", "hpack-index", "hpack-huffman", "hpack-table-size"];
    expect([...ends.keys()]).toEqual(expect.arrayContaining(kinds));
  },
  FUZZ_HANGS_AFTER_MS,
);

/** The fields come back from our own encoder, and both tables are alike. */
function expectEcho(fields: readonly Field[], encoder: HpackEncoder, echo: HpackDecoder): void {
  const section = sectionOf(fields);
  const into = new Uint8Array(HpackEncoder.blockBytesMax(section));
  const end = encoder.putSection(section, into, encoder.begin(into, 0));
  writer.begin();
  expect(echo.decode(into, 0, end, writer)).toBeNull();
  expect(fieldsOf(writer.toSection())).toEqual([...fields]);
  expect(echo.tableBytes).toBe(encoder.tableBytes);
}
