import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { FIELD } from "../../../src/core/field-names.ts";
import { OutputBuffer } from "../../../src/h1/output.ts";
import {
  type H1Request,
  requestFramingOf,
  writeChunk,
  writeLastChunk,
  writeRequestHead,
} from "../../../src/h1/request-writer.ts";
import { bytesOf, latin1Of, requestOf, sectionOf } from "./exchanges.ts";

function headOf(parts: Partial<H1Request>, hasBody: boolean = false, upgradeTo: string = ""): string {
  const output = new OutputBuffer();
  const request = requestOf(parts);
  writeRequestHead(request, requestFramingOf(request, hasBody), upgradeTo, output);
  return waiting(output);
}

function waiting(output: OutputBuffer): string {
  return latin1Of(output.bytes.subarray(output.at, output.end));
}

describe("a request head", () => {
  test("is the request line, Host and the fields in their order", () => {
    const fields = sectionOf({ accept: "*/*", "x-odd!": "a\tb \xff", cookie: "a=1; b=2", empty: "" });
    expect(headOf({ path: "/a?b=c", authority: "[::1]:80", fields })).toBe(
      "GET /a?b=c HTTP/1.1\r\nhost: [::1]:80\r\naccept: */*\r\nx-odd!: a\tb \xff\r\ncookie: a=1; b=2\r\nempty: \r\n\r\n",
    );
  });

  test("frames a body by its length, else by chunks", () => {
    expect(headOf({ method: "POST", contentLengthBytes: 12 }, true)).toContain("\r\ncontent-length: 12\r\n\r\n");
    expect(headOf({ method: "POST", contentLengthBytes: 0 }, true)).toContain("\r\ncontent-length: 0\r\n\r\n");
    expect(headOf({ method: "GET" }, true)).toContain("\r\ntransfer-encoding: chunked\r\n\r\n");
    const longest = headOf({ method: "PUT", contentLengthBytes: Number.MAX_SAFE_INTEGER }, true);
    expect(longest).toContain("\r\ncontent-length: 9007199254740991\r\n\r\n");
  });

  test("tells the absence of a body where one is expected", () => {
    for (const method of ["POST", "PUT", "PATCH"]) expect(headOf({ method })).toContain("content-length: 0\r\n");
    for (const method of ["GET", "HEAD", "DELETE", "OPTIONS"])
      expect(headOf({ method })).not.toContain("content-length");
    expect(headOf({ method: "DELETE", contentLengthBytes: 0 })).toContain("content-length: 0\r\n");
  });

  test("takes nothing about its own framing, host and connection from the fields", () => {
    const fields = sectionOf({
      host: "evil.example",
      "content-length": "7",
      "transfer-encoding": "chunked",
      connection: "close, x",
      "keep-alive": "timeout=1",
      "proxy-connection": "close",
      upgrade: "h2c",
      "http2-settings": "AAA",
      te: "trailers",
      kept: "yes",
    });
    expect(headOf({ fields })).toBe("GET / HTTP/1.1\r\nhost: a.example\r\nkept: yes\r\n\r\n");
  });

  test("asks for another protocol", () => {
    expect(headOf({}, false, "websocket")).toEndWith("\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  });

  test("may be far larger than the buffer at first", () => {
    const fields = sectionOf({ a: "x".repeat(200_000) });
    const path = `/${"p".repeat(30_000)}`;
    expect(headOf({ fields, path })).toBe(
      `GET ${path} HTTP/1.1\r\nhost: a.example\r\na: ${"x".repeat(200_000)}\r\n\r\n`,
    );
  });
});

describe("nothing can be injected", () => {
  const CONTROLS = ["\r", "\n", "\r\n", "\0", "\x0b", "\x7f", "\x1b"];

  /** Throws, and leaves the output as it was. */
  function expectRefused(parts: Partial<H1Request>, upgradeTo: string = ""): void {
    const output = new OutputBuffer();
    output.putBytes(bytesOf("before"), 0, 6);
    expect(() => writeRequestHead(requestOf(parts), "none", upgradeTo, output)).toThrow(AssertionFault);
    expect(waiting(output)).toBe("before");
  }

  test("by the parts of the request line and Host", () => {
    for (const bad of [...CONTROLS, " ", "\t", "\xe9", "\u010d", "\u010a"]) {
      expectRefused({ method: `G${bad}T` });
      expectRefused({ path: `/a${bad}b` });
      expectRefused({ authority: `a${bad}b` });
      expectRefused({}, `web${bad}socket`);
    }
    expectRefused({ method: "" });
    expectRefused({ method: "GET:" });
    expectRefused({ path: "" });
  });

  test("by names and values of fields", () => {
    for (const bad of CONTROLS) {
      expectRefused({ fields: sectionOf({ a: "b", c: `d${bad}e` }) });
      expectRefused({ fields: sectionOf({ [`a${bad}b`]: "c" }) });
    }
    for (const bad of [":method", "a:b", "a b", "a\tb", "", "\xe9"])
      expectRefused({ fields: sectionOf({ [bad]: "c" }) });
  });

  test("by every single byte: only those that RFC 9110 allows pass", () => {
    for (let byte = 0; byte < 256; byte++) {
      const character = String.fromCharCode(byte);
      const inValue = byte === 9 || (byte >= 0x20 && byte !== 0x7f);
      if (inValue)
        expect(headOf({ fields: sectionOf({ a: `x${character}x` }) })).toContain(`\r\na: x${character}x\r\n`);
      else expectRefused({ fields: sectionOf({ a: `x${character}x` }) });
      const inName = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character);
      if (inName)
        expect(headOf({ fields: sectionOf({ [`x${character}x`]: "a" }) })).toContain(`\r\nx${character}x: a\r\n`);
      else expectRefused({ fields: sectionOf({ [`x${character}x`]: "a" }) });
    }
  });

  test("by a body that is promised and not there", () => {
    expectRefused({ contentLengthBytes: 5 });
  });

  test("by trailers", () => {
    const output = new OutputBuffer();
    expect(() => writeLastChunk(sectionOf({ a: "b\r\n\r\nGET /" }), output)).toThrow(AssertionFault);
    expect(output.waitingBytes).toBe(0);
  });
});

describe("a chunked body", () => {
  test("has a size before each piece, and no empty chunk before its end", () => {
    const output = new OutputBuffer();
    writeChunk(bytesOf("..hello.."), 2, 7, output);
    writeChunk(bytesOf("x"), 1, 1, output);
    writeChunk(bytesOf("y".repeat(300)), 0, 300, output);
    writeLastChunk(null, output);
    expect(waiting(output)).toBe(`5\r\nhello\r\n12c\r\n${"y".repeat(300)}\r\n0\r\n\r\n`);
  });

  test("ends with its trailers, without those that frame or route", () => {
    const output = new OutputBuffer();
    writeLastChunk(sectionOf({ "x-sum": "1", "content-length": "5", trailer: "x", host: "b" }), output);
    expect(waiting(output)).toBe("0\r\nx-sum: 1\r\n\r\n");
  });
});

test("what may not come from a section has a number, so that it is found by it", () => {
  for (const name of ["host", "content-length", "transfer-encoding", "connection", "te"] as const) {
    expect(sectionOf({ [name]: "x" }).nameId(0)).toBe(FIELD[name]);
  }
});

describe("the output buffer", () => {
  test("keeps the order of bytes while some are sent and it grows", () => {
    const output = new OutputBuffer();
    let [written, read, waitingText] = [0, 0, ""];
    for (let round = 1; round < 400; round++) {
      const piece = Array.from({ length: round % 97 }, () => String.fromCharCode(written++ % 251)).join("");
      output.putBytes(bytesOf(piece), 0, piece.length);
      const taken = Math.min(output.waitingBytes, (round * 7) % 89);
      waitingText += latin1Of(output.bytes.subarray(output.at, output.at + taken));
      output.sent(taken);
      read += taken;
    }
    waitingText += waiting(output);
    expect(read).toBeGreaterThan(10_000);
    expect(waitingText).toHaveLength(written);
    for (let i = 0; i < written; i++) expect(waitingText.charCodeAt(i)).toBe(i % 251);
  });

  test("gives its memory back when a large body has gone", () => {
    const output = new OutputBuffer();
    output.putBytes(new Uint8Array(1_000_000), 0, 1_000_000);
    output.sent(1_000_000);
    expect(output.bytes.length).toBeLessThan(16_385);
    expect(() => output.sent(1)).toThrow(AssertionFault);
  });
});
