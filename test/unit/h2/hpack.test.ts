/** The compressor against another implementation's blocks, against itself, and against malformed and hostile blocks. */
import { describe, expect, test } from "bun:test";
import golden from "../../golden/field-blocks.json";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { HpackDecoder, type HpackFault } from "../../../src/h2/hpack-decoder.ts";
import { HpackEncoder } from "../../../src/h2/hpack-encoder.ts";
import { huffmanDecode, huffmanEncode } from "../../../src/h2/hpack-huffman.ts";
import { type Field, fieldsOf, latin1, oneOf, randomText, sectionOf } from "../../support/sections.ts";

const writer = new FieldWriter();

/** What a block holds, or why it is none. */
function decoded(decoder: HpackDecoder, block: Uint8Array): Field[] | HpackFault | "too-large" {
  writer.begin();
  const fault = decoder.decode(block, 0, block.length, writer);
  if (fault !== null) return fault;
  return decoder.tooLarge ? "too-large" : fieldsOf(writer.toSection());
}

function encoded(encoder: HpackEncoder, fields: readonly Field[]): Uint8Array {
  const section = sectionOf(fields);
  const into = new Uint8Array(HpackEncoder.blockBytesMax(section));
  const end = encoder.putSection(section, into, encoder.begin(into, 0));
  expect(end).toBeLessThanOrEqual(into.length);
  return into.subarray(0, end);
}

describe("blocks by Python's hpack:", () => {
  for (const { name, blocks } of golden) {
    test(name, () => {
      const decoder = new HpackDecoder();
      for (const { hex, fields, tableBytes } of blocks) {
        expect(decoded(decoder, Uint8Array.fromHex(hex))).toEqual(fields.map(([n, v]): Field => [n ?? "", v ?? ""]));
        expect(decoder.tableBytes).toBe(tableBytes);
      }
    });
  }
});

describe("the encoder", () => {
  test("never indexes secrets, and says so to every hop", () => {
    for (const name of ["cookie", "authorization", "proxy-authorization", "set-cookie"]) {
      const encoder = new HpackEncoder();
      for (let i = 0; i < 5; i++) expect((encoded(encoder, [[name, "secret"]])[0] ?? 0) & 0xf0).toBe(0x10);
      expect(encoder.tableBytes).toBe(0);
    }
  });

  test("never indexes what changes from request to request", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 5; i++) {
      encoded(encoder, [
        [":path", "/same"],
        ["content-length", "512"],
        ["x-request-id", "a"],
        ["traceparent", "b"],
      ]);
    }
    expect(encoder.tableBytes).toBe(0);
  });

  test("leaves fields alone that never come twice", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 200; i++) encoded(encoder, [["x-unique", `value ${i * 7919}`]]);
    expect(encoder.tableBytes).toBeLessThan(200);
  });

  test("does not let one large field displace the others", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 4; i++) encoded(encoder, [["x-large", "v".repeat(LIMITS.hpackIndexedFieldBytesMax)]]);
    expect(encoder.tableBytes).toBe(0);
  });

  test("owns the bytes of its entries: the memory they were read from is filled again", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    // One section whose memory changes, as fields that point into a receive buffer do.
    const section = sectionOf([["x-a", "12345"]]);
    const into = new Uint8Array(64);
    // So many that some share a place in the encoder's look-up table.
    for (let i = 0; i < 800; i++) {
      const value = String(10_000 + 37 * (i >> 1));
      section.bytes.set(latin1(value), 3);
      const end = encoder.putSection(section, into, encoder.begin(into, 0));
      expect(decoded(decoder, into.slice(0, end))).toEqual([["x-a", value]]);
    }
  });

  test("fills its table to the last byte before it evicts, and so does the decoder", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 4; i++) {
        const field: Field = ["x-a", String(i).repeat(1024 - 32 - 3)];
        expect(decoded(decoder, encoded(encoder, [field]))).toEqual([field]);
      }
    }
    expect(encoder.tableBytes).toBe(4096);
    expect(decoder.tableBytes).toBe(4096);
  });

  test("announces the lowest and the last size of its table when the peer changed it twice", () => {
    const encoder = new HpackEncoder();
    encoder.setTableBytesMax(100);
    encoder.setTableBytesMax(2000);
    expect(encoded(encoder, [[":method", "GET"]]).toHex()).toBe("3f453fb10f82");
    expect(encoded(encoder, [[":method", "GET"]]).toHex()).toBe("82");
  });

  test("keeps to its own limit when the peer offers more, and says nothing then", () => {
    const encoder = new HpackEncoder();
    encoder.setTableBytesMax(1_000_000);
    expect(encoded(encoder, [[":method", "GET"]]).toHex()).toBe("82");
  });

  test("puts text as it puts sections", () => {
    const encoder = new HpackEncoder();
    const into = new Uint8Array(4096);
    const decoder = new HpackDecoder();
    for (let round = 0; round < 3; round++) {
      let end = encoder.begin(into, 0);
      end = encoder.putText(":method", "GET", into, end);
      end = encoder.putText(":method", "PATCH", into, end);
      end = encoder.putText(":scheme", "https", into, end);
      end = encoder.putText(":path", `/${"x".repeat(1000)}`, into, end);
      end = encoder.putText(":authority", "www.example.com", into, end);
      expect(decoded(decoder, into.slice(0, end))).toEqual([
        [":method", "GET"],
        [":method", "PATCH"],
        [":scheme", "https"],
        [":path", `/${"x".repeat(1000)}`],
        [":authority", "www.example.com"],
      ]);
      if (round === 2) expect(into[end - 1]).toBeGreaterThanOrEqual(0x80);
    }
  });
});

describe("malformed blocks", () => {
  const cases: readonly (readonly [string, string, HpackFault])[] = [
    ["index 0", "80", "hpack-index"],
    ["an index behind the static table, the other being empty", "be", "hpack-index"],
    ["a huge index", "ffffffff7f", "hpack-index"],
    ["a name by an index that is not there", "7f0f0161", "hpack-index"],
    ["an integer of six bytes", "ff8080808001", "hpack-integer"],
    ["an integer of zeros without end", "ff808080808080808080", "hpack-integer"],
    ["an integer that is cut", "ff80", "hpack-truncated"],
    ["a literal without a name", "40", "hpack-truncated"],
    ["a literal without a value", "400161", "hpack-truncated"],
    ["a name longer than the block", "400a6161", "hpack-truncated"],
    ["a value longer than the block", "4001610561", "hpack-truncated"],
    ["a string length that overflows", "40017fffffffff7f", "hpack-truncated"],
    ["a size update beyond what was announced", "3fe21f", "hpack-table-size"],
    ["a size update behind a field", "8220", "hpack-table-size"],
    ["a third size update", "202020", "hpack-table-size"],
    ["Huffman padding of zeros", "4001618118", "hpack-huffman"],
    ["Huffman padding of a whole byte", "400161821fff", "hpack-huffman"],
    ["the end-of-string symbol", "40016184ffffffff", "hpack-huffman"],
  ];
  for (const [name, hex, fault] of cases) {
    test(`${name}: ${fault}`, () => {
      expect(decoded(new HpackDecoder(), Uint8Array.fromHex(hex))).toBe(fault);
    });
  }

  test("every cut of a good block is one field less or a fault, never more", () => {
    const fields: Field[] = [
      [":status", "302"],
      ["x-a", "some value"],
      ["location", "https://www.example.com"],
    ];
    const block = encoded(new HpackEncoder(true), fields);
    for (let length = 0; length < block.length; length++) {
      const result = decoded(new HpackDecoder(), block.slice(0, length));
      if (typeof result === "string") expect(result).toBe("hpack-truncated");
      else expect(result).toEqual(fields.slice(0, result.length));
    }
  });
});

describe("hostile blocks", () => {
  test("one byte for 4 KiB, a thousand times: the list is cut, the table goes on", () => {
    const decoder = new HpackDecoder();
    const value = 4096 - 32 - 1;
    const entry = Uint8Array.from([0x40, 1, 0x61, 127, ((value - 127) % 128) | 0x80, (value - 127) >> 7]);
    const bomb = new Uint8Array(entry.length + value + 60_000).fill(0xbe);
    bomb.set(entry);
    bomb.fill(0x62, entry.length, entry.length + value);
    expect(decoded(decoder, bomb)).toBe("too-large");
    expect(writer.scratchEnd).toBeLessThan(LIMITS.h2FieldListBytesMax + 8192);
    expect(decoded(decoder, Uint8Array.fromHex("be"))).toEqual([["a", "b".repeat(value)]]);
  });

  test("more fields than a section may have", () => {
    expect(decoded(new HpackDecoder(), new Uint8Array(300).fill(0x88))).toBe("too-large");
  });

  test("a table that follows blocks which were too large", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096, 200);
    const large: Field[] = [
      ["x-first", "1".repeat(100)],
      ["x-second", "2".repeat(100)],
    ];
    for (let i = 0; i < 3; i++) expect(decoded(decoder, encoded(encoder, large))).toBe("too-large");
    expect(decoded(decoder, encoded(encoder, large.slice(1)))).toEqual(large.slice(1));
    expect(decoder.tableBytes).toBe(encoder.tableBytes);
  });

  test("a string that fills a list, coded in more bytes than most are", () => {
    const field: Field = ["x-a", "0123456789".repeat(7000).slice(0, LIMITS.h2FieldListBytesMax - 32 - 3)];
    for (const huffman of [true, false]) {
      const block = encoded(new HpackEncoder(huffman), [field]);
      expect(decoded(new HpackDecoder(), block)).toEqual([field]);
    }
    const larger: Field = ["x-a", `${field[1]}0`];
    expect(decoded(new HpackDecoder(), encoded(new HpackEncoder(true), [larger]))).toBe("too-large");
  });

  test("a string that no list could hold", () => {
    const length = LIMITS.hpackStringBytesMax + 1;
    const rest = length - 127;
    const head = [0, 1, 0x61, 127, (rest & 0x7f) | 0x80, ((rest >> 7) & 0x7f) | 0x80, rest >> 14];
    const block = new Uint8Array(head.length + length).fill(0x61);
    block.set(head);
    expect(decoded(new HpackDecoder(), block)).toBe("hpack-string-size");
  });
});

test("random sections survive, with tables that change, with and without Huffman coding", () => {
  const random = Random.fromEntropy([7541]);
  const names = [":path", ":status", "cookie", "user-agent", "accept", "via", "x-a", "x-bc", "content-length"];
  for (let round = 0; round < 60; round++) {
    const encoder = new HpackEncoder(round % 2 === 1);
    const decoder = new HpackDecoder();
    const values = Array.from({ length: 8 }, () => randomText(random, 200));
    for (let block = 0; block < 40; block++) {
      if (random.nextBelow(8) === 0) encoder.setTableBytesMax(random.nextBelow(3) * random.nextBelow(2048));
      const fields = Array.from({ length: random.nextBelow(12) }, (): Field => [
        random.nextBelow(6) === 0 ? `x-${randomText(random, 20)}` : oneOf(random, names),
        random.nextBelow(4) === 0 ? randomText(random, 300) : oneOf(random, values),
      ]);
      expect(decoded(decoder, encoded(encoder, fields))).toEqual(fields);
      expect(decoder.tableBytes).toBe(encoder.tableBytes);
    }
  }
});

test("random and damaged blocks end in fields or in a fault, and memory stays bounded", () => {
  const random = Random.fromEntropy([4096]);
  const faults = new Map<string, number>();
  for (let round = 0; round < 4000; round++) {
    const decoder = new HpackDecoder();
    const encoder = new HpackEncoder(true);
    for (let block = 0; block < 4; block++) {
      const bytes =
        random.nextBelow(2) === 0
          ? Uint8Array.from({ length: random.nextBelow(64) }, () => random.nextBelow(256))
          : encoded(encoder, [
              [":status", "200"],
              ["x-a", randomText(random, 30)],
            ]);
      for (let flips = random.nextBelow(3); flips > 0 && bytes.length > 0; flips--) {
        const at = random.nextBelow(bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.nextBelow(8));
      }
      const result = decoded(decoder, bytes);
      expect(decoder.tableBytes).toBeLessThanOrEqual(4096);
      const kind = typeof result === "string" ? result : "fields";
      faults.set(kind, (faults.get(kind) ?? 0) + 1);
      if (kind !== "fields" && kind !== "too-large") break;
    }
  }
  for (const kind of [
    "fields",
    "hpack-truncated",
    "hpack-integer",
    "hpack-index",
    "hpack-huffman",
    "hpack-table-size",
  ]) {
    expect(faults.get(kind)).toBeGreaterThan(0);
  }
});

test("every byte survives the Huffman code, alone and among others", () => {
  const into = new Uint8Array(1024);
  const back = new Uint8Array(1024);
  for (let byte = 0; byte < 256; byte++) {
    for (const bytes of [[byte], [0x61, byte], [byte, byte, 0x20], [0, byte, 255]]) {
      const end = huffmanEncode(Uint8Array.from(bytes), 0, bytes.length, into, 0);
      const length = huffmanDecode(into, 0, end, back, 0);
      expect([...back.subarray(0, length)]).toEqual(bytes);
    }
  }
});
