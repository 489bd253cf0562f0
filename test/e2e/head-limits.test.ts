/** Heads that are too large: what is answered below the library's hard limit, what happens above it, and that each side holds. */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { startRawBackend } from "../support/raw-backend.ts";
import { startProxy } from "../support/proxy.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";
import type { AioquicField, AioquicStep } from "../interop/aioquic.ts";
import { logLine } from "./log-lines.ts";

const EXCESSIVE_LOAD = 0x107;
const HEADER_BYTES_MAX = 2048;
/** The library's limit is four times ours, counted alike (RFC 9114 4.2.2). */
const HARD_BYTES_MAX = 4 * HEADER_BYTES_MAX;
const PSEUDO: readonly AioquicField[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "a.test"],
  [":path", "/"],
];

/** A request whose head counts exactly so many bytes. (aioquic's encoder takes no value above 64 KiB.) */
function sized(id: string, bytes: number): AioquicStep {
  const fields = [...PSEUDO];
  let left = bytes - PSEUDO.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  for (; left > 50_000; left -= 40_000) fields.push(["x", "v".repeat(40_000 - 33)]);
  return { do: "request", id, raw_headers: [...fields, ["x", "v".repeat(left - 33)]] };
}

function counted(id: string, fields: number): AioquicStep {
  const more = Array.from({ length: fields - PSEUDO.length }, (): AioquicField => ["x", ""]);
  return { do: "request", id, raw_headers: [...PSEUDO, ...more] };
}

function pathOf(id: string, bytes: number): AioquicStep {
  return { do: "request", id, raw_headers: [...PSEUDO.slice(0, 3), [":path", `/${"p".repeat(bytes - 1)}`]] };
}

async function limited(protocol: Readonly<Record<string, number>>) {
  const backend = await startBackend({ protocol: "http1" });
  const pools = [{ prefix: "/", backends: [backend.address] }];
  return { backend, proxy: await startProxy({ pools, extra: { resilience: { protocol } } }) };
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a request head", () => {
  test("up to the limit is served; above it 431 up to the hard limit, on a connection that lives", async () => {
    const { backend, proxy } = await limited({ max_headers_bytes: HEADER_BYTES_MAX });
    const sizes = [HEADER_BYTES_MAX, HEADER_BYTES_MAX + 1, 2 * HEADER_BYTES_MAX, 3 * HEADER_BYTES_MAX, HARD_BYTES_MAX];
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [...sizes.map((bytes) => sized(`${bytes}`, bytes)), sized("good", 300)],
    });
    const statuses = connection.exchanges.map(({ id, status, ended }) => [id, status, ended]);
    const [served, ...refused] = sizes;
    expect(statuses).toEqual([
      [`${served}`, 200, true],
      ...refused.map((bytes) => [`${bytes}`, 431, true]),
      ["good", 200, true],
    ]);
    expect(backend.counts.requests).toBe(2);
    await logLine(proxy, { msg: "request", status: 431, reason: "malformed request: section-too-large" });
  });

  test("above the hard limit closes the connection with H3_EXCESSIVE_LOAD", async () => {
    const { backend, proxy } = await limited({ max_headers_bytes: HEADER_BYTES_MAX });
    const steps = [sized("over", HARD_BYTES_MAX + 1)];
    const connection = await runAioquicOnce({ port: proxy.port, steps });
    expect(connection.closed).toMatchObject({ by: "peer", application: true, code: EXCESSIVE_LOAD });
    expect(exchangeOf(connection, "over").status).toBeNull();
    expect(backend.counts.requests).toBe(0);
    const next = await runAioquicOnce({ port: proxy.port, steps: [sized("next", 300)] });
    expect(exchangeOf(next, "next").status).toBe(200);
  });

  test("holds as many fields and as long a path as allowed; one more is 431, one byte more is 414", async () => {
    const { backend, proxy } = await limited({ max_headers_count: 20, max_uri_bytes: 100 });
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [counted("20", 20), counted("21", 21), pathOf("100", 100), pathOf("101", 101), sized("good", 300)],
    });
    expect(connection.exchanges.map(({ id, status, body }) => [id, status, status === 200 ? "" : body])).toEqual([
      ["20", 200, ""],
      ["21", 431, "431 Request Header Fields Too Large\n"],
      ["100", 200, ""],
      ["101", 414, "414 URI Too Long\n"],
      ["good", 200, ""],
    ]);
    expect(backend.counts.requests).toBe(3);
    await logLine(proxy, { msg: "request", status: 414, reason: "malformed request: uri-too-long" });
  });

  test("of ten thousand tiny fields, and of the largest that can be configured, is bounded too", async () => {
    // Node's server takes no head of this size.
    const ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    const backend = await startRawBackend({ script: () => [{ read: "\r\n\r\n" }, { send: ok }] });
    const pools = [{ prefix: "/", backends: [`http://${backend.bareAddress}`] }];
    const protocol = { max_headers_bytes: 131_072 };
    const proxy = await startProxy({ pools, extra: { resilience: { protocol } } });
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [sized("131072", 131_072), sized("131073", 131_073), sized("500000", 500_000), counted("10000", 10_000)],
    });
    expect(connection.exchanges.map(({ id, status }) => [id, status])).toEqual([
      ["131072", 200],
      ["131073", 431],
      ["500000", 431],
      ["10000", 431],
    ]);
    expect(connection.closed).toBeNull();
  });
});
