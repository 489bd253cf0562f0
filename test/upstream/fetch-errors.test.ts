/** Every failure that could be provoked: what the runtime throws for it, and what we make of that. `docs/errors.md` shows the same. */
import { expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import type { ErrorCode } from "../../src/core/error.ts";
import { makeDevAuthority, makeDevCertificate } from "../../src/control/dev-cert.ts";
import { PLAIN_TRUST, runtimeFetch } from "../../src/runtime/fetch-options.ts";
import { systemTimers } from "../../src/runtime/timers.ts";
import { dialTcp } from "../../src/upstream/dial.ts";
import { fetchErrorCode } from "../../src/upstream/fetch-errors.ts";
import { FetchUpstream } from "../../src/upstream/fetch.ts";
import { startBackend } from "../support/backends.ts";
import { testAuthority, testCertificate, testLeaf, expiredLeaf } from "../support/certs.ts";
import { makeFetch } from "../support/fetch-upstream.ts";
import { freePort } from "../support/net.ts";
import { startRawBackend, type RawStep } from "../support/raw-backend.ts";
import { backendOf, exchange, PATIENT, poolOf, requestTo } from "../support/upstream-calls.ts";

interface Failure {
  readonly what: string;
  readonly address: () => Promise<string>;
  /** What the runtime calls it. */
  readonly thrown: string;
  readonly code: ErrorCode;
  readonly processed?: "no";
  /** The status that came before it. */
  readonly status?: number;
  /** Verify, but with no other authorities than the runtime's. */
  readonly strict?: boolean;
}

/** Stands for the stream's id in a frame. */
const STREAM = "<id>";
const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

const FAILURES: readonly Failure[] = [
  { what: "nobody listens", address: nobody, thrown: "ECONNREFUSED", code: "UPSTREAM_REFUSED", processed: "no" },
  {
    what: "nobody listens, TLS",
    address: async () => `https://${await nobody()}`,
    thrown: "ECONNREFUSED",
    code: "UPSTREAM_REFUSED",
    processed: "no",
  },
  {
    what: "no route",
    address: async () => "http://255.255.255.255:80",
    thrown: "ENETUNREACH",
    code: "UPSTREAM_UNREACHABLE",
    processed: "no",
  },
  {
    what: "name unknown",
    address: async () => "http://nobody.invalid:80",
    thrown: "ENOTFOUND",
    code: "UPSTREAM_NAME",
    processed: "no",
  },
  {
    what: "name unknown, TLS",
    address: async () => "https://nobody.invalid:80",
    thrown: "ENOTFOUND",
    code: "UPSTREAM_NAME",
    processed: "no",
  },
  {
    what: "no TLS there",
    address: tls([], { read: "" }, { send: "HTTP/1.1 400 Bad\r\n\r\n" }, { end: "fin" }),
    thrown: "EPROTO",
    code: "UPSTREAM_TLS",
    processed: "no",
  },
  {
    what: "authority unknown",
    address: () => untrusted(makeStranger()),
    thrown: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    code: "UPSTREAM_TLS",
    processed: "no",
  },
  {
    what: "self-signed",
    address: () => untrusted(makeDevCertificate({})),
    thrown: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    code: "UPSTREAM_TLS",
    processed: "no",
  },
  {
    what: "another name",
    address: () => untrusted(testLeaf({ names: ["other.example"] })),
    thrown: "ERR_TLS_CERT_ALTNAME_INVALID",
    code: "UPSTREAM_TLS",
    processed: "no",
  },
  {
    what: "expired",
    address: () => untrusted(expiredLeaf()),
    thrown: "CERT_HAS_EXPIRED",
    code: "UPSTREAM_TLS",
    processed: "no",
  },
  {
    what: "not yet valid",
    address: () => untrusted(testLeaf({ nowMs: Date.now() + 9e8 })),
    thrown: "CERT_NOT_YET_VALID",
    code: "UPSTREAM_TLS",
    processed: "no",
  },
  {
    what: "HTTP/3 not trusted",
    address: h3,
    strict: true,
    thrown: "HTTP3HandshakeFailed",
    code: "UPSTREAM_TLS",
    processed: "no",
  },

  { what: "closed before the head", address: http({ end: "fin" }), thrown: "ECONNRESET", code: "UPSTREAM_RESET" },
  { what: "reset before the head", address: http({ end: "reset" }), thrown: "ECONNRESET", code: "UPSTREAM_RESET" },
  {
    what: "closed inside the head",
    address: http({ send: `${OK}Content-` }, { end: "fin" }),
    thrown: "ECONNRESET",
    code: "UPSTREAM_RESET",
  },
  {
    what: "no HTTP, then closed",
    address: http({ send: "good day\r\n\r\n" }, { end: "fin" }),
    thrown: "ECONNRESET",
    code: "UPSTREAM_RESET",
  },
  {
    what: "body too short",
    address: http({ send: `${OK}Content-Length: 90000\r\n\r\n123` }, { end: "fin" }),
    thrown: "ECONNRESET",
    code: "UPSTREAM_RESET",
    status: 200,
  },
  {
    what: "small body too short",
    address: http({ send: `${OK}Content-Length: 9\r\n\r\n123` }, { end: "fin" }),
    thrown: "ECONNRESET",
    code: "UPSTREAM_RESET",
    status: 200,
  },
  {
    what: "chunks without an end",
    address: http({ send: `${CHUNKED}5\r\n12345\r\n` }, { end: "fin" }),
    thrown: "ECONNRESET",
    code: "UPSTREAM_RESET",
    status: 200,
  },
  {
    what: "reset inside a chunk",
    address: http({ send: `${CHUNKED}9\r\n12345` }, { end: "reset" }),
    thrown: "ECONNRESET",
    code: "UPSTREAM_RESET",
    status: 200,
  },

  {
    what: "version unknown",
    address: http({ send: "HTTP/9.9 200 OK\r\n\r\n" }),
    thrown: "Malformed_HTTP_Response",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "status of two digits",
    address: http({ send: "HTTP/1.1 99 OK\r\n\r\n" }),
    thrown: "Malformed_HTTP_Response",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "NUL in a value",
    address: http({ send: `${OK}X: a\0b\r\n\r\n` }),
    thrown: "Malformed_HTTP_Response",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "folded line",
    address: http({ send: `${OK}X: a\r\n b\r\n\r\n` }),
    thrown: "Malformed_HTTP_Response",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "space before the colon",
    address: http({ send: `${OK}Content-Length : 2\r\n\r\nok` }),
    thrown: "Malformed_HTTP_Response",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "1,000 fields",
    address: http({ send: `${OK}${"X: a\r\n".repeat(1000)}\r\n` }),
    thrown: "Malformed_HTTP_Response",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "two lengths",
    address: http({ send: `${OK}Content-Length: 3\r\nContent-Length: 5\r\n\r\n12345` }),
    thrown: "InvalidContentLength",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "length is no number",
    address: http({ send: `${OK}Content-Length: x\r\n\r\n` }),
    thrown: "InvalidContentLength",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "chunk size is no number",
    address: http({ send: `${CHUNKED}zz\r\n` }),
    thrown: "InvalidHTTPResponse",
    code: "UPSTREAM_PROTOCOL",
    status: 200,
  },
  {
    what: "101",
    address: http({ send: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" }),
    thrown: "UnrequestedUpgrade",
    code: "UPSTREAM_PROTOCOL",
  },

  {
    what: "stream refused, six times",
    address: h2(() => rst(7), 6),
    thrown: "HTTP2RefusedStream",
    code: "UPSTREAM_RESET",
    processed: "no",
  },
  { what: "stream reset", address: h2(() => rst(2)), thrown: "HTTP2StreamReset", code: "UPSTREAM_RESET" },
  {
    what: "stream cancelled inside the body",
    address: h2(() => join(headers("\x88"), data("hello", 0)), 1, rst(8)),
    thrown: "HTTP2StreamReset",
    code: "UPSTREAM_RESET",
    status: 200,
  },
  { what: "GOAWAY with an error", address: h2(() => goAway(2)), thrown: "HTTP2GoAway", code: "UPSTREAM_RESET" },
  { what: "HTTP/2 connection closed", address: h2(() => "", 1, "fin"), thrown: "ECONNRESET", code: "UPSTREAM_RESET" },
  {
    what: "HTTP/2 body too short",
    address: h2(() => join(headers("\x88\x0f\x0d\x0299"), data("hello", 1))),
    thrown: "HTTP2ContentLengthMismatch",
    code: "UPSTREAM_RESET",
    status: 200,
  },
  {
    what: "HTTP/2 body too long",
    address: h2(() => join(headers("\x88\x0f\x0d\x013"), data("hello", 1))),
    thrown: "HTTP2ContentLengthMismatch",
    code: "UPSTREAM_RESET",
    status: 200,
  },
  {
    what: "no :status",
    address: h2(() => frame(1, 5, "\x0f\x0d\x010")),
    thrown: "HTTP2ProtocolError",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "data before the head",
    address: h2(() => data("x", 1)),
    thrown: "HTTP2ProtocolError",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "HPACK broken",
    address: h2(() => frame(1, 5, "\xff\xff\xff\xff\xff\xff")),
    thrown: "HTTP2CompressionError",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "HTTP/1.1 in an HTTP/2 connection",
    address: h2(() => "HTTP/1.1 400 Bad\r\n\r\n"),
    thrown: "HTTP2FrameSizeError",
    code: "UPSTREAM_PROTOCOL",
  },
  {
    what: "CONTINUATION without end",
    address: h2(() => frame(1, 0, "\x88") + frame(9, 0, `\0\x01x\x7f\x81\x7c${"a".repeat(16_000)}`).repeat(40)),
    thrown: "HTTP2EnhanceYourCalm",
    code: "UPSTREAM_PROTOCOL",
  },
];

test.each(FAILURES.map((failure) => [failure.what, failure] as const))("%s", async (_what, failure) => {
  const pool = poolOf([backendOf(await failure.address())]);
  const { certPem } = await testAuthority();
  const upstream = new FetchUpstream({
    snapshot: { pools: [pool], timeouts: PATIENT },
    runtime: must(runtimeFetch(globalThis), "the runtime has a fetch"),
    timers: systemTimers,
    readTrust: () => ({ ...PLAIN_TRUST, roots: failure.strict === true ? null : [certPem] }),
    dial: dialTcp,
    counters: new Counters(),
  });
  const outcome = await exchange(upstream, requestTo(pool));
  const error = must(outcome.failure, "it fails");
  expect(fetchErrorCode(error.cause)).toBe(failure.thrown);
  expect([error.code, error.processed, outcome.status]).toEqual([
    failure.code,
    failure.processed ?? "maybe",
    failure.status ?? 0,
  ]);
  expect(error.message).toStartWith(`${pool.backends[0]?.address}: `);
  expect([outcome.ended, outcome.late, upstream.running]).toEqual([false, 0, 0]);
});

test.each(["gzip, chunked", "identity", "chunked, chunked", "xchunked"])(
  "a transfer coding that would stay on the body is refused: %s",
  async (coding) => {
    const address = await http(
      { send: `${OK}Transfer-Encoding: ${coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n` },
      { end: "fin" },
    )();
    const { upstream, pool } = await makeFetch(address);
    const outcome = await exchange(upstream, requestTo(pool));
    expect([outcome.status, outcome.failure?.code, outcome.late]).toEqual([0, "UPSTREAM_PROTOCOL", 0]);
  },
);

test("a refused connection says so in words that people search for", async () => {
  const { fetchError } = await import("../../src/upstream/fetch-errors.ts");
  expect(fetchError({ code: "ECONNREFUSED" }, "127.0.0.1:1").message).toBe("127.0.0.1:1: connection refused");
});

async function nobody(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

function http(...answer: readonly RawStep[]): () => Promise<string> {
  return async () => {
    const server = await startRawBackend({ script: () => [{ read: "\r\n\r\n" }, ...answer] });
    return `http://${server.bareAddress}`;
  };
}

/** A server that does not speak TLS at an `https` address. */
function tls(_alpn: readonly string[], ...script: readonly RawStep[]): () => Promise<string> {
  return async () => `https://${(await startRawBackend({ script: () => script })).bareAddress}`;
}

async function untrusted(certificate: ReturnType<typeof makeDevCertificate>): Promise<string> {
  return (await startBackend({ protocol: "h2", certificate: await certificate })).address;
}

async function makeStranger(): ReturnType<typeof makeDevCertificate> {
  return makeDevCertificate({ ca: await makeDevAuthority() });
}

async function h3(): Promise<string> {
  return (await startBackend({ protocol: "h3" })).address;
}

/** An HTTP/2 server that answers the first request, `times` times over, with these bytes, and then with `last`. */
function h2(answer: () => string, times: number = 1, last: string = ""): () => Promise<string> {
  return async () => {
    const { certPem, keyPem } = await testCertificate();
    const rounds = Array.from({ length: times }, (_, round): RawStep[] => [
      { read: `\x01\x05${id(1 + 2 * round)}` },
      { send: answer().replaceAll(STREAM, id(1 + 2 * round)) },
    ]);
    // The answer to a ping shows that everything before it was taken in.
    const ping: RawStep[] = [{ send: frame(6, 0, "12345678", id(0)) }, { read: "\x06\x01\0\0\0\0" }];
    const ending: RawStep[] = last === "fin" ? [{ end: "fin" }] : [...ping, { send: last.replaceAll(STREAM, id(1)) }];
    const server = await startRawBackend({
      tls: { certPem, keyPem, alpn: ["h2"] },
      script: () => [{ send: frame(4, 0, "", id(0)) }, ...rounds.flat(), ...(last === "" ? [] : ending)],
    });
    return `https://${server.bareAddress}`;
  };
}

function frame(type: number, flags: number, payload: string, stream: string = STREAM): string {
  const length = String.fromCharCode(payload.length >> 16, (payload.length >> 8) & 255, payload.length & 255);
  return `${length}${String.fromCharCode(type, flags)}${stream}${payload}`;
}

function headers(block: string): string {
  return frame(1, 4, block);
}

function data(text: string, flags: number): string {
  return frame(0, flags, text);
}

function rst(code: number): string {
  return frame(3, 0, id(code));
}

function goAway(code: number): string {
  return frame(7, 0, id(0) + id(code), id(0));
}

function join(...frames: readonly string[]): string {
  return frames.join("");
}

function id(value: number): string {
  return String.fromCharCode(value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255);
}
