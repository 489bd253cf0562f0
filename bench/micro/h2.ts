/**
 * What a request costs the HTTP/2 client, in nanoseconds, in memory and without a socket: encoding its head into the output,
 * taking the output, decoding the answer and telling the sink. Run it with `bun bench/micro/h2.ts` or `deno run bench/micro/h2.ts`.
 */
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { FieldSection } from "../../src/core/fields.ts";
import { FLAG, FRAME } from "../../src/h2/codes.ts";
import { Http2Connection } from "../../src/h2/connection.ts";
import { HpackDecoder } from "../../src/h2/hpack-decoder.ts";
import { HpackEncoder } from "../../src/h2/hpack-encoder.ts";
import type { H2Stream } from "../../src/h2/stream.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS_PER_ROUND = 50_000;
/** Requests whose frames share one write and one read, as at 10 connections with 10 streams. */
const BATCH = 50;

type Fields = readonly (readonly [string, string])[];

const LINE = { method: "GET", scheme: "https", authority: "www.example.com", path: "/index/of/things" };
/** With the request line, 6 fields. */
const SMALL: Fields = [
  ["x-forwarded-for", "192.0.2.17"],
  ["x-request-id", "01931b2f-6c1e-7c3a-9d52-0f6f3f7a1c11"],
];
/** With the request line, what a browser sends. */
const BROWSER: Fields = [
  ...SMALL,
  ["sec-ch-ua", '"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"'],
  ["sec-ch-ua-mobile", "?0"],
  ["sec-ch-ua-platform", '"Linux"'],
  [
    "user-agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  ],
  ["accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
  ["sec-fetch-site", "same-origin"],
  ["sec-fetch-mode", "navigate"],
  ["referer", "https://www.example.com/products/4711"],
  ["accept-encoding", "gzip, deflate, br, zstd"],
  ["accept-language", "en-GB,en;q=0.9,de;q=0.8"],
  ["cookie", "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=1"],
];
const RESPONSE: Fields = [
  [":status", "200"],
  ["date", "Mon, 23 Nov 2026 09:30:00 GMT"],
  ["content-type", "text/html; charset=utf-8"],
  ["content-length", "512"],
  ["server", "nginx"],
  ["etag", '"65a1-5f0c"'],
  ["cache-control", "max-age=60"],
  ["x-served-by", "cache-7"],
];

const writer = new FieldWriter();

function sectionOf(fields: Fields): FieldSection {
  writer.begin();
  for (const [name, value] of fields) writer.add(name, value);
  return writer.toSection();
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(9 + payload.length);
  new DataView(bytes.buffer).setUint32(0, payload.length << 8);
  bytes[3] = type;
  bytes[4] = flags;
  new DataView(bytes.buffer).setUint32(5, streamId);
  bytes.set(payload, 9);
  return bytes;
}

/** Blocks of the same section one after the other: the first, and one that the table has settled for. */
function blocksOf(fields: Fields, huffman: boolean): readonly Uint8Array[] {
  const encoder = new HpackEncoder(huffman);
  const section = sectionOf(fields);
  return [0, 1, 2].map(() => {
    const into = new Uint8Array(4096);
    return into.slice(0, encoder.putSection(section, into, encoder.begin(into, 0)));
  });
}

/** A connection, the answers to a batch as one read, and a sink that counts bytes. */
class Rig {
  readonly client: Http2Connection;
  received = 0;
  readonly #fields: FieldSection;
  readonly #answers: Uint8Array;
  readonly #answerBytes: number;
  readonly #dataAt: number;
  readonly #streams: H2Stream[] = [];
  #id = 1;

  constructor(fields: Fields, block: Uint8Array, bodyBytes: number) {
    const sink = { onReady() {}, onOpenable() {}, onGoaway() {}, onFailure() {} };
    this.client = new Http2Connection({ sink, writer, counters: new Counters(), nowMs: 0 });
    this.client.receive(frame(FRAME.settings, 0, 0, new Uint8Array(0)), 0);
    this.#fields = sectionOf(fields);
    const head = frame(FRAME.headers, FLAG.endHeaders, 0, block);
    const data = frame(FRAME.data, FLAG.endStream, 0, new Uint8Array(bodyBytes));
    this.#answerBytes = head.length + data.length;
    this.#answers = new Uint8Array(BATCH * this.#answerBytes);
    for (let i = 0; i < BATCH; i++) {
      this.#answers.set(head, i * this.#answerBytes);
      this.#answers.set(data, i * this.#answerBytes + head.length);
    }
    this.#dataAt = head.length;
  }
  /** Blocks that fill the decoder's table. */
  learn(blocks: readonly Uint8Array[]): void {
    for (const block of blocks) {
      // HEAD, for these answers have no body.
      this.client.openLine({ ...LINE, method: "HEAD" }, this.#fields, false, this, 0);
      this.client.receive(frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, this.#id, block), 0);
      this.#id += 2;
    }
    this.client.flushed(this.client.output.length);
  }

  batch(): number {
    for (let i = 0; i < BATCH; i++) {
      this.#streams.push(must(this.client.openLine(LINE, this.#fields, false, this, 0), "a stream is free"));
      const at = i * this.#answerBytes;
      this.#putId(at + 5);
      this.#putId(at + this.#dataAt + 5);
      this.#id += 2;
    }
    this.client.flushed(this.client.output.pending().length);
    this.client.receive(this.#answers, 0);
    for (const stream of this.#streams) this.client.consumed(stream, stream.unconsumedBytes);
    this.#streams.length = 0;
    if (this.client.streams.count !== 0) throw new TypeError("all requests of a batch are answered");
    return this.received;
  }

  #putId(at: number): void {
    this.#answers[at] = this.#id >>> 24;
    this.#answers[at + 1] = this.#id >>> 16;
    this.#answers[at + 2] = this.#id >>> 8;
    this.#answers[at + 3] = this.#id;
  }

  onInformational(): void {}
  onHead(status: number, section: FieldSection): void {
    this.received += status + section.count;
  }
  onData(_bytes: Uint8Array, at: number, end: number): void {
    this.received += end - at;
  }
  onTrailers(): void {}
  onEnd(): void {}
  onReset(): void {
    throw new TypeError("no stream is reset");
  }
  onWritable(): void {}
}

for (const [label, fields] of [
  ["6 fields", SMALL],
  [`${BROWSER.length + 4} fields`, BROWSER],
] as const) {
  const encoder = new HpackEncoder();
  const section = sectionOf(fields);
  const into = new Uint8Array(8192);
  report(
    `encode ${label}`,
    nanosecondsPerCall(CALLS_PER_ROUND, () => {
      let end = encoder.begin(into, 0);
      end = encoder.putText(":method", LINE.method, into, end);
      end = encoder.putText(":scheme", LINE.scheme, into, end);
      end = encoder.putText(":authority", LINE.authority, into, end);
      end = encoder.putText(":path", LINE.path, into, end);
      return encoder.putSection(section, into, end);
    }),
  );
}

for (const [label, huffman, at] of [
  ["8 fields, from the tables", false, 2],
  ["8 fields, literal", false, 0],
  ["8 fields, Huffman-coded", true, 0],
] as const) {
  const blocks = blocksOf(RESPONSE, huffman);
  const block = blocks[at] ?? new Uint8Array(0);
  const decoder = new HpackDecoder();
  for (const learned of blocks.slice(0, at)) {
    writer.begin();
    decoder.decode(learned, 0, learned.length, writer);
  }
  report(
    `decode ${label}`,
    nanosecondsPerCall(CALLS_PER_ROUND, () => {
      writer.begin();
      decoder.decode(block, 0, block.length, writer);
      return writer.count;
    }),
  );
  report(
    `decode ${label}, and a section of it`,
    nanosecondsPerCall(CALLS_PER_ROUND, () => {
      writer.begin();
      decoder.decode(block, 0, block.length, writer);
      return writer.toSection().after(1).count;
    }),
  );
}

for (const [label, fields, at] of [
  ["request, 6 fields; answer, 8 fields from the tables, 512 B", SMALL, 2],
  ["request, 6 fields; answer, 8 literal fields, 512 B", SMALL, 0],
  ["request, 17 fields; answer, 8 fields from the tables, 512 B", BROWSER, 2],
] as const) {
  const blocks = blocksOf(RESPONSE, false);
  const rig = new Rig(fields, blocks[at] ?? new Uint8Array(0), 512);
  rig.learn(blocks.slice(0, at));
  report(label, nanosecondsPerCall(CALLS_PER_ROUND / BATCH, () => rig.batch()) / BATCH);
}
