import { describe, expect, test } from "bun:test";
import { fieldSet } from "../../../src/core/field-names.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { readResponseFields, type ResponseFault } from "../../../src/h3/response-head.ts";
import { type Field, fieldsOfFlat, sectionOf } from "../../support/sections.ts";

const writer = new FieldWriter();

function read(status: number, fields: readonly Field[], dropped?: Uint8Array) {
  return readResponseFields(status, sectionOf(fields), writer, dropped);
}

/** What goes to the client behind `:status`. */
function kept(status: number, fields: readonly Field[], dropped?: Uint8Array): Field[] {
  const result = read(status, fields, dropped);
  expect(typeof result).toBe("number");
  const [first, ...rest] = fieldsOfFlat(writer.finish());
  expect(first).toEqual([":status", String(status)]);
  return rest;
}

describe("a response head", () => {
  test("goes on behind its status, in order and byte for byte", () => {
    const fields: Field[] = [
      ["content-type", "text/plain"],
      ["x-own", "gr\u00c3\u00bcn"],
      ["set-cookie", "a=1"],
      ["x-empty", ""],
      ["set-cookie", "b=2"],
    ];
    expect(kept(200, fields)).toEqual(fields);
  });

  test("may have no fields", () => expect(kept(204, [])).toEqual([]));

  test("loses the fields of the backend's connection wherever they stand", () => {
    expect(
      kept(200, [
        ["connection", "keep-alive"],
        ["keep-alive", "timeout=5"],
        ["server", "nginx"],
        ["transfer-encoding", "chunked"],
        ["proxy-connection", "keep-alive"],
        ["date", "today"],
        ["upgrade", "h2c"],
      ]),
    ).toEqual([
      ["server", "nginx"],
      ["date", "today"],
    ]);
  });

  test("loses the fields that Connection lists, in any case and over several fields", () => {
    expect(
      kept(200, [
        ["x-session", "1"],
        ["connection", "close, X-Session ,,\tX-Other"],
        ["x-kept", "2"],
        ["x-other", "3"],
        ["x-third", "4"],
        ["connection", "x-third"],
        ["x-thirds", "5"],
      ]),
    ).toEqual([
      ["x-kept", "2"],
      ["x-thirds", "5"],
    ]);
  });

  test("loses what the caller names", () => {
    expect(
      kept(
        200,
        [
          ["alt-svc", "h3"],
          ["server", "a"],
        ],
        fieldSet(["alt-svc"]),
      ),
    ).toEqual([["server", "a"]]);
    expect(kept(200, [["alt-svc", "h3"]])).toEqual([["alt-svc", "h3"]]);
  });

  test("tells its Content-Length and keeps one of several equal ones", () => {
    const fields: Field[] = [
      ["content-length", "12"],
      ["server", "a"],
      ["content-length", "12"],
    ];
    expect(read(200, fields)).toBe(12);
    expect(kept(200, fields)).toEqual(fields.slice(0, 2));
    expect(read(200, [])).toBe(-1);
    expect(read(304, [["content-length", "12"]])).toBe(12);
    expect(kept(304, [["content-length", "12"]])).toEqual([["content-length", "12"]]);
  });

  test("has no Content-Length with 1xx and 204", () => {
    expect(kept(204, [["content-length", "0"]])).toEqual([]);
    expect(
      kept(103, [
        ["content-length", "5"],
        ["link", "</a>"],
      ]),
    ).toEqual([["link", "</a>"]]);
  });
});

describe("a response head is refused for", () => {
  for (const status of [0, -200, 99, 1000, 101, 200.5, NaN, Infinity]) {
    test(`status ${status}`, () => expect(read(status, [])).toBe("status"));
  }

  const bad: readonly (readonly [ResponseFault, readonly Field[]])[] = [
    ["pseudo-field", [[":status", "200"]]],
    [
      "pseudo-field",
      [
        ["a", "b"],
        [":path", "/"],
      ],
    ],
    ["pseudo-field", [[":own", "x"]]],
    ["name-empty", [["", "x"]]],
    ["name-upper-case", [["Content-Type", "x"]]],
    ["name-upper-case", [["Transfer-Encoding", "chunked"]]],
    ["name-character", [["content type", "x"]]],
    ["name-character", [["x\n", "x"]]],
    ["value-character", [["x-own", "a\r\nset-cookie: b"]]],
    ["value-character", [["location", "/\n"]]],
    ["value-character", [["x-own", "\0"]]],
    ["value-character", [["connection", "close\0"]]],
    ["value-whitespace", [["x-own", "a "]]],
    ["content-length", [["content-length", "-1"]]],
    ["content-length", [["content-length", "5, 5"]]],
    ["content-length", [["content-length", ""]]],
    [
      "content-length-conflict",
      [
        ["content-length", "5"],
        ["content-length", "6"],
      ],
    ],
  ];
  for (const [fault, fields] of bad) {
    test(`${fault}: ${JSON.stringify(fields)}`, () => expect(read(200, fields)).toBe(fault));
  }

  test("more fields than a section may have", () => {
    const fields = Array.from({ length: LIMITS.fieldsPerSectionMax + 1 }, (): Field => ["a", "b"]);
    expect(read(200, fields.slice(1))).toBe(-1);
    expect(read(200, fields)).toBe("too-many-fields");
  });

  test("more names in Connection than anybody lists", () => {
    const names = (count: number): string => Array.from({ length: count }, (_, i) => `x-${i}`).join(",");
    const max = LIMITS.connectionOptionsMax;
    expect(read(200, [["connection", names(max)]])).toBe(-1);
    expect(read(200, [["connection", names(max + 1)]])).toBe("connection-options");
    expect(
      read(200, [
        ["connection", names(max)],
        ["connection", "x"],
      ]),
    ).toBe("connection-options");
    expect(read(200, [["connection", `${",".repeat(100_000)}x-own`]])).toBe("connection-options");
  });

  test("more bytes than a section may have", () => {
    expect(read(200, [["x-own", "v".repeat(LIMITS.fieldWriterBytesMax)]])).toBe("section-too-large");
  });
});
