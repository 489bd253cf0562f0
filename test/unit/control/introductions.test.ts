/** How a client's certificate is named in fields and logs. */
import { expect, test } from "bun:test";
import { subjectOf } from "../../../src/control/introductions.ts";

test.each([
  ["CN=a", "CN=a"],
  ["C=DE\nO=Example\\, Inc.\nCN=client 1", "CN=client 1,O=Example\\, Inc.,C=DE"],
  ["CN=Jörg", "CN=J\\C3\\B6rg"],
  ["CN=a\r", "CN=a\\0D"],
  ["CN=a\\ ", "CN=a\\20"],
  ["", ""],
])("%p is written %p", (lines, text) => {
  expect(subjectOf(lines)).toBe(text);
});
