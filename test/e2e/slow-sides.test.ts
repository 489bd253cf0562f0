/**
 * Whoever stops is given up when its own time is over, and gets the answer that says who it was: the backend's silence is 504 or a
 * reset, the client's is 408. Nobody else notices. By every way to a backend, through the whole proxy.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";
import type { AioquicConnection, AioquicStep } from "../interop/aioquic.ts";
import { startHttp1 } from "../support/backend-http1.ts";
import { startHttp2 } from "../support/backend-http2.ts";
import { listen } from "../support/backend-tcp.ts";
import { testCertificate } from "../support/certs.ts";
import type { BackendExchange } from "../support/exchange.ts";
import { waitUntil } from "../support/net.ts";
import { startProxy, type RunningProxy } from "../support/proxy.ts";
import { startRawBackend } from "../support/raw-backend.ts";
import { accessLine } from "./log-lines.ts";

const TIMEOUT_MS = 300;
const DRIP_MS = 20;
/** More than all windows and buffers between a client and a backend that does not read. */
const UNREAD_BYTES = 100_000_000;

const WAYS = [
  { name: "native HTTP/1.1", start: startHttp1, scheme: "http", transport: "native" },
  { name: "native HTTP/2 in clear", start: startHttp2, scheme: "h2c", transport: "native" },
  { name: "native HTTP/2 over TLS", start: startHttp2, scheme: "https", transport: "native" },
  { name: "fetch HTTP/1.1", start: startHttp1, scheme: "http", transport: "fetch" },
  { name: "fetch HTTP/2", start: startHttp2, scheme: "https", transport: "fetch" },
] as const;

/** What is asked at once on one connection, beside a request that is answered at once. */
const STEPS: readonly AioquicStep[] = [
  { do: "start", id: "silent", path: "/silent" },
  { do: "start", id: "stops", path: "/stops" },
  { do: "start", id: "upload", path: "/upload", method: "POST", body: { text: "begun" }, fin: false },
  { do: "start", id: "unread", path: "/unread", body: { bytes: UNREAD_BYTES, piece: 65536 } },
  { do: "request", id: "beside", path: "/beside" },
  { do: "wait" },
  { do: "request", id: "after", path: "/after" },
];

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "one side stops", () => {
  describe.each([...WAYS])("by $name", async (way) => {
    const { backend, proxy } = await startBed(way);
    const connection = aioquicPython === null ? null : await runAioquicOnce({ port: proxy.port, steps: STEPS });
    const of = (id: string) => exchangeOf(must(connection, AIOQUIC_MISSING), id);

    test("a backend that says nothing: 504", async () => {
      expect(of("silent")).toMatchObject({ status: 504, body: "504 Gateway Timeout\n", ended: true });
      expect(await accessLine(proxy, "/silent")).toMatchObject({ error: "UPSTREAM_HEAD_TIMEOUT", status: 504 });
    });

    test("a backend that says no more: what has come, then a reset", async () => {
      expect(of("stops")).toMatchObject({ status: 200, body_bytes: 10, ended: false, reset_code: 0x102 });
      expect(await accessLine(proxy, "/stops")).toMatchObject({ error: "UPSTREAM_BODY_TIMEOUT", status: 200 });
    });

    test("a client that sends no more: 408, and the backend learns of it", async () => {
      expect(of("upload")).toMatchObject({ status: 408, body: "408 Request Timeout\n", ended: true });
      expect(await accessLine(proxy, "/upload")).toMatchObject({ error: "REQUEST_TIMEOUT", status: 408 });
      await waitUntil(() => backend.gone.has("/upload"));
    });

    test("a backend that does not read: 504, and the client is asked to stop", async () => {
      const { sent_bytes: sentBytes, ...seen } = of("unread");
      expect(seen).toMatchObject({ status: 504, ended: true, stop_code: 0x100 });
      expect(sentBytes).toBeLessThan(UNREAD_BYTES);
      expect(await accessLine(proxy, "/unread")).toMatchObject({ error: "UPSTREAM_HEAD_TIMEOUT", status: 504 });
    });

    test("the others of the connection are answered, beside it and after it", () => {
      expect([of("beside").status, of("after").status]).toEqual([200, 200]);
    });
  });

  test.each(["native", "fetch"])(
    "a head that comes a byte at a time is late all the same: 504 (%s)",
    async (transport) => {
      const server = createServer((socket) => {
        const bytes = `HTTP/1.1 200 OK\r\nx: ${"y".repeat(1000)}`;
        let sent = 0;
        const drip = setInterval(() => socket.write(bytes.charAt(sent++)), DRIP_MS);
        for (const event of ["error", "close"]) socket.on(event, () => clearInterval(drip));
      });
      const port = await listen(server, { host: "127.0.0.1", port: 0 });
      afterAll(() => void server.close());
      const { connection, proxy } = await ask(`http://127.0.0.1:${port}`, transport);
      expect(connection.exchanges[0]).toMatchObject({ status: 504, ended: true });
      expect(await accessLine(proxy, "/")).toMatchObject({ error: "UPSTREAM_HEAD_TIMEOUT" });
    },
  );

  // fetch tells nobody how far TLS has come, and connections made to find out are plain TCP: there the other time-out says it.
  test.each([
    ["native", "UPSTREAM_CONNECT_TIMEOUT"],
    ["fetch", "UPSTREAM_HEAD_TIMEOUT"],
  ])("a backend that takes the connection and no more: 504 (%s)", async (transport, error) => {
    const raw = await startRawBackend({ script: () => [{ hold: true }] });
    const { connection, proxy } = await ask(`https://${raw.bareAddress}`, transport);
    expect(connection.exchanges[0]).toMatchObject({ status: 504, ended: true });
    expect(await accessLine(proxy, "/")).toMatchObject({ error });
  });
});

interface SlowBackend {
  /** Requests whose client went away. */
  readonly gone: Set<string>;
}

async function startBed(way: (typeof WAYS)[number]): Promise<{ backend: SlowBackend; proxy: RunningProxy }> {
  const gone = new Set<string>();
  const server = await way.start({
    host: "127.0.0.1",
    port: 0,
    tls: way.scheme === "https" ? await testCertificate() : null,
    onConnection: () => undefined,
    onExchange: (exchange) => {
      exchange.gone.addEventListener("abort", () => gone.add(exchange.target));
      void serve(exchange).catch(() => undefined);
    },
  });
  afterAll(() => server.stop());
  const proxy = await startSlowProxy(`${way.scheme}://127.0.0.1:${server.port}`, way.transport);
  return { backend: { gone }, proxy };
}

async function serve(exchange: BackendExchange): Promise<void> {
  if (exchange.target === "/silent" || exchange.target === "/unread") return;
  if (exchange.target === "/upload") for await (const _piece of exchange.body);
  exchange.head(200, []);
  await exchange.write(Buffer.from("ten bytes."));
  if (exchange.target !== "/stops") exchange.end();
}

async function ask(
  address: string,
  transport: string,
): Promise<{ connection: AioquicConnection; proxy: RunningProxy }> {
  const proxy = await startSlowProxy(address, transport);
  return { connection: await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", path: "/" }] }), proxy };
}

function startSlowProxy(address: string, transport: string): Promise<RunningProxy> {
  return startProxy({
    pools: [{ prefix: "/", backends: [address], extra: { transport } }],
    extra: {
      performance: {
        backend_connect_timeout_ms: TIMEOUT_MS,
        backend_timeout_ms: 2 * TIMEOUT_MS,
        backend_body_idle_timeout_ms: TIMEOUT_MS,
        client_body_idle_timeout_ms: TIMEOUT_MS,
      },
    },
  });
}
