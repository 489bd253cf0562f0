/**
 * What an exchange over HTTP/1.1 costs without its sockets, in nanoseconds: a request of 6 fields out, a response of 8 fields in.
 * Run it with `bun bench/micro/h1.ts` or `deno run bench/micro/h1.ts`.
 */
import { Counters } from "../../src/core/counters.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { FieldSection } from "../../src/core/fields.ts";
import { type ExchangeSink, H1Connection } from "../../src/h1/connection.ts";
import { OutputBuffer } from "../../src/h1/output.ts";
import { writeRequestHead } from "../../src/h1/request-writer.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS_PER_ROUND = 50_000;

const REQUEST_FIELDS: readonly (readonly [string, string])[] = [
  ["user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
  ["accept", "text/html,application/xhtml+xml,*/*;q=0.8"],
  ["accept-encoding", "gzip, deflate, br, zstd"],
  ["via", "3 spooky"],
  ["x-forwarded-for", "192.0.2.17"],
  ["x-request-id", "01931b2f-6c1e-7c3a-9d52-0f6f3f7a1c11"],
];

const RESPONSE_FIELDS = [
  "Server: nginx/1.30.6",
  "Date: Mon, 23 Nov 2026 09:30:00 GMT",
  "Content-Type: text/html; charset=utf-8",
  "Last-Modified: Sun, 22 Nov 2026 11:00:00 GMT",
  "Connection: keep-alive",
  'ETag: "65a1-5f0c"',
  "Accept-Ranges: bytes",
];

const BODY = "x".repeat(512);

function fieldsOf(fields: readonly (readonly [string, string])[]): FieldSection {
  const writer = new FieldWriter();
  writer.begin();
  for (const [name, value] of fields) writer.add(name, value);
  return writer.toSection();
}

function responseOf(framing: string, body: string): Uint8Array {
  return new TextEncoder().encode(["HTTP/1.1 200 OK", ...RESPONSE_FIELDS, framing, "", body].join("\r\n"));
}

/** Reads as much of an answer as a proxy does at least: its framing and how long it is. */
class CountingSink implements ExchangeSink {
  fields = 0;
  bytes = 0;
  ended = 0;
  onInformational(): void {}
  onHead(_status: number, section: FieldSection): void {
    this.fields += section.count;
  }
  onData(_bytes: Uint8Array, at: number, end: number): void {
    this.bytes += end - at;
  }
  onTrailers(): void {}
  onWritable(): void {}
  onEnd(reusable: boolean): void {
    if (reusable) this.ended += 1;
  }
  onError(fault: string): void {
    throw new TypeError(`the bench's responses are valid: ${fault}`);
  }
}

const request = {
  method: "GET",
  path: "/products/4711/reviews?page=3",
  authority: "www.example.com",
  fields: fieldsOf(REQUEST_FIELDS),
  contentLengthBytes: -1,
};

function measure(label: string, pieces: readonly Uint8Array[]): void {
  const connection = new H1Connection(new Counters());
  const sink = new CountingSink();
  const nanoseconds = nanosecondsPerCall(CALLS_PER_ROUND, () => {
    connection.start(request, false, sink);
    connection.sent(connection.output.waitingBytes);
    for (const piece of pieces) connection.feed(piece);
    return sink.ended;
  });
  report(label, nanoseconds);
}

function splitAt(bytes: Uint8Array, lengthBytes: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += lengthBytes) pieces.push(bytes.subarray(at, at + lengthBytes));
  return pieces;
}

const fixed = responseOf("Content-Length: 512", BODY);
const chunked = responseOf("Transfer-Encoding: chunked", `200\r\n${BODY}\r\n0\r\n\r\n`);
measure("exchange, 6 and 8 fields, Content-Length", [fixed]);
measure("exchange, chunked", [chunked]);
measure("exchange, in pieces of 100 bytes", splitAt(fixed, 100));

const output = new OutputBuffer();
report(
  "request head alone, 6 fields",
  nanosecondsPerCall(CALLS_PER_ROUND, () => {
    writeRequestHead(request, "none", "", output);
    const written = output.waitingBytes;
    output.sent(written);
    return written;
  }),
);
