/**
 * Field sections and QPACK instructions that cannot be read (RFC 9204), by bytes. We announce no dynamic table, so nothing may refer to
 * one. quiche decodes sections, and reads instructions without looking at them.
 */
import { FRAME, hello, QPACK_DECODER, QPACK_ENCODER, REQUEST } from "./frame-steps.ts";
import type { H3iStep } from "./h3i.ts";
import type { Http3Case } from "./http3-case.ts";

const H3_EXCESSIVE_LOAD = 0x107;
const QPACK_DECOMPRESSION_FAILED = 0x200;
const UNREAD = "quiche reads the stream and throws away what it says; it has no dynamic table that could come to harm";

/** `:method: GET`, `:scheme: https`, `:path: /` by the static table, `:authority: a` by a name of it. */
const GOOD_LINES = "d1d7c1500161";

/** Rows 13 and 14. */
export const SECTION_TABLE: readonly Http3Case[] = [
  unreadable(13, "static index 99", `0000${GOOD_LINES}ff24`),
  unreadable(13, "a name by static index 99", `0000${GOOD_LINES}5f54${"0161"}`),
  unreadable(13, "an index of ten bytes", `0000${GOOD_LINES}ffffffffffffffffffffff7f`),
  unreadable(13, "a value longer than its section", `0000${GOOD_LINES}51${"7f40"}61`),
  unreadable(13, "a section that ends in its prefix", "00"),
  unreadable(13, "an empty section", ""),
  {
    row: 13,
    name: "a value whose Huffman code is none",
    steps: [...hello(), section(`0000${GOOD_LINES}5184ffffffff`)],
    answer: { close: H3_EXCESSIVE_LOAD },
    by: "quiche",
    gap: "quiche takes it for a section over its size and closes with 0x107 and not with 0x200",
  },
  ignored(
    13,
    "a table capacity over the limit",
    { do: "bytes", stream: QPACK_ENCODER, hex: "3fe1c7afa025" },
    `${UNREAD}; RFC 9204 4.3.1 asks for 0x201`,
  ),
  ignored(
    13,
    "an entry for a table that there is not",
    { do: "bytes", stream: QPACK_ENCODER, hex: "41610162" },
    `${UNREAD}; RFC 9204 3.2.2 asks for 0x201`,
  ),
  ignored(
    13,
    "Insert Count Increment 0",
    { do: "bytes", stream: QPACK_DECODER, hex: "00" },
    `${UNREAD}; RFC 9204 4.4.3 asks for 0x202`,
  ),
  ignored(
    13,
    "an acknowledgement of a section that was never sent",
    { do: "bytes", stream: QPACK_DECODER, hex: "84" },
    `${UNREAD}; RFC 9204 4.4.1 asks for 0x202`,
  ),
  unreadable(14, "a line by the dynamic table", `0200${GOOD_LINES}80`),
  unreadable(14, "a name by the dynamic table", `0200${GOOD_LINES}400161`),
  unreadable(14, "a line by the dynamic table behind the base", `0280${GOOD_LINES}10`),
  unreadable(14, "a name by the dynamic table behind the base", `0280${GOOD_LINES}000161`),
  {
    row: 14,
    name: "a section that waits for an entry and does not use it",
    steps: [...hello(), section(`0200${GOOD_LINES}`)],
    answer: { status: 200 },
    by: "quiche",
    gap: "quiche does not read the insert count of a section that stays within the static table; RFC 9204 4.5.1.1 asks for 0x200",
  },
];

/** HEADERS and the end of the request. */
function section(hex: string): H3iStep {
  return { do: "frame", stream: REQUEST, type: FRAME.headers, hex, fin: true };
}

function unreadable(row: number, name: string, hex: string): Http3Case {
  return { row, name, steps: [...hello(), section(hex)], answer: { close: QPACK_DECOMPRESSION_FAILED }, by: "quiche" };
}

/** It changes nothing: a request behind it is served. */
function ignored(row: number, name: string, step: H3iStep, gap: string): Http3Case {
  return { row, name, steps: [...hello(), step, { do: "flush" }], answer: { status: 200 }, by: "quiche", gap };
}
