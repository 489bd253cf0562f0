/** Fields, targets and statuses on their way through, both ways, byte by byte where a backend can show them. */
import { describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import { startRawBackend } from "../support/raw-backend.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, textOf } from "../interop/aioquic.ts";
import type { AioquicExchange, AioquicField } from "../interop/aioquic.ts";
import { fetchHttp3 } from "../interop/bun-fetch.ts";
import { accessLine } from "./log-lines.ts";
import { startPair } from "./pairs.ts";

const pairs = await Promise.all((["http1", "h2", "h3"] as const).map(startPair));

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "fields", () => {
  test("of a request: the client's own arrive, what belonged to its connection or was a claim does not", async () => {
    const backend = await startRawBackend({
      script: () => [{ read: "\r\n\r\n" }, { send: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" }],
    });
    const proxy = await startProxy({ pools: [{ prefix: "/", backends: [`http://${backend.bareAddress}`] }] });
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [{ do: "request", path: "/f", authority: "shop.test", headers: CLIENT_FIELDS }],
    });
    expect(connection.exchanges[0]).toMatchObject({ status: 200, body: "ok", ended: true });
    const [requestLine, ...lines] = backend.connections[0]?.text.trimEnd().split("\r\n") ?? [];
    expect(requestLine).toBe("GET /f HTTP/1.1");
    // `fetch` says of its own accord that it keeps the connection; HTTP/1.1 does so unsaid.
    const said = lines.map(lowerName).filter((line) => line !== "connection: keep-alive");
    expect(said.sort()).toEqual(
      [
        ...["accept: text/html", "accept-encoding: gzip", "user-agent: test", "x-empty: ", "x-caf: caf\u00e9"],
        ...["cookie: a=1; b=2", "host: shop.test", "x-request-id: mine-1"],
        ...["via: 3 spooky", "x-forwarded-for: 127.0.0.1", "x-forwarded-host: shop.test", "x-forwarded-proto: https"],
        ...["forwarded: for=127.0.0.1;host=shop.test;proto=https", `traceparent: ${TRACE}`, "tracestate: a=1"],
      ].sort(),
    );
    expect((await accessLine(proxy, "/f"))["request_id"]).toBe("mine-1");
  });

  test("of a response: the backend's own arrive, each Set-Cookie apart and in order, its connection's do not", async () => {
    const backend = await startRawBackend({
      script: () => [{ read: "\r\n\r\n" }, { send: BACKEND_HEAD }, { send: "2\r\nok\r\n0\r\n\r\n" }],
    });
    const proxy = await startProxy({ pools: [{ prefix: "/", backends: [`http://${backend.bareAddress}`] }] });
    const connection = await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", path: "/f" }] });
    const [exchange] = connection.exchanges;
    expect(exchange).toMatchObject({ status: 200, body: "ok", ended: true });
    const id = String((await accessLine(proxy, "/f"))["request_id"]);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const fields = exchange?.headers ?? [];
    expect(fields.filter(([name]) => name === "set-cookie").map(([, value]) => value)).toEqual(["b=2; Path=/", "a=1"]);
    expect(fields[0]).toEqual([":status", "200"]);
    expect(fields.filter(([name]) => !SEEN_APART.has(name)).sort()).toEqual([
      ["server", "inner"],
      ["x-b", "1"],
      ["x-request-id", id],
    ]);
    expect(valuesOf(exchange, "via")).toBe("1.1 inner, 1.1 spooky");
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "fields by protocol", () => {
  test.each([...pairs])("of a request are the same at a backend of $protocol", async ({ protocol, proxy }) => {
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [{ do: "request", id: "r", path: "/headers", authority: "shop.test", headers: CLIENT_FIELDS }],
    });
    const { fields } = JSON.parse(textOf(exchangeOf(connection, "r"))) as { fields: AioquicField[] };
    const seen = Object.fromEntries(fields.map(([name, value]) => [name.toLowerCase(), value]));
    for (const name of [":method", ":scheme", ":path", "connection", "x-caf"]) delete seen[name];
    const { [":authority"]: authority = seen["host"], host: _host, ...rest } = seen;
    expect<object>({ ...rest, authority }).toEqual({
      authority: "shop.test",
      ...{ accept: "text/html", "accept-encoding": "gzip", "user-agent": "test" },
      "x-empty": "",
      cookie: "a=1; b=2",
      "x-request-id": "mine-1",
      via: "3 spooky",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-host": "shop.test",
      "x-forwarded-proto": "https",
      forwarded: "for=127.0.0.1;host=shop.test;proto=https",
      ...{ traceparent: TRACE, tracestate: "a=1" },
      ...teOf(protocol),
    });
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "via", () => {
  test("of a response: Via names the version that the backend spoke", async () => {
    const backend = await startRawBackend({
      script: () => [{ read: "\r\n\r\n" }, { send: "HTTP/1.0 200 OK\r\n\r\nok" }, { end: "fin" }],
    });
    const proxy = await startProxy({
      pools: [{ prefix: "/", backends: [`http://${backend.bareAddress}`], extra: { transport: "native" } }],
    });
    const connection = await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", path: "/f" }] });
    const vias = [valuesOf(connection.exchanges[0], "via")];
    for (const pair of pairs) {
      const { exchanges } = await runAioquicOnce({ port: pair.proxy.port, steps: [{ do: "request", path: "/small" }] });
      vias.push(valuesOf(exchanges[0], "via"));
    }
    expect(vias).toEqual(["1.0 spooky", "1.1 spooky", "2 spooky", "3 spooky"]);
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "targets and statuses", () => {
  test.each([...pairs])(
    "path and query reach a backend of $protocol as they were sent",
    async ({ protocol, backend, proxy }) => {
      const paths = [
        "/a%2Fb/%c3%A9/%7e%41",
        "/double//slash/",
        "/semi;colon=1,2@:!$&()*+~[]|",
        "/q?x=%20&y=a+b&z=%2e%2E&&=&e%zz",
        "/q?url=http://a/../b?c=/d",
        "/*",
        // Bun's server over HTTP/3 does not show an empty query.
        ...(protocol === "h3" ? [] : ["/q?"]),
      ];
      const before = backend.seen.length;
      const steps = paths.map((path) => ({ do: "request", path }) as const);
      const connection = await runAioquicOnce({ port: proxy.port, steps });
      expect(connection.exchanges.map(({ status }) => status)).toEqual(paths.map(() => 200));
      expect(backend.seen.slice(before).map(({ target }) => target)).toEqual(paths);
      expect((await accessLine(proxy, paths[3] ?? ""))["status"]).toBe(200);
    },
  );

  test.each([...pairs])("204 and 304 from a backend of $protocol have no body and end cleanly", async ({ proxy }) => {
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [
        { do: "request", id: "204", path: "/status/204?field=x-a:1" },
        { do: "request", id: "304", path: '/status/304?field=etag:"e"' },
        { do: "request", id: "next", path: "/small" },
      ],
    });
    const answers = connection.exchanges.map(({ id, status, body_bytes, ended }) => [id, status, body_bytes, ended]);
    expect(answers).toEqual([
      ["204", 204, 0, true],
      ["304", 304, 0, true],
      ["next", 200, 512, true],
    ]);
    expect(valuesOf(exchangeOf(connection, "304"), "etag")).toBe('"e"');
    expect(valuesOf(exchangeOf(connection, "204"), "x-a")).toBe("1");
  });
});

describe("HEAD", () => {
  // aioquic 1.7.2 takes the Content-Length of an answer to HEAD for a broken promise (RFC 9110 8.6 allows it), so Bun asks.
  test.each([...pairs])(
    "to a backend of $protocol is HEAD there, and its answer has no body",
    async ({ protocol, backend, proxy }) => {
      const before = backend.seen.length;
      const found = await fetchHttp3(`${proxy.url}/small`, { method: "HEAD" });
      // What the body would have been; Bun's server over HTTP/3 does not say it.
      if (protocol !== "h3") expect(found.headers.get("content-length")).toBe("512");
      expect([found.status, (await found.bytes()).length]).toEqual([200, 0]);
      const failed = await fetchHttp3(`${proxy.url}/status/500`, { method: "HEAD" });
      expect([failed.status, (await failed.bytes()).length]).toEqual([500, 0]);
      const next = await fetchHttp3(`${proxy.url}/small`);
      expect((await next.bytes()).length).toBe(512);
      expect(backend.seen.slice(before).map(({ method }) => method)).toEqual(["HEAD", "HEAD", "GET"]);
      expect(await accessLine(proxy, "/status/500")).toMatchObject({ method: "HEAD", status: 500, bytes_out: 0 });
    },
  );
});

/** Where the way to the backend takes trailers, it is told that the client does. */
function teOf(protocol: string): object {
  return protocol === "h2" ? { te: "trailers" } : {};
}

const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const CLIENT_FIELDS: readonly AioquicField[] = [
  ["accept", "text/html"],
  ["accept-encoding", "gzip"],
  ["user-agent", "test"],
  ["te", "trailers"],
  ["x-empty", ""],
  ["x-caf", "caf\u00e9"],
  ["cookie", "a=1"],
  ["cookie", "b=2"],
  ["x-forwarded-for", "6.6.6.6"],
  ["x_forwarded_for", "6.6.6.6"],
  ["x-forwarded-proto", "http"],
  ["forwarded", "for=6.6.6.6"],
  ["x-real-ip", "6.6.6.6"],
  ["proxy", "http://6.6.6.6"],
  ["proxy-authorization", "Basic eDp5"],
  ["x-request-id", "mine-1"],
  ["traceparent", TRACE],
  ["tracestate", "a=1"],
];

const BACKEND_HEAD = [
  "HTTP/1.1 200 OK",
  "Server: inner",
  "Set-Cookie: b=2; Path=/",
  "Connection: keep-alive, X-Hop",
  "Keep-Alive: timeout=5",
  "X-Hop: 1",
  "Proxy-Connection: keep-alive",
  "Proxy-Authenticate: Basic",
  'Alt-Svc: h3=":1"',
  "X-B: 1",
  "Set-Cookie: a=1",
  "X-Request-Id: theirs",
  "Via: 1.1 inner",
  "Transfer-Encoding: chunked",
  "\r\n",
].join("\r\n");

const SEEN_APART = new Set([":status", "set-cookie", "via", "date"]);

/** All values of a field in one, as a list field would be read. */
function valuesOf(exchange: AioquicExchange | undefined, name: string): string {
  const found = exchange?.headers?.filter(([one]) => one === name) ?? [];
  return found.map(([, value]) => value).join(", ");
}

function lowerName(line: string): string {
  const colon = line.indexOf(":");
  return line.slice(0, colon).toLowerCase() + line.slice(colon);
}
