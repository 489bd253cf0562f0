/** Ways in which a backend, or somebody behind it, makes two readers see different messages. Each ends the connection. */
import { describe, expect, test } from "bun:test";
import { bytesOf, everyCut, exchange } from "./exchanges.ts";

const OK = "HTTP/1.1 200 OK\r\n";

/**
 * Heads whose length could be read in two ways; nothing of such a response goes on. HAProxy 3.2.26 takes those with Content-Length and
 * chunked (the coding counts), lengths that say the same in other digits or in a list, and folded lines; nginx 1.30.6 and it take
 * 2^53 and more, a length behind a bare LF, and chunks from a peer of HTTP/1.0. All else here both refuse as well, and nginx even
 * two lengths that are alike.
 */
const AMBIGUOUS: readonly (readonly [name: string, fields: string, fault: string])[] = [
  ["Content-Length, then chunked", "Content-Length: 3\r\nTransfer-Encoding: chunked", "length-and-coding"],
  ["chunked, then Content-Length", "Transfer-Encoding: chunked\r\nContent-Length: 3", "length-and-coding"],
  ["Content-Length 0 and chunked", "Content-Length: 0\r\nTransfer-Encoding: chunked", "length-and-coding"],
  ["Content-Length and an odd coding", "Content-Length: 3\r\nTransfer-Encoding: identity", "length-and-coding"],
  ["two lengths", "Content-Length: 3\r\nContent-Length: 4", "content-length-conflict"],
  ["two lengths far apart", "Content-Length: 3\r\nA: b\r\ncontent-length: 0", "content-length-conflict"],
  ["one length written in two ways", "Content-Length: 3\r\nContent-Length: 03", "content-length-conflict"],
  ["a list of lengths", "Content-Length: 3, 3", "content-length"],
  ["a list of lengths that differ", "Content-Length: 3, 4", "content-length"],
  ["a length with a comma behind", "Content-Length: 3,", "content-length"],
  ["a length with a semicolon", "Content-Length: 3;q=1", "content-length"],
  ["a length in quotes", 'Content-Length: "3"', "content-length"],
  ["an empty length", "Content-Length:", "content-length"],
  ["a length with a plus", "Content-Length: +3", "content-length"],
  ["a negative length", "Content-Length: -3", "content-length"],
  ["a hexadecimal length", "Content-Length: 0x3", "content-length"],
  ["a length with a space inside", "Content-Length: 3 0", "content-length"],
  ["a length with a fraction", "Content-Length: 3.0", "content-length"],
  ["a length in full-width digits", "Content-Length: \xef\xbc\x93", "content-length"],
  ["a length of 2^53", "Content-Length: 9007199254740992", "content-length"],
  ["a length of 2^64 + 3", "Content-Length: 18446744073709551619", "content-length"],
  ["identity", "Transfer-Encoding: identity", "transfer-coding"],
  ["gzip, chunked", "Transfer-Encoding: gzip, chunked", "transfer-coding"],
  ["chunked, gzip", "Transfer-Encoding: chunked, gzip", "transfer-coding"],
  ["chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "transfer-coding"],
  ["gzip and chunked in two fields", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "transfer-coding"],
  ["chunked twice", "Transfer-Encoding: chunked, chunked", "transfer-coding"],
  ["chunked in quotes", 'Transfer-Encoding: "chunked"', "transfer-coding"],
  ["chunked with a parameter", "Transfer-Encoding: chunked;q=1", "transfer-coding"],
  ["chunked behind a comma", "Transfer-Encoding: ,chunked", "transfer-coding"],
  ["chunked behind a vertical tab", "Transfer-Encoding: \x0bchunked", "value-character"],
  ["chunked before a comma", "Transfer-Encoding: chunked,", "transfer-coding"],
  ["chunked and an empty coding in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding:", "transfer-coding"],
  ["chunked and identity", "Transfer-Encoding: identity, chunked", "transfer-coding"],
  ["chunked with a space inside", "Transfer-Encoding: chu nked", "transfer-coding"],
  ["an empty coding", "Transfer-Encoding:", "transfer-coding"],
  ["a coding that ends like chunked", "Transfer-Encoding: xchunked", "transfer-coding"],
  ["a space before the colon", "Transfer-Encoding : chunked", "name-whitespace"],
  ["a coding in a folded line", "Transfer-Encoding:\r\n chunked", "obs-fold"],
  ["a length hidden by a bare CR", "A: b\rContent-Length: 3", "bare-cr"],
  ["a length hidden by a bare LF", "A: b\nContent-Length: 3", "bare-lf"],
  ["a length hidden by a NUL", "A: b\0Content-Length: 3", "value-character"],
];

describe("a head of two meanings is refused", () => {
  test.each(AMBIGUOUS)("%s", (_name, fields, fault) => {
    for (const pieces of everyCut(bytesOf(`${OK}${fields}\r\n\r\n0\r\n\r\n`))) {
      expect(exchange({ pieces }).events).toEqual([`error ${fault} received`]);
    }
  });

  test.each(["HEAD", "GET"])("the same holds where no body follows, %s", (method) => {
    const head = "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    const { events } = exchange({ pieces: [bytesOf(head)], method });
    expect(events).toEqual(["error length-and-coding received"]);
  });

  test("chunks from a peer of HTTP/1.0", () => {
    const pieces = [bytesOf("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")];
    expect(exchange({ pieces }).events).toEqual(["error transfer-coding received"]);
  });

  test("names that only look like Content-Length and Transfer-Encoding frame nothing", () => {
    const pieces = [bytesOf(`${OK}Content_Length: 3\r\nTransfer-Encodin: chunked\r\n\r\n0\r\n\r\n`)];
    const { events } = exchange({ pieces, close: "clean" });
    expect(events.slice(1)).toEqual(["data 0\r\n\r\n", "end"]);
  });
});

/** Complete answers with more behind them. The answer is good; the connection is not. */
const SURPLUS: readonly (readonly [name: string, method: string, answer: string])[] = [
  ["a body of a told length", "GET", `${OK}Content-Length: 1\r\n\r\nx`],
  ["a chunked body", "GET", `${OK}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`],
  ["a chunked body with trailers", "GET", `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n`],
  ["HEAD", "HEAD", `${OK}Content-Length: 6\r\n\r\n`],
  ["204", "GET", "HTTP/1.1 204 No Content\r\n\r\n"],
  ["304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n"],
];

describe("a byte too many", () => {
  for (const [name, method, answer] of SURPLUS) {
    for (const surplus of ["\r\n", "x", `${OK}Content-Length: 3\r\n\r\nbad`]) {
      test(`${JSON.stringify(surplus.slice(0, 8))} behind ${name} poisons the connection, now or later`, () => {
        const together = exchange({ pieces: [bytesOf(answer + surplus)], method });
        expect(together.events.at(-1)).toBe("end");
        expect(together.connection.state).toBe("closed");
        expect(together.counters.upstreamH1Surplus).toBe(1);

        const later = exchange({ pieces: [bytesOf(answer)], method });
        expect(later.events.at(-1)).toBe("end reusable");
        expect(later.connection.state).toBe("idle");
        const told = [...later.events];
        later.connection.feed(bytesOf(surplus));
        expect(later.connection.state).toBe("closed");
        expect(later.events).toEqual(told);
        expect(later.counters.upstreamH1Surplus).toBe(1);
      });
    }
  }

  test("a 204 that promises a body is answered, and its connection not used again even before the body comes", () => {
    for (const promise of ["Content-Length: 6", "Transfer-Encoding: chunked"]) {
      const { events } = exchange({ pieces: [bytesOf(`HTTP/1.1 204 No Content\r\n${promise}\r\n\r\n`)] });
      expect(events.at(-1)).toBe("end");
    }
  });
});

describe("an answer that is cut short", () => {
  const CUT: readonly (readonly [name: string, text: string, fault: string])[] = [
    ["before any byte", "", "closed-in-head"],
    ["in the status line", "HTTP/1.1 2", "closed-in-head"],
    ["in the head", `${OK}Content-Length: 1\r\n`, "closed-in-head"],
    ["after an informational head", "HTTP/1.1 103 X\r\n\r\n", "closed-in-head"],
    ["in a body of a told length", `${OK}Content-Length: 3\r\n\r\nab`, "closed-in-body"],
    ["before a body of a told length", `${OK}Content-Length: 3\r\n\r\n`, "closed-in-body"],
    ["in a chunk", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nab`, "closed-in-body"],
    ["between chunks", `${OK}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`, "closed-in-body"],
    ["before the end of the trailers", `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n`, "closed-in-body"],
  ];

  test.each(CUT)("%s is an error, even when the connection ends in order", (_name, text, fault) => {
    for (const close of ["clean", "reset"] as const) {
      const { events, connection } = exchange({ pieces: [bytesOf(text)], close });
      expect(events.at(-1)).toBe(`error ${fault}${text === "" ? "" : " received"}`);
      expect(connection.state).toBe("closed");
    }
  });

  test("a body until the connection ends is cut short by a reset", () => {
    const { events } = exchange({ pieces: [bytesOf(`${OK}\r\nabc`)], close: "reset" });
    expect(events).toEqual(["head 200", "data abc", "error closed-in-body received"]);
  });
});
