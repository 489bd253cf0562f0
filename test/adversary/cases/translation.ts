/** What becomes of a message on its way: Host, forwarding fields, cookies, trailers, interim answers, coded bodies. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { expect } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import type { AioquicExchange, AioquicField, AioquicRequest } from "../../interop/aioquic.ts";
import { startBackend } from "../../support/backends.ts";
import { startRawBackend } from "../../support/raw-backend.ts";
import type { RawBackend } from "../../support/raw-backend.ts";
import type { Bed } from "../bed.ts";
import type { Case } from "../case.ts";
import { FRAME, GET, goodbye, hello, REQUEST, request, resultOf } from "../frame-steps.ts";
import type { H3iField, H3iOutcome } from "../h3i.ts";
import { startRecorder } from "../recorder.ts";

/** The two ways to a backend of HTTP/1.1. */
const TRANSPORTS = ["native", "fetch"] as const;
type Transport = (typeof TRANSPORTS)[number];

const WITHOUT_AUTHORITY = GET.filter(([name]) => name !== ":authority");
const H3_MESSAGE_ERROR = 0x10e;

const EXPECTING: readonly H3iField[] = [
  [":method", "POST"],
  ...GET.slice(1),
  ["expect", "100-continue"],
  ["content-length", "5"],
];
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** Fields by which a client tries to be somebody else. */
const CLAIMS: readonly AioquicField[] = [
  ["x-forwarded-for", "192.0.2.1"],
  ["x-forwarded-for", "192.0.2.2"],
  ["x-forwarded-host", "evil.test"],
  ["x-forwarded-proto", "http"],
  ["forwarded", "for=192.0.2.1;host=evil.test;proto=http"],
];

/** Each with a value that would do harm in front of the body. */
const FORBIDDEN_TRAILERS: readonly AioquicField[] = [
  ["content-length", "99"],
  ["host", "evil.test"],
  ["transfer-encoding", "chunked"],
  [":path", "/evil"],
  ["te", "trailers"],
];

/** Rows 25, 28, 36, 37, 38, 40 to 42, 44 and 45. */
export const TRANSLATION_CASES: readonly Case[] = [
  {
    row: 25,
    name: "Host alone leads where :authority leads",
    needs: ["h3i"],
    run: async (bed) => {
      const [shop, rest] = [await startRecorder(), await startRecorder()];
      const pools = [
        { prefix: "/", host: "shop.test", backends: [shop.address] },
        { prefix: "/", backends: [rest.address] },
      ];
      await bed.start({ pools });
      const byHost: H3iField[] = [...WITHOUT_AUTHORITY, ["host", "shop.test"]];
      const elsewhere: H3iField[] = [...WITHOUT_AUTHORITY, ["host", "other.test"]];
      const requests = [byHost, GET, elsewhere].flatMap((fields, index) => [
        request(fields, index * 4),
        { do: "wait", stream: index * 4, until: "end" } as const,
      ]);
      const outcome = await bed.h3i({
        steps: [...hello(), ...requests, { do: "close", application: true, code: 0x100 }],
      });
      expect(outcome.closed.by).toBe("client");
      expect([0, 4, 8].map((stream) => resultOf(outcome, stream))).toEqual([
        { status: 200 },
        { status: 200 },
        { status: 200 },
      ]);
      expect(shop.requests.map(hosts)).toEqual([["host: shop.test"], ["host: shop.test"]]);
      expect(rest.requests.map(hosts)).toEqual([["host: other.test"]]);
    },
  },
  ...perTransport(28, ":authority alone becomes exactly one Host", async (bed, transport) => {
    const { exchange, sent } = await throughRecorder(bed, transport, { authority: "shop.test:8443" });
    expect(exchange).toMatchObject({ status: 200, body: "ok", ended: true });
    expect(hosts(sent)).toEqual(["host: shop.test:8443"]);
  }),
  {
    row: 36,
    name: "a client that waits for 100 gets the backend's and then sends its body",
    needs: ["h3i"],
    run: async (bed) => {
      const backend = await startRawBackend({
        script: () => [
          ...[{ read: "\r\n\r\n" }, { send: "HTTP/1.1 100 Continue\r\n\r\n" }],
          ...[{ readBytes: "hello".length }, { send: OK }],
        ],
      });
      await bed.start({ pools: [{ prefix: "/", backends: [`http://${backend.bareAddress}`] }] });
      const outcome = await bed.h3i({
        steps: [
          ...hello(),
          { do: "headers", stream: REQUEST, fields: EXPECTING },
          { do: "wait", stream: REQUEST, until: "headers" },
          { do: "frame", stream: REQUEST, type: FRAME.data, hex: "68656c6c6f", fin: true },
          ...goodbye(),
        ],
      });
      expect(statuses(outcome)).toEqual(["100", "200"]);
      expect(textOf(backend)).toMatch(/^expect: 100-continue\r$/im);
      expect(textOf(backend)).toEndWith("\r\n\r\nhello");
    },
  },
  {
    row: 36,
    name: "a client that waits for 100 gets a final answer instead, and its body is not asked for",
    needs: ["h3i"],
    run: async (bed) => {
      await answering(bed, "native", "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n");
      const outcome = await bed.h3i({
        steps: [...hello(), { do: "headers", stream: REQUEST, fields: EXPECTING }, ...goodbye()],
      });
      expect(statuses(outcome)).toEqual(["417"]);
      expect(outcome.stops_received).toBe(1);
    },
  },
  ...perTransport(36, "a client that does not wait loses nothing", async (bed, transport) => {
    const headers: AioquicField[] = [
      ["expect", "100-continue"],
      ["content-length", "5"],
    ];
    const { exchange, sent } = await throughRecorder(bed, transport, { headers, body: { text: "hello" } });
    expect(exchange).toMatchObject({ status: 200, body: "ok", ended: true });
    expect(sent).toEndWith("\r\n\r\nhello");
  }),
  {
    row: 37,
    name: "trailers of a request and of its response, over HTTP/1.1",
    needs: ["aioquic"],
    run: async (bed) => {
      const backend = await startRawBackend({
        script: () => [
          { read: "x-sum: 1\r\n\r\n" },
          { send: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n" },
        ],
      });
      await bed.start({ pools: [{ prefix: "/", backends: [`http://${backend.bareAddress}`] }] });
      const exchange = await one(bed, {
        body: { text: "abc" },
        trailers: [["x-sum", "1"]],
        headers: [["te", "trailers"]],
      });
      expect(exchange).toMatchObject({ status: 200, body: "ok", trailers: [["x-sum", "2"]], ended: true });
      expect(textOf(backend)).toEndWith("3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n");
    },
  },
  {
    row: 37,
    name: "trailers of a request and of its response, over HTTP/2",
    needs: ["aioquic"],
    run: async (bed) => {
      const backend = await startBackend({ protocol: "h2c" });
      await bed.start({ pools: [{ prefix: "/", backends: [backend.address] }] });
      const sent = await one(bed, { path: "/request-trailers", body: { text: "abc" }, trailers: [["x-sum", "1"]] });
      expect(sent).toMatchObject({ status: 200, ended: true });
      expect(JSON.parse(sent.body ?? "")).toEqual({ length: 3, trailers: [["x-sum", "1"]] });
      const got = await one(bed, { path: "/trailers" });
      expect(got).toMatchObject({ status: 200, trailers: [["x-checksum", "pattern-trailers"]], ended: true });
    },
  },
  ...FORBIDDEN_TRAILERS.map((trailer): Case => ({
    row: 37,
    name: `${trailer[0]} in a request's trailers is refused`,
    needs: ["aioquic"],
    run: async (bed) => {
      const exchange = await one(bed, { body: { text: "abc" }, trailers: [trailer] });
      expect(exchange).toMatchObject({ status: null, reset_code: H3_MESSAGE_ERROR });
      const { requests, text } = await bed.recorder();
      expect(requests).toEqual([]);
      expect(text).not.toContain("evil");
    },
  })),
  {
    row: 37,
    name: "fields in a response's trailers that belong into its head are dropped",
    needs: ["aioquic"],
    run: async (bed) => {
      const trailers =
        "content-length: 5\r\nhost: evil.test\r\ntransfer-encoding: chunked\r\nset-cookie: a=1\r\nx-sum: 2\r\n";
      const head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
      await answering(bed, "native", `${head}2\r\nok\r\n0\r\n${trailers}\r\n`);
      const exchange = await one(bed, { headers: [["te", "trailers"]] });
      expect(exchange).toMatchObject({ status: 200, body: "ok", ended: true });
      const names = exchange.trailers?.map(([name]) => name);
      expect(names).toContain("x-sum");
      for (const name of ["content-length", "host", "transfer-encoding"]) expect(names).not.toContain(name);
    },
  },
  {
    row: 38,
    name: "103 passes and the answer after it, too",
    needs: ["aioquic"],
    run: async (bed) => {
      const hints = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
      await answering(bed, "native", hints + OK);
      const exchange = await one(bed, {});
      expect(exchange).toMatchObject({ status: 200, body: "ok", ended: true, informational: [{ status: 103 }] });
      expect(valuesOf(exchange.informational[0]?.headers, "link")).toEqual(["</a.css>; rel=preload"]);
    },
  },
  {
    row: 38,
    name: "103 over fetch is lost, the answer after it is not",
    needs: ["aioquic"],
    gap: "the runtime's fetch keeps interim answers for itself; docs/backends.md says when it is used",
    run: async (bed) => {
      await answering(bed, "fetch", `HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n${OK}`);
      expect(await one(bed, {})).toMatchObject({ status: 200, body: "ok", ended: true, informational: [] });
    },
  },
  ...perTransport(38, "101 that nobody asked for is 502", async (bed, transport) => {
    await answering(bed, transport, "HTTP/1.1 101 Switching Protocols\r\nupgrade: evil\r\nconnection: upgrade\r\n\r\n");
    expect(await one(bed, {})).toMatchObject({ status: 502, ended: true });
  }),
  ...perTransport(40, "cookie crumbs are one Cookie for HTTP/1.1", async (bed, transport) => {
    const crumbs: AioquicField[] = ["a=1", "b=2", "c=3; d=4"].map((crumb) => ["cookie", crumb]);
    const { sent } = await throughRecorder(bed, transport, { headers: crumbs });
    expect(sent.match(/^cookie:.*$/gim)?.map(lowerName)).toEqual(["cookie: a=1; b=2; c=3; d=4"]);
  }),
  ...perTransport(41, "20 Set-Cookie arrive apart and in order", async (bed, transport) => {
    const cookies = Array.from(
      { length: 20 },
      (_, index) => `c${index}=1; Path=/; Expires=Wed, 21 Oct 2037 07:28:00 GMT`,
    );
    const lines = cookies.map((cookie) => `set-cookie: ${cookie}\r\n`).join("");
    await answering(bed, transport, `HTTP/1.1 200 OK\r\n${lines}content-length: 2\r\n\r\nok`);
    const exchange = await one(bed, {});
    expect(exchange).toMatchObject({ status: 200, body: "ok" });
    expect(valuesOf(exchange.headers, "set-cookie")).toEqual(cookies);
  }),
  ...perTransport(42, "what a client claims of where it comes from is replaced", async (bed, transport) => {
    const { sent } = await throughRecorder(bed, transport, { headers: CLAIMS });
    expect(sent).not.toContain("192.0.2");
    expect(sent).not.toContain("evil");
    expect(sent.match(/^x-forwarded-for:.*$/gim)?.map(lowerName)).toEqual(["x-forwarded-for: 127.0.0.1"]);
    expect(sent.match(/^x-forwarded-proto:.*$/gim)?.map(lowerName)).toEqual(["x-forwarded-proto: https"]);
  }),
  {
    row: 42,
    name: "a trusted proxy's word is kept, and ours is added behind it",
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start({ extra: { forwarded_headers: { mode: "append", trusted_proxies: ["127.0.0.0/8"] } } });
      await one(bed, { headers: [["x-forwarded-for", "192.0.2.1"]] });
      const { text } = await bed.recorder();
      expect(text.match(/^x-forwarded-for:.*$/gim)).toEqual(["x-forwarded-for: 192.0.2.1, 127.0.0.1"]);
    },
  },
  {
    row: 42,
    name: "a client that is no trusted proxy is not believed, whatever the mode",
    needs: ["aioquic"],
    run: async (bed) => {
      await bed.start({ extra: { forwarded_headers: { mode: "preserve", trusted_proxies: ["192.0.2.0/24"] } } });
      await one(bed, { headers: CLAIMS });
      const { text } = await bed.recorder();
      expect(text).not.toContain("192.0.2");
      expect(text).not.toContain("evil");
    },
  },
  ...perTransport(44, "a backend's Alt-Svc and its connection's fields stay behind", async (bed, transport) => {
    const fields =
      'alt-svc: h3=":443"; ma=86400\r\nkeep-alive: timeout=5\r\nconnection: x-hop\r\nx-hop: 1\r\nx-end: 1\r\n';
    await answering(bed, transport, `HTTP/1.1 200 OK\r\n${fields}content-length: 2\r\n\r\nok`);
    const exchange = await one(bed, {});
    expect(exchange).toMatchObject({ status: 200, body: "ok" });
    expect(valuesOf(exchange.headers, "x-end")).toEqual(["1"]);
    for (const name of ["alt-svc", "keep-alive", "connection", "x-hop"])
      expect(valuesOf(exchange.headers, name)).toEqual([]);
  }),
  ...perTransport(45, "a gzip body passes byte for byte, with its length and coding", async (bed, transport) => {
    const body = gzipSync(Buffer.alloc(50_000, "coded body "));
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nvary: accept-encoding\r\ncontent-length: ${body.length}\r\n\r\n`;
    await answering(bed, transport, head + body.toString("latin1"));
    const exchange = await one(bed, { headers: [["accept-encoding", "gzip"]] });
    expect(exchange).toMatchObject({ status: 200, ended: true, body_bytes: body.length });
    expect(exchange.sha256).toBe(createHash("sha256").update(body).digest("hex"));
    expect(valuesOf(exchange.headers, "content-encoding")).toEqual(["gzip"]);
    expect(valuesOf(exchange.headers, "content-length")).toEqual([String(body.length)]);
  }),
];

/** The same case over each way to a backend of HTTP/1.1. */
function perTransport(row: number, name: string, run: (bed: Bed, transport: Transport) => Promise<void>): Case[] {
  return TRANSPORTS.map((transport) => ({
    row,
    name: `${name} (${transport})`,
    needs: ["aioquic"],
    run: (bed) => run(bed, transport),
  }));
}

/** Starts the proxy in front of the recorder, sends one request, and gives its answer and what the backend got of it. */
async function throughRecorder(
  bed: Bed,
  transport: Transport,
  spec: AioquicRequest,
): Promise<{ readonly exchange: AioquicExchange; readonly sent: string }> {
  const recorder = await bed.recorder();
  await bed.start({ pools: [{ prefix: "/", backends: [recorder.address], extra: { transport } }] });
  const exchange = await one(bed, spec);
  expect(recorder.requests).toHaveLength(1);
  expect(recorder.text).toBe(recorder.requests.join(""));
  return { exchange, sent: recorder.text };
}

/** Starts the proxy in front of a backend that answers the first head of each connection with these bytes (latin1). */
async function answering(bed: Bed, transport: Transport, bytes: string): Promise<void> {
  const backend = await startRawBackend({ script: () => [{ read: "\r\n\r\n" }, { send: bytes }] });
  await bed.start({ pools: [{ prefix: "/", backends: [`http://${backend.bareAddress}`], extra: { transport } }] });
}

async function one(bed: Bed, spec: AioquicRequest): Promise<AioquicExchange> {
  const connection = await bed.aioquic({ steps: [{ do: "request", ...spec }] });
  return must(connection.exchanges[0], "the plan has one request");
}

function statuses(outcome: H3iOutcome): (string | undefined)[] {
  const heads = (outcome.streams[REQUEST] ?? []).flatMap((seen) => ("headers" in seen ? [seen.headers] : []));
  return heads.map((fields) => fields.find(([name]) => name === ":status")?.[1]);
}

function hosts(sent: string | undefined): string[] | undefined {
  return sent?.match(/^host:.*$/gim)?.map(lowerName);
}

function lowerName(line: string): string {
  return line.replace(/^[^:]*/, (name) => name.toLowerCase()).trimEnd();
}

function valuesOf(fields: readonly AioquicField[] | null | undefined, name: string): string[] {
  return (fields ?? []).flatMap(([found, value]) => (found === name ? [value] : []));
}

function textOf(backend: RawBackend): string | undefined {
  return backend.connections[0]?.text;
}
