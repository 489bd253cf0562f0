/** Requests that a door understands, those that it does not, and answers as bytes. */
import { describe, expect, test } from "bun:test";
import { endOfHead, readDoorRequest, writeDoorAnswer } from "../../../src/control/door-message.ts";

const read = (...lines: readonly string[]) => readDoorRequest(`${lines.join("\r\n")}\r\n\r\n`);

describe("a head", () => {
  test.each([
    ["", -1],
    ["GET / HTTP/1.1\r\n", -1],
    ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27],
    ["GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", 27],
    ["GET / HTTP/1.1\nHost: a\n\n", 24],
  ])("%j ends at %d", (text, end) => expect(endOfHead(text)).toBe(end));
});

describe("a request", () => {
  test("is read with its fields, those that came twice as a list", () => {
    const request = read("GET /metrics?a=b?c HTTP/1.1", "Host: a:1", "Accept: x ", "accept:\ty");
    expect(request).toMatchObject({ isHead: false, path: "/metrics", query: "a=b?c", isLasting: true });
    expect("fields" in request && [...request.fields]).toEqual([
      ["host", "a:1"],
      ["accept", "x, y"],
    ]);
  });

  test.each([
    [["HEAD /h HTTP/1.1", "Host:"], { isHead: true, path: "/h", isLasting: true }],
    [["GET http://a.test/h?q HTTP/1.1", "Host: a"], { path: "/h", query: "q" }],
    [["GET http://a.test HTTP/1.1", "Host: a"], { path: "/" }],
    [["GET /h HTTP/1.0"], { path: "/h", isLasting: false }],
    [["GET /h HTTP/1.1", "Host: a", "Connection: x, Close"], { isLasting: false }],
    [["GET /h HTTP/1.1", "Host: a", "Connection: closed"], { isLasting: true }],
    [["GET /h HTTP/1.1", "Host: a", "Content-Length: 5"], { isLasting: false }],
    [["GET /h HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"], { isLasting: false }],
  ])("%j is taken", (lines, expected) => expect(read(...lines)).toMatchObject(expected));

  test.each([
    [["GET"], 400],
    [["GET /a b HTTP/1.1", "Host: a"], 400],
    [["GET h HTTP/1.1", "Host: a"], 400],
    [["GET /h HTTP/1.1"], 400],
    [["GET /h HTTP/1.1", "Host: a", "Host: b"], 400],
    [["GET /h HTTP/1.1", "Host: a", " folded"], 400],
    [["GET /h HTTP/1.1", "Host: a", "X : y"], 400],
    [["GET /h HTTP/1.1", "Host: a", "X: a\0b"], 400],
    [["POST /h HTTP/1.1", "Host: a"], 405],
    [["BREW /h HTTP/1.1", "Host: a"], 501],
    [["PRI * HTTP/2.0"], 505],
  ] as const)("%j is refused with %d", (lines, refusal) => expect(read(...lines)).toEqual({ refusal }));
});

describe("an answer", () => {
  const epochMs = Date.UTC(2026, 0, 2, 3, 4, 5);
  const answer = { status: 503, type: "text/plain", body: "é\n", fields: { allow: "GET" } };
  const text = (isHead: boolean): string =>
    new TextDecoder().decode(writeDoorAnswer(answer, { isHead, isLasting: false, epochMs }));

  test("has its length in bytes, and the same head without its body for HEAD", () => {
    expect(text(false).split("\r\n")).toEqual([
      "HTTP/1.1 503 Service Unavailable",
      "date: Fri, 02 Jan 2026 03:04:05 GMT",
      "content-type: text/plain",
      "content-length: 3",
      "cache-control: no-store",
      "x-content-type-options: nosniff",
      "connection: close",
      "allow: GET",
      "",
      "é\n",
    ]);
    expect(text(true)).toBe(text(false).slice(0, -2));
  });
});
