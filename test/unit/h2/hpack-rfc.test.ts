/** Every example of RFC 7541, appendix C: integers, then blocks with the dynamic table's size after each. */
import { describe, expect, test } from "bun:test";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { HpackDecoder } from "../../../src/h2/hpack-decoder.ts";
import { HpackEncoder } from "../../../src/h2/hpack-encoder.ts";
import { huffmanEncode, huffmanLength } from "../../../src/h2/hpack-huffman.ts";
import { type Field, fieldsOf, latin1, sectionOf } from "../../support/sections.ts";

interface Block {
  readonly hex: string;
  readonly fields: readonly Field[];
  readonly tableBytes: number;
}

const writer = new FieldWriter();

const REQUEST_1: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const REQUEST_2: readonly Field[] = [...REQUEST_1, ["cache-control", "no-cache"]];
const REQUEST_3: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];
const RESPONSE_1: readonly Field[] = [
  [":status", "302"],
  ["cache-control", "private"],
  ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
  ["location", "https://www.example.com"],
];
const RESPONSE_2: readonly Field[] = [[":status", "307"], ...RESPONSE_1.slice(1)];
const RESPONSE_3: readonly Field[] = [
  [":status", "200"],
  ["cache-control", "private"],
  ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
  ["location", "https://www.example.com"],
  ["content-encoding", "gzip"],
  ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
];

const STORIES: readonly { readonly name: string; readonly tableBytesMax: number; readonly blocks: readonly Block[] }[] =
  [
    {
      name: "C.2.1 literal with indexing",
      tableBytesMax: 4096,
      blocks: [
        {
          hex: "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
          fields: [["custom-key", "custom-header"]],
          tableBytes: 55,
        },
      ],
    },
    {
      name: "C.2.2 literal without indexing",
      tableBytesMax: 4096,
      blocks: [{ hex: "040c2f73616d706c652f70617468", fields: [[":path", "/sample/path"]], tableBytes: 0 }],
    },
    {
      name: "C.2.3 literal never indexed",
      tableBytesMax: 4096,
      blocks: [{ hex: "100870617373776f726406736563726574", fields: [["password", "secret"]], tableBytes: 0 }],
    },
    {
      name: "C.2.4 indexed",
      tableBytesMax: 4096,
      blocks: [{ hex: "82", fields: [[":method", "GET"]], tableBytes: 0 }],
    },
    {
      name: "C.3 requests without Huffman coding",
      tableBytesMax: 4096,
      blocks: [
        { hex: "828684410f7777772e6578616d706c652e636f6d", fields: REQUEST_1, tableBytes: 57 },
        { hex: "828684be58086e6f2d6361636865", fields: REQUEST_2, tableBytes: 110 },
        {
          hex: "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
          fields: REQUEST_3,
          tableBytes: 164,
        },
      ],
    },
    {
      name: "C.4 requests with Huffman coding",
      tableBytesMax: 4096,
      blocks: [
        { hex: "828684418cf1e3c2e5f23a6ba0ab90f4ff", fields: REQUEST_1, tableBytes: 57 },
        { hex: "828684be5886a8eb10649cbf", fields: REQUEST_2, tableBytes: 110 },
        { hex: "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", fields: REQUEST_3, tableBytes: 164 },
      ],
    },
    {
      name: "C.5 responses without Huffman coding",
      tableBytesMax: 256,
      blocks: [
        {
          hex:
            "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54" +
            "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
          fields: RESPONSE_1,
          tableBytes: 222,
        },
        { hex: "4803333037c1c0bf", fields: RESPONSE_2, tableBytes: 222 },
        {
          hex:
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b42" +
            "5a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
          fields: RESPONSE_3,
          tableBytes: 215,
        },
      ],
    },
    {
      name: "C.6 responses with Huffman coding",
      tableBytesMax: 256,
      blocks: [
        {
          hex: "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
          fields: RESPONSE_1,
          tableBytes: 222,
        },
        { hex: "4883640effc1c0bf", fields: RESPONSE_2, tableBytes: 222 },
        {
          hex:
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f" +
            "3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
          fields: RESPONSE_3,
          tableBytes: 215,
        },
      ],
    },
  ];

describe("the decoder reads", () => {
  for (const { name, tableBytesMax, blocks } of STORIES) {
    test(name, () => {
      const decoder = new HpackDecoder(tableBytesMax);
      for (const { hex, fields, tableBytes } of blocks) {
        const block = Uint8Array.fromHex(hex);
        writer.begin();
        expect(decoder.decode(block, 0, block.length, writer)).toBeNull();
        expect(fieldsOf(writer.toSection())).toEqual([...fields]);
        expect(decoder.tableBytes).toBe(tableBytes);
      }
    });
  }
});

describe("the integers of C.1", () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ["10 in a 5-bit prefix", "2a", 10],
    ["1337 in a 5-bit prefix", "3f9a0a", 1337],
  ];
  for (const [name, hex, size] of cases) {
    test(`${name} are read, as a table's size`, () => {
      const decoder = new HpackDecoder();
      // The new size is seen by an entry that fits it or does not: name, value and 32 bytes.
      const block = Uint8Array.fromHex(hex);
      writer.begin();
      expect(decoder.decode(block, 0, block.length, writer)).toBeNull();
      const fits = literalOf(size - 32 - 1);
      if (size > 32) {
        expect(decoder.decode(fits, 0, fits.length, writer)).toBeNull();
        expect(decoder.tableBytes).toBe(size);
      }
      const tooLarge = literalOf(size);
      expect(decoder.decode(tooLarge, 0, tooLarge.length, writer)).toBeNull();
      expect(decoder.tableBytes).toBe(0);
    });
    test(`${name} are written, as a table's size`, () => {
      const encoder = new HpackEncoder();
      encoder.setTableBytesMax(size);
      const into = new Uint8Array(16);
      expect(into.subarray(0, encoder.begin(into, 0)).toHex()).toBe(hex);
    });
  }
});

/** A field `a` with a value of so many bytes, with indexing. */
function literalOf(valueBytes: number): Uint8Array {
  const length = Math.max(valueBytes, 0);
  const prefix = length < 127 ? [length] : [127, ((length - 127) & 0x7f) | 0x80, (length - 127) >> 7];
  return Uint8Array.from([0x40, 1, 0x61, ...prefix, ...new Array<number>(length).fill(0x62)]);
}

test("the Huffman strings of C.4 and C.6 are written as they stand there", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"],
    ["no-cache", "a8eb10649cbf"],
    ["custom-key", "25a849e95ba97d7f"],
    ["custom-value", "25a849e95bb8e8b4bf"],
    ["302", "6402"],
    ["private", "aec3771a4b"],
    ["Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"],
    ["https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"],
    ["gzip", "9bd9ab"],
  ];
  for (const [text, hex] of cases) {
    const bytes = latin1(text);
    const into = new Uint8Array(64);
    const end = huffmanEncode(bytes, 0, bytes.length, into, 0);
    expect(into.subarray(0, end).toHex()).toBe(hex);
    expect(huffmanLength(bytes, 0, bytes.length)).toBe(end);
  }
});

describe("the encoder writes what the RFC's encoder does, where both choose alike", () => {
  test("C.2.4 and the fields of the static table", () => {
    expect(encoded(new HpackEncoder(), REQUEST_1.slice(0, 3)).toHex()).toBe("828684");
  });
  test("C.4.1 at the second sighting, and one byte from then on", () => {
    const encoder = new HpackEncoder(true);
    expect(encoded(encoder, REQUEST_1).toHex()).toBe("828684018cf1e3c2e5f23a6ba0ab90f4ff");
    expect(encoded(encoder, REQUEST_1).toHex()).toBe("828684418cf1e3c2e5f23a6ba0ab90f4ff");
    expect(encoded(encoder, REQUEST_1).toHex()).toBe("828684be");
    expect(encoder.tableBytes).toBe(57);
  });
});

function encoded(encoder: HpackEncoder, fields: readonly Field[]): Uint8Array {
  const section = sectionOf(fields);
  const into = new Uint8Array(HpackEncoder.blockBytesMax(section));
  return into.subarray(0, encoder.putSection(section, into, encoder.begin(into, 0)));
}
