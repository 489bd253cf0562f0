import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { type Answer, bytesOf, everyCut, exchange } from "./exchanges.ts";

interface Case extends Omit<Answer, "pieces"> {
  readonly name: string;
  readonly text: string;
  readonly events: readonly string[];
}

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const CHUNKED_HEAD = "head 200 transfer-encoding: chunked";

const GOOD: readonly Case[] = [
  {
    name: "a body of a told length",
    text: `${OK}Content-Length: 5\r\n\r\nhello`,
    events: ["head 200 content-length: 5", "data hello", "end reusable"],
  },
  {
    name: "a body of no bytes",
    text: `${OK}Content-Length: 0\r\n\r\n`,
    events: ["head 200 bodyless content-length: 0", "end reusable"],
  },
  {
    name: "names lowered, values trimmed, order and repeats kept",
    text: `${OK}Set-Cookie: a=1\r\nX-ODD~Name: \t two  words\t \r\nset-cookie:b\r\nEmpty:\r\nBlank:  \r\nContent-Length: 0\r\n\r\n`,
    events: [
      "head 200 bodyless set-cookie: a=1 | x-odd~name: two  words | set-cookie: b | empty:  | blank:  | content-length: 0",
      "end reusable",
    ],
  },
  {
    name: "bytes above ASCII in values and reasons",
    text: "HTTP/1.1 200 D\xe9j\xe0\r\nX: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
    events: ["head 200 bodyless x: \xff\xfe | content-length: 0", "end reusable"],
  },
  {
    name: "no reason, and not even the space before it",
    text: "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
    events: ["head 404 bodyless content-length: 0", "end reusable"],
  },
  {
    name: "an empty reason",
    text: "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n",
    events: ["head 599 bodyless content-length: 0", "end reusable"],
  },
  {
    name: "chunks, their sizes in either case and padded",
    text: `${CHUNKED}3\r\nabc\r\n000A\r\n0123456789\r\n0\r\n\r\n`,
    events: [CHUNKED_HEAD, "data abc0123456789", "end reusable"],
  },
  {
    name: "chunk extensions, which are dropped",
    text: `${CHUNKED}1;a\r\nx\r\n1;b="q;\t";c=d\r\ny\r\n0;last\r\n\r\n`,
    events: [CHUNKED_HEAD, "data xy", "end reusable"],
  },
  {
    name: "an empty chunked body, its coding in capitals",
    text: `${OK}TRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n`,
    events: ["head 200 transfer-encoding: Chunked", "end reusable"],
  },
  {
    name: "trailers",
    text: `${CHUNKED}1\r\nx\r\n0\r\nGrpc-Status: 0\r\nX: y\r\n\r\n`,
    events: [CHUNKED_HEAD, "data x", "trailers grpc-status: 0 | x: y", "end reusable"],
  },
  {
    name: "trailers that would frame a message if they stood in its head, for the validator to drop",
    text: `${CHUNKED}1\r\nx\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\nConnection: close\r\nHost: a\r\n\r\n`,
    events: [
      CHUNKED_HEAD,
      "data x",
      "trailers content-length: 9 | transfer-encoding: gzip | connection: close | host: a",
      "end reusable",
    ],
  },
  {
    name: "informational heads first",
    text: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}Content-Length: 1\r\n\r\nx`,
    events: ["1xx 100", "1xx 103 link: </a>", "head 200 content-length: 1", "data x", "end reusable"],
  },
  {
    name: "a body until the connection ends",
    text: `${OK}X: y\r\n\r\nall the rest`,
    close: "clean",
    events: ["head 200 x: y", "data all the rest", "end"],
  },
  {
    name: "a body until the connection ends, of no bytes",
    text: `${OK}\r\n`,
    close: "clean",
    events: ["head 200", "end"],
  },
  {
    name: "HEAD with a length",
    method: "HEAD",
    text: `${OK}Content-Length: 5\r\n\r\n`,
    events: ["head 200 bodyless content-length: 5", "end reusable"],
  },
  {
    name: "HEAD with chunked",
    method: "HEAD",
    text: CHUNKED,
    events: ["head 200 bodyless transfer-encoding: chunked", "end reusable"],
  },
  {
    name: "HEAD with neither",
    method: "HEAD",
    text: `${OK}\r\n`,
    events: ["head 200 bodyless", "end reusable"],
  },
  {
    name: "204",
    text: "HTTP/1.1 204 No Content\r\n\r\n",
    events: ["head 204 bodyless", "end reusable"],
  },
  {
    name: "304 with the length of what it stands for",
    text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
    events: ["head 304 bodyless content-length: 500", "end reusable"],
  },
  {
    name: "304 with the coding of what it stands for",
    text: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    events: ["head 304 bodyless transfer-encoding: chunked", "end reusable"],
  },
  {
    name: "an informational head that says it has no body",
    text: `HTTP/1.1 102 X\r\nContent-Length: 0\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
    events: ["1xx 102 content-length: 0", "head 200 bodyless content-length: 0", "end reusable"],
  },
  {
    name: "HEAD after an informational head",
    method: "HEAD",
    text: `HTTP/1.1 103 X\r\n\r\n${OK}Content-Length: 5\r\n\r\n`,
    events: ["1xx 103", "head 200 bodyless content-length: 5", "end reusable"],
  },
  {
    name: "205, whose body is read like any other's",
    text: "HTTP/1.1 205 X\r\nContent-Length: 1\r\n\r\nx",
    events: ["head 205 content-length: 1", "data x", "end reusable"],
  },
  {
    name: "the highest status",
    text: "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n",
    events: ["head 999 bodyless content-length: 0", "end reusable"],
  },
  {
    name: "Content-Length with zeros before it",
    text: `${OK}Content-Length: 0001\r\n\r\nx`,
    events: ["head 200 content-length: 0001", "data x", "end reusable"],
  },
  {
    name: "Content-Length twice alike",
    text: `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`,
    events: ["head 200 content-length: 1 | content-length: 1", "data x", "end reusable"],
  },
  {
    name: "Connection: close",
    text: `${OK}Connection: x, CLOSE ,y\r\nContent-Length: 1\r\n\r\nx`,
    events: ["head 200 connection: x, CLOSE ,y | content-length: 1", "data x", "end"],
  },
  {
    name: "Connection: close beside keep-alive",
    text: `${OK}Connection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    events: ["head 200 bodyless connection: keep-alive | connection: close | content-length: 0", "end"],
  },
  {
    name: "a Connection that only looks like close",
    text: `${OK}Connection: closed, not-close\r\nContent-Length: 0\r\n\r\n`,
    events: ["head 200 bodyless connection: closed, not-close | content-length: 0", "end reusable"],
  },
  {
    name: "HTTP/1.0",
    text: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    events: ["head 200 content-length: 1", "data x", "end"],
  },
  {
    name: "HTTP/1.0 with keep-alive",
    text: "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
    events: ["head 200 connection: Keep-Alive | content-length: 1", "data x", "end reusable"],
  },
  {
    name: "HTTP/1.0 with keep-alive and nothing that ends its body",
    text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx",
    close: "clean",
    events: ["head 200 connection: keep-alive", "data x", "end"],
  },
  {
    name: "101 when it was asked for, and the tunnel's bytes",
    upgradeTo: "websocket",
    text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n\x81\x00HTTP/1.1",
    close: "clean",
    events: ["head 101 connection: Upgrade | upgrade: WebSocket", "data \x81\x00HTTP/1.1", "end"],
  },
  {
    name: "another answer than the 101 asked for",
    upgradeTo: "websocket",
    text: "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
    events: ["head 403 bodyless content-length: 0", "end reusable"],
  },
];

describe("a response is read the same however its bytes are cut", () => {
  test.each(GOOD)("$name", ({ text, events, ...answer }) => {
    for (const pieces of everyCut(bytesOf(text))) {
      expect(exchange({ ...answer, pieces }).events).toEqual([...events]);
    }
  });
});

/**
 * What is refused: the text, the fault, and what was delivered before it.
 *
 * Others are laxer. With nginx 1.30.6 and HAProxy 3.2.26 as proxies before a server that sends these, the client got a good answer
 * with the backend's status for: HTTP/1.2, HTTP/2.0 and HTTP/3.0, two spaces before the status, a tab behind it, statuses of two
 * digits and below 100, a NUL in the reason, a bare LF at the end of a status line, a field or a head, ESC and DEL in a value, white
 * space behind a chunk's size, 17 digits, an extension without a name, with blanks or with a NUL, an interim head of HTTP/1.0
 * (both); HTTP/1.10, four digits, a letter or nothing behind the status, a bare CR in the reason, CR CR LF, lines without a colon,
 * quotes and bytes above ASCII in names, bad trailers, a 101 that nobody asked for (nginx), and for what does not begin with
 * "HTTP/" it passed the bytes on as a body of HTTP/0.9; empty lines first, a tab before the status, folded lines, a bare LF at
 * the end of the trailers (HAProxy). What they pass on in HTTP/1.1 is their client's to judge again; what we took would be in
 * HTTP/3 as if it had been well formed, so nothing is guessed here. Bare LF and blanks behind a chunk's size come from real if old
 * servers: whoever meets one reads the fault in the log.
 */
const BAD: readonly (readonly [name: string, text: string, fault: string, before?: readonly string[]])[] = [
  ["no HTTP at all", "\x15\x03\x01\x00\x02\x02\x46", "not-http"],
  ["SETTINGS of HTTP/2", "\x00\x00\x12\x04\x00\x00\x00\x00\x00", "not-http"],
  ["an empty line first", `\r\n${OK}\r\n`, "not-http"],
  ["empty lines first", `\r\n\r\n${OK}\r\n`, "not-http"],
  ["a bare LF first", `\n${OK}\r\n`, "not-http"],
  ["a space first", ` ${OK}\r\n`, "not-http"],
  ["a NUL first", `\0${OK}\r\n`, "not-http"],
  ["HTTP/0.9", "<html>hello</html>", "not-http"],
  ["another protocol's name", "ICY 200 OK\r\n\r\n", "not-http"],
  ["a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "not-http"],
  ["lower-case http", "http/1.1 200 OK\r\n\r\n", "not-http"],
  ["HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "not-http"],
  ["HTTP/3.0", "HTTP/3.0 200 OK\r\n\r\n", "not-http"],
  ["a version without a minor one", "HTTP/1 200 OK\r\n\r\n", "not-http"],
  ["nothing behind the version", "HTTP/1.1\r\n\r\n", "status-line"],
  ["no status", "HTTP/1.1 OK\r\n\r\n", "status"],
  ["a reason that touches the status", "HTTP/1.1 200OK\r\n\r\n", "status-line"],
  ["a tab behind the status", "HTTP/1.1 200\tOK\r\n\r\n", "status-line"],
  ["a status with a sign", "HTTP/1.1 +20 OK\r\n\r\n", "status"],
  ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", "version"],
  ["HTTP/1.10", "HTTP/1.10 200 OK\r\n\r\n", "status-line"],
  ["an informational head of HTTP/1.0", `HTTP/1.0 100 Continue\r\n\r\n${OK}\r\n`, "version"],
  ["two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n", "status"],
  ["a tab before the status", "HTTP/1.1\t200 OK\r\n\r\n", "status-line"],
  ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "status"],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "status-line"],
  ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n", "status"],
  ["a letter in the status", "HTTP/1.1 2x0 OK\r\n\r\n", "status"],
  ["a NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n", "value-character"],
  ["a status line that ends in a bare LF", "HTTP/1.1 200 OK\n\r\n", "bare-lf"],
  ["a short status line that ends in a bare LF", "HTTP/1.1 200\n\r\n", "bare-lf"],
  ["a bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", "bare-cr"],
  ["a field that ends in a bare LF", `${OK}A: b\nC: d\r\n\r\n`, "bare-lf"],
  ["a bare CR in a value", `${OK}A: b\rC: d\r\n\r\n`, "bare-cr"],
  ["CR CR LF", `${OK}A: b\r\r\n\r\n`, "bare-cr"],
  ["a head that ends in a bare LF", `${OK}A: b\r\n\nbody`, "bare-lf"],
  ["a head that ends in a bare CR", `${OK}A: b\r\n\rbody`, "bare-cr"],
  ["a folded line", `${OK}A: b\r\n c\r\n\r\n`, "obs-fold"],
  ["a line folded with a tab", `${OK}A: b\r\n\tc\r\n\r\n`, "obs-fold"],
  ["white space before the first field", `${OK} A: b\r\n\r\n`, "obs-fold"],
  ["a space before the colon", `${OK}A : b\r\n\r\n`, "name-whitespace"],
  ["a tab before the colon", `${OK}A\t: b\r\n\r\n`, "name-whitespace"],
  ["a space in a name", `${OK}A B: b\r\n\r\n`, "name-whitespace"],
  ["no name", `${OK}: b\r\n\r\n`, "name-empty"],
  ["no colon", `${OK}Abc\r\n\r\n`, "name-character"],
  ["a pseudo-field", `${OK}:status: 200\r\n\r\n`, "name-empty"],
  ["a byte above ASCII in a name", `${OK}\xc4: b\r\n\r\n`, "name-character"],
  ["a NUL in a name", `${OK}A\0: b\r\n\r\n`, "name-character"],
  ["a NUL in a value", `${OK}A: b\0\r\n\r\n`, "value-character"],
  ["a quoted name", `${OK}"A": b\r\n\r\n`, "name-character"],
  ["a name with a slash", `${OK}A/B: c\r\n\r\n`, "name-character"],
  ["an ESC in a value", `${OK}A: \x1b[0m\r\n\r\n`, "value-character"],
  ["a DEL in a value", `${OK}A: \x7f\r\n\r\n`, "value-character"],
  ["101 that nobody asked for", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "unexpected-upgrade"],
  ["an informational head with a body", "HTTP/1.1 103 X\r\nContent-Length: 1\r\n\r\nx", "body-forbidden"],
  ["an informational head with chunks", "HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n", "body-forbidden"],
  ["a chunk without a size", `${CHUNKED}\r\nx\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a chunk size with a prefix", `${CHUNKED}0x3\r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a chunk size with a sign", `${CHUNKED}+3\r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a negative chunk size", `${CHUNKED}-1\r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a chunk size with a space behind", `${CHUNKED}3 \r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a chunk size with a tab behind", `${CHUNKED}3\t\r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a blank before a chunk extension", `${CHUNKED}3 ;a\r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a blank within a chunk extension", `${CHUNKED}3;a =b\r\nabc\r\n`, "chunk-extension", [CHUNKED_HEAD]],
  ["a chunk extension without a value", `${CHUNKED}3;a=\r\nabc\r\n`, "chunk-extension", [CHUNKED_HEAD]],
  ["a chunk extension whose quotes do not end", `${CHUNKED}3;a="b\r\nabc\r\n`, "chunk-extension", [CHUNKED_HEAD]],
  ["a chunk size with a space before", `${CHUNKED} 3\r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a chunk size with an underscore", `${CHUNKED}1_0\r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a chunk size of 2^53", `${CHUNKED}20000000000000\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a chunk size that would wrap 64 bits", `${CHUNKED}10000000000000003\r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a chunk size of 17 digits", `${CHUNKED}00000000000000003\r\nabc\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a chunk size that ends in a bare LF", `${CHUNKED}3\nabc\r\n`, "bare-lf", [CHUNKED_HEAD]],
  ["a chunk size that ends in a bare CR", `${CHUNKED}3\rabc\r\n`, "bare-cr", [CHUNKED_HEAD]],
  ["a chunk extension without a name", `${CHUNKED}3;\r\nabc\r\n`, "chunk-extension", [CHUNKED_HEAD]],
  ["a chunk extension that ends in a bare LF", `${CHUNKED}3;a\nabc\r\n`, "bare-lf", [CHUNKED_HEAD]],
  ["a chunk extension with a bare CR", `${CHUNKED}3;a\rb\r\nabc\r\n`, "bare-cr", [CHUNKED_HEAD]],
  ["a chunk extension with a NUL", `${CHUNKED}3;a\0\r\nabc\r\n`, "chunk-extension", [CHUNKED_HEAD]],
  ["a chunk longer than its size", `${CHUNKED}3\r\nabcd\r\n0\r\n\r\n`, "chunk-end", [CHUNKED_HEAD, "data abc"]],
  ["a chunk that ends in a bare LF", `${CHUNKED}3\r\nabc\n0\r\n\r\n`, "chunk-end", [CHUNKED_HEAD, "data abc"]],
  ["a chunk that ends in a bare CR", `${CHUNKED}3\r\nabc\r0\r\n\r\n`, "chunk-end", [CHUNKED_HEAD, "data abc"]],
  ["a chunk shorter than its size", `${CHUNKED}5\r\nabc\r\n0\r\n\r\n`, "chunk-end", [CHUNKED_HEAD, "data abc\r\n"]],
  ["a last chunk with a minus", `${CHUNKED}-0\r\n\r\n`, "chunk-size", [CHUNKED_HEAD]],
  ["a folded trailer", `${CHUNKED}0\r\nA: b\r\n c\r\n\r\n`, "obs-fold", [CHUNKED_HEAD]],
  ["a NUL in a trailer", `${CHUNKED}0\r\nA: b\0\r\n\r\n`, "value-character", [CHUNKED_HEAD]],
  ["a trailer without a colon", `${CHUNKED}0\r\nA\r\n\r\n`, "name-character", [CHUNKED_HEAD]],
  ["a pseudo-field in the trailers", `${CHUNKED}0\r\n:path: /\r\n\r\n`, "name-empty", [CHUNKED_HEAD]],
  ["trailers that end in a bare CR", `${CHUNKED}0\r\n\rx`, "bare-cr", [CHUNKED_HEAD]],
  ["a bad trailer", `${CHUNKED}0\r\nA : b\r\n\r\n`, "name-whitespace", [CHUNKED_HEAD]],
  ["trailers that end in a bare LF", `${CHUNKED}0\r\nA: b\r\n\n`, "bare-lf", [CHUNKED_HEAD]],
];

describe("a bad response is refused for the same reason however its bytes are cut", () => {
  test.each(BAD)("%s", (_name, text, fault, before = []) => {
    for (const pieces of everyCut(bytesOf(text))) {
      const { events, connection, counters } = exchange({ pieces });
      expect(events).toEqual([...before, `error ${fault} received`]);
      expect(connection.state).toBe("closed");
      expect(counters.upstreamH1Refused).toBe(1);
    }
  });
});

test("101 must name the protocol asked for, and name it as the connection's own", () => {
  const heads = [
    "Connection: upgrade\r\nUpgrade: h2c",
    "Connection: upgrade",
    "Upgrade: websocket",
    "Connection: keep-alive\r\nUpgrade: websocket",
    "Connection: upgrade\r\nUpgrade: websocket2, web socket",
  ];
  for (const head of heads) {
    const pieces = [bytesOf(`HTTP/1.1 101 X\r\n${head}\r\n\r\n`)];
    expect(exchange({ pieces, upgradeTo: "websocket" }).events).toEqual(["error unexpected-upgrade received"]);
  }
  for (const framing of ["Content-Length: 5", "Transfer-Encoding: chunked"]) {
    const pieces = [bytesOf(`HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n${framing}\r\n\r\n`)];
    expect(exchange({ pieces, upgradeTo: "websocket" }).events).toEqual(["error body-forbidden received"]);
  }
});

describe("limits", () => {
  /** A head of so many bytes. */
  function headOf(lengthBytes: number): string {
    const before = `${OK}Content-Length: 0\r\nX: `;
    return `${before}${"x".repeat(lengthBytes - before.length - 4)}\r\n\r\n`;
  }

  /** The last event of an exchange, when the answer comes whole and in pieces of one prime length. */
  function lastEvents(text: string): Set<string | undefined> {
    const bytes = bytesOf(text);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += 251) pieces.push(bytes.slice(at, at + 251));
    return new Set([exchange({ pieces: [bytes] }).events.at(-1), exchange({ pieces }).events.at(-1)]);
  }

  test.each<[string, (over: number) => string, string]>([
    ["bytes of a head", (over) => headOf(LIMITS.h1HeadBytesMax + over), "head-too-large"],
    [
      "fields of a head",
      (over) => `${OK}${"A: b\r\n".repeat(LIMITS.fieldsPerSectionMax - 1 + over)}Content-Length: 0\r\n\r\n`,
      "too-many-fields",
    ],
    [
      "informational heads",
      (over) => `${"HTTP/1.1 103 X\r\n\r\n".repeat(LIMITS.h1InformationalMax + over)}${OK}Content-Length: 0\r\n\r\n`,
      "too-many-informational",
    ],
    [
      "bytes of trailers",
      (over) => `${CHUNKED}0\r\nX: ${"x".repeat(LIMITS.h1TrailerBytesMax - 7 + over)}\r\n\r\n`,
      "trailers-too-large",
    ],
    [
      "bytes of an extension",
      (over) => `${CHUNKED}1;${"x".repeat(LIMITS.h1ChunkExtensionBytesMax - 1 + over)}\r\nx\r\n0\r\n\r\n`,
      "chunk-extensions-too-large",
    ],
    [
      "bytes of many extensions, beyond their data",
      (over) => {
        const extended = "1;abc\r\nx\r\n".repeat(LIMITS.h1ChunkExtensionBytesMax / 4);
        // Each of them owes four bytes and its data pays for one.
        return `${CHUNKED}${extended}1;${"x".repeat(LIMITS.h1ChunkExtensionBytesMax / 4 - 1 + over)}\r\nx\r\n0\r\n\r\n`;
      },
      "chunk-extensions-too-large",
    ],
  ])("%s: one more is refused", (_name, make, fault) => {
    expect(lastEvents(make(0))).toEqual(new Set(["end reusable"]));
    expect(lastEvents(make(1))).toEqual(new Set([`error ${fault} received`]));
    expect(exchange({ pieces: [bytesOf(make(1))] }).counters.upstreamH1Limits).toBe(1);
  });

  test("a head without an end is refused at its limit, whichever part of it never ends", () => {
    const endless = ["HTTP/1.1 200 ", `${OK}`, `${OK}A: `, `${OK}A:`];
    const filling = ["r", "n", "v", " "];
    endless.forEach((start, i) => {
      const pieces = [bytesOf(start), ...Array.from({ length: 80 }, () => bytesOf((filling[i] ?? "").repeat(1024)))];
      expect(exchange({ pieces }).events).toEqual(["error head-too-large received"]);
    });
  });

  test("extensions that their data pay for may go on for ever", () => {
    const chunk = `64;signature=0123456789\r\n${"x".repeat(100)}\r\n`;
    expect(lastEvents(`${CHUNKED}${chunk.repeat(1000)}0\r\n\r\n`)).toEqual(new Set(["end reusable"]));
  });
});
