/**
 * Nobody is read for who does not read: what a backend can send to a client that has stopped, and what a client can send to a
 * backend that has stopped, stays bounded, and others go on. The proof needs no clock: other bodies pass through the same
 * proxy meanwhile, until the stuck one has not moved for a number of them.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { startBackend } from "../support/backends.ts";
import { startHttp1 } from "../support/backend-http1.ts";
import { startHttp2 } from "../support/backend-http2.ts";
import { startServe } from "../support/backend-serve.ts";
import { testCertificate } from "../support/certs.ts";
import type { BackendExchange } from "../support/exchange.ts";
import { hasNode, startNodeServer } from "../support/node-server.ts";
import { PatternCheck, patternPieces, patternSha256 } from "../support/pattern.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { fetchHttp3 } from "../interop/bun-fetch.ts";
import { trustOf } from "./pairs.ts";

const MEBIBYTE = 1024 * 1024;
const STUCK_BYTES = 96 * MEBIBYTE;
/**
 * Over HTTP/2 Bun's fetch has a window of 16 MiB and hands over what has come in one piece: one piece waits with us, one in fetch,
 * one on its way. The kernel's buffers and the client's window are a few MiB each. Seen: 5 to 48 MiB.
 */
const HELD_BYTES_MAX = 64 * MEBIBYTE;
const OTHER_BYTES = MEBIBYTE;
/** So many other bodies in a row without a byte of the stuck one. */
const STILL_ROUNDS = 10;
/** After this the proxy gives up a body that does not come; only a request that others block gets there. */
const BODY_IDLE_MS = 2000;

type Protocol = "http1" | "h2" | "h3";

describe.each(["http1", "h2", "h3"] as const)("backpressure with a backend of %s", (protocol) => {
  test("a client that does not read stops its backend, and then gets every byte", async () => {
    const { source, proxy } = await startPair(protocol);
    const slow = await fetchHttp3(`${proxy.url}/download`);
    const reader = must(slow.body, "a download has a body").getReader();
    const check = new PatternCheck("stuck");
    check.add(must((await reader.read()).value, "a download begins with bytes"));
    await untilStill(proxy, () => source.writtenBytes);
    expect(source.writtenBytes).toBeLessThan(HELD_BYTES_MAX);
    for (let next = await reader.read(); !next.done; next = await reader.read()) check.add(next.value);
    expect([check.length, check.wrongAt]).toEqual([STUCK_BYTES, -1]);
  });

  test("a backend that does not read stops its client, and then gets every byte", async () => {
    const { source, proxy } = await startPair(protocol);
    const pieces = patternPieces("stuck", STUCK_BYTES);
    let takenBytes = 0;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => {
        const { done, value } = pieces.next();
        if (done === true) return controller.close();
        takenBytes += value.length;
        controller.enqueue(value);
      },
    });
    const answer = fetchHttp3(`${proxy.url}/upload`, { method: "POST", body });
    await source.uploading;
    await untilStill(proxy, () => takenBytes);
    expect(takenBytes).toBeLessThan(HELD_BYTES_MAX);
    source.read();
    expect(await (await answer).text()).toBe(patternSha256("stuck", STUCK_BYTES));
  });

  // Two known gaps of Bun 1.4.5. Its `fetch` has one HTTP/2 connection to a backend, and what one reader leaves in its window may be
  // missing to others. And the server of its node:http2, which runs here, holds a stream's DATA back once another has used up its window
  // (oven-sh/bun 43422): seen from a client without any of our code. With Node's server it holds: see below.
  const testOthers = test.skipIf(protocol === "h2");
  testOthers("a client that does not read is in nobody's way", async () => {
    const { proxy } = await startPair(protocol);
    await expectOthersPass(`${proxy.url}/download`, `${proxy.url}/other`);
  });
});

test.skipIf(!hasNode())(
  "a client that does not read is in nobody's way with Node's HTTP/2 server behind us",
  async () => {
    const address = `h2c://127.0.0.1:${await startNodeServer()}`;
    const proxy = await startProxy({
      pools: [{ prefix: "/", backends: [address] }],
      extra: { performance: { backend_body_idle_timeout_ms: BODY_IDLE_MS } },
    });
    await expectOthersPass(`${proxy.url}/pieces/${STUCK_BYTES}`, `${proxy.url}/pieces/${OTHER_BYTES}`);
  },
);

/** Reads the beginning of one body and no more of it while others come and go. */
async function expectOthersPass(stuckUrl: string, otherUrl: string): Promise<void> {
  const slow = await fetchHttp3(stuckUrl);
  const reader = must(slow.body, "a download has a body").getReader();
  await reader.read();
  for (let round = 0; round < STILL_ROUNDS; round++) {
    const response = await fetchHttp3(otherUrl);
    expect((await response.bytes()).length).toBe(OTHER_BYTES);
  }
  await reader.cancel();
}

/** A backend that counts what it could write, and reads uploads only when it is told. */
class Source {
  writtenBytes = 0;
  readonly #arrived = Promise.withResolvers<void>();
  readonly #readable = Promise.withResolvers<void>();
  /** Resolves when an upload's head has come. */
  readonly uploading = this.#arrived.promise;

  read(): void {
    this.#readable.resolve();
  }

  async serve(exchange: BackendExchange): Promise<void> {
    if (exchange.target === "/upload") return this.#takeUpload(exchange);
    exchange.head(200, []);
    const counted = exchange.target === "/download";
    for (const piece of patternPieces("stuck", counted ? STUCK_BYTES : OTHER_BYTES)) {
      await exchange.write(piece);
      if (counted) this.writtenBytes += piece.length;
    }
    exchange.end();
  }

  async #takeUpload(exchange: BackendExchange): Promise<void> {
    this.#arrived.resolve();
    await this.#readable.promise;
    const hash = new Bun.CryptoHasher("sha256");
    for await (const piece of exchange.body) hash.update(piece);
    exchange.head(200, []);
    await exchange.write(Buffer.from(hash.digest("hex")));
    exchange.end();
  }
}

async function startPair(protocol: Protocol): Promise<{ source: Source; proxy: RunningProxy }> {
  const source = new Source();
  const server = await { http1: startHttp1, h2: startHttp2, h3: startServe.bind(null, "h3") }[protocol]({
    host: "127.0.0.1",
    port: 0,
    tls: protocol === "http1" ? null : await testCertificate(),
    onConnection: () => undefined,
    // A client that has gone is no matter here.
    onExchange: (exchange) => void source.serve(exchange).catch(() => undefined),
  });
  afterAll(() => server.stop());
  const address = `${{ http1: "http", h2: "https", h3: "h3" }[protocol]}://127.0.0.1:${server.port}`;
  const beside = await startBackend({ protocol: "http1" });
  const proxy = await startProxy({
    pools: [
      { prefix: "/", backends: [address], extra: trustOf(protocol) },
      { prefix: "/bytes", backends: [beside.address] },
    ],
    extra: { performance: { backend_body_idle_timeout_ms: BODY_IDLE_MS } },
  });
  return { source, proxy };
}

/** Lets bodies of another backend pass until `count` has not changed for a number of them. */
async function untilStill(proxy: RunningProxy, count: () => number): Promise<void> {
  for (let still = 0, last = -1; still < STILL_ROUNDS;) {
    const response = await fetchHttp3(`${proxy.url}/bytes/${OTHER_BYTES}`);
    expect((await response.bytes()).length).toBe(OTHER_BYTES);
    still = count() === last ? still + 1 : 0;
    last = count();
  }
}
