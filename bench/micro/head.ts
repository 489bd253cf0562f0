/**
 * What a request head costs, in nanoseconds: indexing the flat section, validating it, writing the fields for a backend and
 * making them a section. Run it with `bun bench/micro/head.ts` or `deno run bench/micro/head.ts`.
 */
import { RequestId } from "../../src/core/request-id.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { FieldSection } from "../../src/core/fields.ts";
import { Random } from "../../src/core/random.ts";
import { Malformed, readRequestHead } from "../../src/h3/head.ts";
import { Provenance } from "../../src/proxy/provenance.ts";
import { Trace } from "../../src/proxy/trace.ts";
import { writeRequestFields, writeResponseFields } from "../../src/proxy/rewrite.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS_PER_ROUND = 50_000;

const SMALL: readonly (readonly [string, string])[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "www.example.com"],
  [":path", "/index.html"],
];

/** What a browser sends. */
const BROWSER: readonly (readonly [string, string])[] = [
  [":method", "GET"],
  [":authority", "www.example.com"],
  [":scheme", "https"],
  [":path", "/products/4711/reviews?page=3&sort=newest"],
  ["sec-ch-ua", '"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"'],
  ["sec-ch-ua-mobile", "?0"],
  ["sec-ch-ua-platform", '"Linux"'],
  ["upgrade-insecure-requests", "1"],
  [
    "user-agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  ],
  ["accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
  ["sec-fetch-site", "same-origin"],
  ["sec-fetch-mode", "navigate"],
  ["sec-fetch-dest", "document"],
  ["referer", "https://www.example.com/products/4711"],
  ["accept-encoding", "gzip, deflate, br, zstd"],
  ["accept-language", "en-GB,en;q=0.9,de;q=0.8"],
  ["cookie", "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=1"],
];

const RESPONSE: readonly (readonly [string, string])[] = [
  ["date", "Mon, 23 Nov 2026 09:30:00 GMT"],
  ["content-type", "text/html; charset=utf-8"],
  ["content-length", "512"],
  ["server", "nginx"],
  ["etag", '"65a1-5f0c"'],
  ["cache-control", "max-age=60"],
];

const RANDOM = Random.fromEntropy([1]);

const CONTEXT = {
  provenance: new Provenance("192.0.2.17"),
  forwarding: { mode: "overwrite", trustedProxies: [], sendsForwarded: true },
  // One that lives is always drawn already, so each call gets a new one.
  get trace(): Trace {
    return new Trace(RANDOM);
  },
  requestId: RequestId.ofWords(0x01931b2f, 0x6c1e7c3a, 0x9d520f6f, 0x3f7a1c11),
  early: false,
  takesTrailers: false,
} as const;

/** Flat as the native side writes it: the bytes follow the table at once. */
function flatOf(fields: readonly (readonly [string, string])[]): Uint8Array {
  const text = fields.map(([name, value]) => name + value).join("");
  const flat = new Uint8Array(new ArrayBuffer(8 + 8 * fields.length + text.length));
  const view = new DataView(flat.buffer);
  view.setUint32(0, fields.length, true);
  view.setUint32(4, 8 + 8 * fields.length, true);
  fields.forEach(([name, value], i) => {
    view.setUint32(8 + 8 * i, name.length, true);
    view.setUint32(12 + 8 * i, value.length, true);
  });
  flat.set(new TextEncoder().encode(text), 8 + 8 * fields.length);
  return flat;
}

function measure(label: string, work: () => number): void {
  report(label, nanosecondsPerCall(CALLS_PER_ROUND, work));
}

function sectionOf(flat: Uint8Array): FieldSection {
  const section = FieldSection.from(flat);
  if (section === null) throw new TypeError("the bench's sections are well formed");
  return section;
}

function headOf(flat: Uint8Array) {
  const head = readRequestHead(sectionOf(flat));
  if (head instanceof Malformed) throw new TypeError(`the bench's heads are valid: ${head.reason}`);
  return head;
}

const writer = new FieldWriter();
for (const [label, fields] of [
  ["4 fields", SMALL],
  [`${BROWSER.length} fields`, BROWSER],
] as const) {
  const flat = flatOf(fields);
  const section = sectionOf(flat);
  const head = headOf(flat);
  measure(`${label}: index the flat section`, () => sectionOf(flat).count);
  // The text is decoded once for each section, so a section read twice would look cheaper than it is.
  measure(`${label}: index and validate`, () => headOf(flat).path.length);
  measure(`${label}: validate again (text decoded)`, () => (readRequestHead(section) instanceof Malformed ? 0 : 1));
  measure(`${label}: write for the backend`, () => (writeRequestFields(head, writer, CONTEXT) ? 1 : 0));
  measure(`${label}: all of it, and a section of the result`, () => {
    writeRequestFields(headOf(flat), writer, CONTEXT);
    return writer.toSection().count;
  });
}
const response = sectionOf(flatOf(RESPONSE));
measure("response, 6 fields: check and write", () => {
  writeResponseFields(200, response, writer, CONTEXT.requestId, "1.1");
  return writer.finish().length;
});
