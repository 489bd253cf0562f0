import { describe, expect, test } from "bun:test";
import { RequestId } from "../../../src/core/request-id.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { MALFORMED_ANSWERS } from "../../../src/h3/head.ts";
import { encodeAscii, failureText, writeFailureHead } from "../../../src/proxy/failure.ts";
import { fieldsOfFlat } from "../../support/sections.ts";

const writer = new FieldWriter();

function headOf(status: number): [string, string][] {
  writeFailureHead(writer, status, RequestId.given("the-id"));
  return fieldsOfFlat(writer.finish()).map(([name, value]) => [name, value]);
}

describe("the answer to a failure", () => {
  test("has a head of these fields, in this order", () => {
    expect(headOf(502)).toEqual([
      [":status", "502"],
      ["content-type", "text/plain; charset=utf-8"],
      ["content-length", "16"],
      ["cache-control", "no-store"],
      ["x-request-id", "the-id"],
    ]);
  });

  test("says when to come back where nobody could answer", () => {
    expect(headOf(503).at(-1)).toEqual(["retry-after", "1"]);
  });

  /** The statuses of the error codes. */
  const named = [400, 404, 408, 413, 414, 421, 431, 500, 501, 502, 503, 504];
  const answered = Object.values(MALFORMED_ANSWERS).filter((answer) => answer !== "reset");

  test.each([...new Set([...named, ...answered])])("has a text for %d, as long as the head says", (status) => {
    const text = failureText(status);
    expect(text).toMatch(/^\d{3} [A-Z][A-Za-z ]+\n$/);
    expect(text).not.toBe(`${status} Error\n`);
    expect(Object.fromEntries(headOf(status))["content-length"]).toBe(`${encodeAscii(text).length}`);
  });

  test("has a text for a status that nobody has thought of", () => expect(failureText(599)).toBe("599 Error\n"));
});
