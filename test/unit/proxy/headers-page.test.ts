/** The examples of `docs/headers.md`: each is done as it stands there. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RequestId } from "../../../src/core/request-id.ts";
import { loadConfig } from "../../../src/config/load.ts";
import type { PoolSettings } from "../../../src/config/snapshot.ts";
import { must } from "../../../src/core/assert.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { Random } from "../../../src/core/random.ts";
import { OutputBuffer } from "../../../src/h1/output.ts";
import { requestFramingOf, writeRequestHead } from "../../../src/h1/request-writer.ts";
import { Malformed, readRequestHead, type RequestHead } from "../../../src/h3/head.ts";
import { Attempt } from "../../../src/proxy/attempt.ts";
import type { BodySource, ReceivedProtocol } from "../../../src/proxy/ports.ts";
import { Provenance } from "../../../src/proxy/provenance.ts";
import { requestIdOf, writeResponseFields } from "../../../src/proxy/rewrite.ts";
import { Trace } from "../../../src/proxy/trace.ts";
import { type Field, fieldsOfFlat, sectionOf } from "../../support/sections.ts";

const PAGE = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "headers.md"), "utf8");
const PEER = "192.0.2.17";
const BACKEND = "http://10.0.0.9:8080";
/** Stands for what is another with each request. */
const MADE_HERE = "<made here>";

/** An example: lines with a meaning before it, what goes in and what comes out. */
interface Example {
  readonly kind: string;
  readonly given: ReadonlyMap<string, string>;
  readonly sent: readonly string[];
  readonly received: readonly string[];
}

const EXAMPLES = [...PAGE.matchAll(/^```(request|response)\n([^]*?)^```$/gm)].map(
  ([, kind = "", text = ""]): Example => {
    const lines = text.trimEnd().split("\n");
    const marked = (mark: string): string[] =>
      lines.filter((line) => line.startsWith(`${mark} `)).map((line) => line.slice(2));
    const given = lines.filter((line) => !/^[<>]/.test(line)).map((line) => fieldIn(line));
    return { kind, given: new Map(given), sent: marked(">"), received: marked("<") };
  },
);

describe("the page about fields", () => {
  test("has examples of both kinds", () => {
    const count = (wanted: string): number => EXAMPLES.filter(({ kind }) => kind === wanted).length;
    expect([count("request") >= 5, count("response") >= 1]).toEqual([true, true]);
  });

  EXAMPLES.forEach((example, i) => {
    test(`example ${i + 1}: ${example.kind} ${[...example.given.values()].join(", ")}`, () => {
      const received = example.kind === "request" ? backendReads(example) : clientReads(example);
      expect(received).toEqual([...example.received]);
    });
  });
});

/** The lines that an HTTP/1.1 backend reads. */
function backendReads({ given, sent }: Example): string[] {
  const [line = "", ...fields] = sent;
  const [method = "", path = ""] = line.split(" ");
  const [authority, ...rest] = fields.map(fieldIn);
  const head = readRequestHead(
    sectionOf([[":method", method], [":scheme", "https"], [":path", path], must(authority, "it has one"), ...rest]),
  );
  if (head instanceof Malformed) throw new TypeError(head.reason);
  const attempt = attemptOf(head, poolOf(given), given.get("peer") ?? PEER);
  const output = new OutputBuffer();
  writeRequestHead(attempt, requestFramingOf(attempt, attempt.body !== null), "", output);
  const text = Buffer.from(output.bytes.subarray(output.at, output.end)).toString("latin1");
  expect(text).toEndWith("\r\n\r\n");
  const isKept = (name: string): boolean => rest.some(([known]) => known === name);
  return text
    .trimEnd()
    .split("\r\n")
    .map((one) => {
      const [name] = fieldIn(one);
      return ["x-request-id", "traceparent"].includes(name) && !isKept(name) ? `${name}: ${MADE_HERE}` : one;
    });
}

function attemptOf(head: RequestHead, pool: PoolSettings, peer: string): Attempt {
  return new Attempt({
    ...{ head, pool, backend: must(pool.backends[0], "the pool has one") },
    body: head.contentLengthBytes > 0 ? NO_BODY : null,
    ...{
      provenance: new Provenance(peer),
      requestId: requestIdOf(head) ?? RequestId.given("made"),
      early: false,
      takesTrailers: false,
    },
    ...{ trace: new Trace(Random.fromEntropy([1])), writer: new FieldWriter() },
  });
}

function poolOf(given: ReadonlyMap<string, string>): PoolSettings {
  const extra = (given.get("pool") ?? "{}").trim().slice(1, -1).trim();
  const backends = `backends: [{ id: a, address: "${given.get("backend") ?? BACKEND}" }]`;
  const pool = [`route: { path_prefix: / }`, backends, ...(extra === "" ? [] : [extra])].join(", ");
  const result = loadConfig(`{ listen: { tls: { cert: c, key: k } }, upstream: { web: { ${pool} } } }`, "page.yaml");
  if ("problems" in result) throw new TypeError(JSON.stringify(result.problems));
  return must(result.snapshot.pools[0], "there is a pool");
}

/** The lines that a client reads. */
function clientReads({ given, sent }: Example): string[] {
  const [status = "", ...fields] = sent;
  const writer = new FieldWriter();
  const received = protocolOf(given.get("received"));
  expect(
    writeResponseFields(
      Number(status),
      sectionOf(fields.map(fieldIn)),
      writer,
      RequestId.given("the-request's"),
      received,
    ),
  ).toBeNull();
  return fieldsOfFlat(writer.finish()).map((field) => field.join(": "));
}

function protocolOf(text: string | undefined): ReceivedProtocol {
  return must(
    (["1.0", "1.1", "2", "3"] as const).find((known) => known === text),
    "the example says it",
  );
}

function fieldIn(line: string): Field {
  const [, name = "", value = ""] = /^(:?[^:]*): ?(.*)$/.exec(line) ?? [];
  return [name, value];
}

const NO_BODY: BodySource = {
  state: "open",
  trailers: null,
  onReadable: null,
  pull: () => null,
  stop: () => undefined,
};
