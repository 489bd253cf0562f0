/** Fetch as a transport, against real servers on loopback: heads, versions of HTTP, trust, and what it cannot carry. */
import { afterAll, describe, expect, test } from "bun:test";
import { type AddressInfo, connect, createServer } from "node:net";
import { gunzipSync } from "node:zlib";
import type { UpstreamTlsSettings } from "../../src/config/snapshot.ts";
import { makeDevAuthority, makeDevCertificate } from "../../src/control/dev-cert.ts";
import { must } from "../../src/core/assert.ts";
import { FETCH_METHODS } from "../../src/upstream/fetch-target.ts";
import { startBackend, type BackendProtocol } from "../support/backends.ts";
import { certificateFiles, testAuthority, testCertificateFiles } from "../support/certs.ts";
import { makeFetch, rawHttp1 } from "../support/fetch-upstream.ts";
import { patternBytes } from "../support/pattern.ts";
import { PLAIN_TRUST } from "../../src/runtime/fetch-options.ts";
import { begin, exchange, PushBody, requestTo } from "../support/upstream-calls.ts";

const PROTOCOLS: readonly BackendProtocol[] = ["http1", "https1", "h2"];

test.each(PROTOCOLS)("%s: passes method, path, authority and fields on, and gives the answer", async (protocol) => {
  const backend = await startBackend({ protocol });
  const { upstream, pool } = await makeFetch(backend.address);
  const request = requestTo(pool, {
    path: "/headers/a%20b;c=1?x=%2F&y=[z]|",
    authority: "front.example:99",
    fields: [
      ["x-twice", "one"],
      ["x-twice", "two"],
      ["x-latin", "\xe9\xff"],
      ["cookie", "a=1; b=2"],
      ["user-agent", "probe/1"],
    ],
  });
  const outcome = await exchange(upstream, request);
  expect(outcome.status).toBe(200);
  const seen = must(backend.seen[0], "the backend saw the request");
  expect(seen.method).toBe("GET");
  expect(seen.target).toBe("/headers/a%20b;c=1?x=%2F&y=[z]|");
  const got = new Map(seen.fields.map(([name, value]) => [name.toLowerCase(), value]));
  expect(got.get(protocol === "h2" ? ":authority" : "host")).toBe("front.example:99");
  expect(got.get("x-twice")).toBe("one, two");
  expect(got.get("x-latin")).toBe("\xe9\xff");
  expect(got.get("cookie")).toBe("a=1; b=2");
  expect(got.get("user-agent")).toBe("probe/1");
  expect(outcome.late).toBe(0);
});

test.each(PROTOCOLS)("%s: does not call itself the client when the client gives no name", async (protocol) => {
  const backend = await startBackend({ protocol });
  const { upstream, pool } = await makeFetch(backend.address);
  await exchange(upstream, requestTo(pool));
  const agents = backend.seen[0]?.fields.filter(([name]) => name.toLowerCase() === "user-agent");
  expect(agents?.map(([, value]) => value)).toEqual([""]);
});

test.each(PROTOCOLS)(
  "%s: keeps Set-Cookie fields apart and in order, follows no redirect and decodes nothing",
  async (protocol) => {
    const backend = await startBackend({ protocol });
    const { upstream, pool } = await makeFetch(backend.address);
    const path = "/status/302?field=set-cookie:a=1&field=set-cookie:b=2,%20c&field=location:/elsewhere";
    const outcome = await exchange(upstream, requestTo(pool, { path }));
    expect(outcome.status).toBe(302);
    expect(outcome.field("set-cookie")).toEqual(["a=1", "b=2, c"]);
    expect(outcome.field("location")).toEqual(["/elsewhere"]);
    expect(backend.counts.requests).toBe(1);
    const zipped = await exchange(upstream, requestTo(pool, { path: "/gzip/5000?seed=z" }));
    expect(zipped.field("content-encoding")).toEqual(["gzip"]);
    expect(new Uint8Array(gunzipSync(zipped.bytes))).toEqual(patternBytes("z", 5000));
    expect(zipped.field("content-length")).toEqual([String(zipped.lengthBytes)]);
  },
);

test.each(PROTOCOLS)("%s: ends an answer without a body: HEAD, 204 and 304", async (protocol) => {
  const backend = await startBackend({ protocol });
  const { upstream, pool } = await makeFetch(backend.address);
  const head = await exchange(upstream, requestTo(pool, { method: "HEAD", path: "/bytes/100" }));
  expect([head.status, head.ended, head.lengthBytes]).toEqual([200, true, 0]);
  expect(head.field("content-length")).toEqual(["100"]);
  for (const status of [204, 304]) {
    const outcome = await exchange(upstream, requestTo(pool, { path: `/status/${status}` }));
    expect([outcome.status, outcome.ended, outcome.lengthBytes]).toEqual([status, true, 0]);
  }
});

test.each(PROTOCOLS)("%s: reuses connections", async (protocol) => {
  const backend = await startBackend({ protocol });
  const { upstream, pool } = await makeFetch(backend.address);
  for (let i = 0; i < 20; i++) await exchange(upstream, requestTo(pool, { path: "/small" }));
  // HTTP/2 is asked for first; a backend that has none costs one connection.
  expect(backend.counts.connections).toBeLessThanOrEqual(2);
});

test("a connection that carried a body which servers leave unread is not used again", async () => {
  const backend = await startBackend({ protocol: "http1" });
  const { upstream, pool } = await makeFetch(backend.address);
  const ask = (method: string, body: boolean) =>
    exchange(
      upstream,
      requestTo(pool, { method, path: "/echo", body: body ? new PushBody().push("GET /").end() : null }),
    );
  await ask("POST", true);
  await ask("POST", true);
  expect(backend.counts.connections).toBe(1);
  for (const method of ["DELETE", "OPTIONS"]) {
    await ask(method, false);
    const { connections } = backend.counts;
    await ask(method, true);
    await ask("POST", true);
    expect([method, backend.counts.connections - connections]).toEqual([method, 1]);
  }
});

test("no more idle HTTP/1.1 connections are kept than the pool may have", async () => {
  const backend = await startBackend({ protocol: "http1" });
  const { upstream, pool } = await makeFetch(backend.address, { backendConnectionsMax: 3 });
  const atOnce = 10;
  for (let round = 1; round <= 3; round++) {
    const running = Array.from({ length: atOnce }, () => exchange(upstream, requestTo(pool, { path: "/hold" })));
    await backend.holding(atOnce);
    backend.release();
    await Promise.all(running);
    expect(backend.counts.connections).toBe(atOnce + (round - 1) * (atOnce - 3));
  }
});

describe("fetch and the version of HTTP", () => {
  test("falls back to HTTP/1.1 where a TLS backend has no HTTP/2, remembers it, and keeps an untouched body", async () => {
    const backend = await startBackend({ protocol: "https1" });
    const { upstream, pool, counters } = await makeFetch(backend.address);
    const post = requestTo(pool, { method: "POST", path: "/echo", body: new PushBody().push("kept").end() });
    expect((await exchange(upstream, post)).text).toBe("kept");
    expect(counters.upstreamFallbacks).toBe(1);
    await exchange(upstream, requestTo(pool));
    expect(counters.upstreamFallbacks).toBe(1);
  });

  test("falls back where the backend refuses the handshake for want of a common protocol", async () => {
    const backend = await startBackend({ protocol: "https1" });
    const front = await startStrictFront(backend.port);
    const { upstream, pool, counters } = await makeFetch(`https://127.0.0.1:${front.port}`);
    const post = requestTo(pool, { method: "POST", path: "/echo", body: new PushBody().push("kept").end() });
    expect((await exchange(upstream, post)).text).toBe("kept");
    await exchange(upstream, requestTo(pool));
    expect([counters.upstreamFallbacks, front.refused()]).toEqual([1, 1]);
  });

  test("asks for HTTP/2 again after the backend was away", async () => {
    const first = await startBackend({ protocol: "https1" });
    const { upstream, pool } = await makeFetch(first.address);
    await exchange(upstream, requestTo(pool));
    await first.stop();
    expect((await exchange(upstream, requestTo(pool))).failure?.code).toBe("UPSTREAM_REFUSED");
    const second = await startBackend({ protocol: "h2", port: first.port });
    expect((await exchange(upstream, requestTo(pool, { path: "/small" }))).status).toBe(200);
    expect(second.counts.requests).toBe(1);
  });

  test("a bare address is spoken to in HTTP/1.1", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const { upstream, pool } = await makeFetch(backend.bareAddress);
    expect((await exchange(upstream, requestTo(pool, { path: "/small" }))).lengthBytes).toBe(512);
  });

  test("IPv6 addresses work, in clear and over TLS", async () => {
    for (const protocol of ["http1", "h2"] as const) {
      const backend = await startBackend({ protocol, host: "::1" });
      const { upstream, pool } = await makeFetch(backend.address);
      expect((await exchange(upstream, requestTo(pool, { path: "/small" }))).lengthBytes).toBe(512);
    }
  });

  test("h3:// goes over HTTP/3", async () => {
    const backend = await startBackend({ protocol: "h3" });
    const { upstream, pool } = await makeFetch(backend.address, { trust: { ...PLAIN_TRUST, verify: false } });
    const outcome = await exchange(upstream, requestTo(pool, { path: "/bytes/100000?seed=three" }));
    expect(Buffer.compare(outcome.bytes, patternBytes("three", 100_000))).toBe(0);
    const body = new PushBody().push("body").end();
    expect((await exchange(upstream, requestTo(pool, { method: "POST", path: "/echo", body }))).text).toBe("body");
  });

  test("what fetch cannot reach is refused when the configuration is loaded", async () => {
    // The test authority is a root of its own, and HTTP/3 knows only the runtime's.
    expect(makeFetch("h3://127.0.0.1:1")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("proxy variables of the environment are not obeyed", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const { upstream, pool } = await makeFetch(backend.address);
    const proxy = await rawHttp1({ send: "HTTP/1.1 299 Proxy\r\nContent-Length: 0\r\n\r\n" });
    const names = ["http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"];
    const before = names.map((name) => process.env[name]);
    for (const name of names) process.env[name] = name.toLowerCase() === "http_proxy" ? proxy : "";
    try {
      expect((await fetch(backend.address)).status).toBe(299);
      expect((await exchange(upstream, requestTo(pool, { path: "/small" }))).status).toBe(200);
    } finally {
      names.forEach((name, i) => {
        if (before[i] === undefined) delete process.env[name];
        else process.env[name] = before[i];
      });
    }
  });
});

describe("fetch and requests that it cannot carry", () => {
  test("a path that its URL parser would change is refused before anything is sent", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const { upstream, pool } = await makeFetch(backend.address);
    for (const path of ["/a/../b", "/%2e%2e/a", "//a", "/a#b", "*", "/a b"]) {
      expect((await exchange(upstream, requestTo(pool, { path }))).failure?.code).toBe("BAD_REQUEST");
    }
    expect(backend.counts.requests).toBe(0);
    expect(upstream.running).toBe(0);
  });

  test("a method that it would write otherwise is refused, the others arrive as they are", async () => {
    for (const protocol of ["http1", "h2"] as const) {
      const backend = await startBackend({ protocol });
      const { upstream, pool } = await makeFetch(backend.address);
      for (const method of ["get", "Post", "CONNECT", "FOO", "X-Own", "patch", ""]) {
        expect((await exchange(upstream, requestTo(pool, { method }))).failure?.code).toBe("BAD_REQUEST");
      }
      for (const method of FETCH_METHODS) {
        expect((await exchange(upstream, requestTo(pool, { method }))).status).toBe(200);
        expect(backend.seen.at(-1)?.method).toBe(method);
      }
    }
  });

  test("GET with a body is refused, and with one that turns out empty it goes through", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const { upstream, pool } = await makeFetch(backend.address);
    const full = requestTo(pool, { body: new PushBody().push("x").end() });
    expect((await exchange(upstream, full)).failure?.code).toBe("BAD_REQUEST");
    const announced = requestTo(pool, { body: new PushBody(), contentLengthBytes: 3 });
    expect((await exchange(upstream, announced)).failure?.code).toBe("BAD_REQUEST");
    const body = new PushBody();
    const { outcome } = begin(upstream, requestTo(pool, { body }));
    expect(outcome.failure).toBeNull();
    body.end();
    expect((await outcome.over).status).toBe(200);
    expect(backend.counts.requests).toBe(1);
  });
});

describe("fetch and trust", () => {
  test("verifies by default: an unknown authority, another name and an expired certificate are refused", async () => {
    const stranger = await makeDevCertificate({ ca: await makeDevAuthority() });
    const other = await makeDevCertificate({ ca: await testAuthority(), names: ["other.example"] });
    const old = await makeDevCertificate({
      ca: await testAuthority(),
      nowMs: Date.now() - 2 * 86_400_000,
      validDays: 1,
    });
    for (const protocol of ["h2", "https1"] as const) {
      for (const certificate of [stranger, other, old]) {
        const backend = await startBackend({ protocol, certificate });
        const { upstream, pool } = await makeFetch(backend.address);
        const { failure } = await exchange(upstream, requestTo(pool));
        expect([failure?.code, failure?.processed]).toEqual(["UPSTREAM_TLS", "no"]);
        expect(backend.counts.requests).toBe(0);
      }
    }
  });

  test("the name is checked against the backend's address, whatever the client asked for", async () => {
    const certificate = await makeDevCertificate({ ca: await testAuthority(), names: ["other.example"] });
    const backend = await startBackend({ protocol: "h2", certificate });
    const { upstream, pool } = await makeFetch(backend.address);
    expect((await exchange(upstream, requestTo(pool, { authority: "other.example" }))).failure?.code).toBe(
      "UPSTREAM_TLS",
    );
  });

  test("ca_file and ca_dir are trusted, verification can be switched off, and nothing is trusted by accident", async () => {
    const backend = await startBackend({ protocol: "h2" });
    const { caFile } = await testCertificateFiles();
    const strange = certificateFiles(await makeDevCertificate({ ca: await makeDevAuthority() }));
    const cases: readonly (readonly [Partial<UpstreamTlsSettings>, boolean])[] = [
      [{ caFile }, true],
      [{ caFile: strange.caFile }, false],
      [{ caFile: strange.caFile, caDir: caFile.replace(/\/[^/]*$/, "") }, true],
      [{ caDir: caFile.replace(/\/[^/]*$/, "") }, true],
      [{ caFile: strange.caFile, verifyCertificates: false }, true],
      [{}, false],
    ];
    for (const [tls, trusted] of cases) {
      const { upstream, pool } = await makeFetch(backend.address, { tls });
      expect((await exchange(upstream, requestTo(pool))).failure?.code).toBe(trusted ? undefined : "UPSTREAM_TLS");
    }
  });
});

describe("a closed transport", () => {
  test("refuses new requests and lets running ones end", async () => {
    const backend = await startBackend({ protocol: "h2" });
    const { upstream, pool } = await makeFetch(backend.address);
    const { outcome } = begin(upstream, requestTo(pool, { path: "/hold" }));
    await backend.holding(1);
    upstream.close();
    expect((await exchange(upstream, requestTo(pool))).failure?.code).toBe("DRAINING");
    backend.release();
    expect((await outcome.over).text).toBe("held\n");
  });
});

/** Passes TLS connections on to `port`, but answers those that offer HTTP/2 as strict servers do: with the alert no_application_protocol. */
async function startStrictFront(port: number): Promise<{ port: number; refused(): number }> {
  let refused = 0;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (hello: Buffer) => {
      if (hello.includes("\x02h2")) {
        refused += 1;
        socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 120]));
        return;
      }
      const behind = connect({ port, host: "127.0.0.1" });
      behind.on("error", () => socket.destroy());
      behind.write(hello);
      socket.pipe(behind).pipe(socket);
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  afterAll(() => server.close());
  return { port: (server.address() as AddressInfo).port, refused: () => refused };
}
