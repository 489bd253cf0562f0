/**
 * CPU time of one request through `FetchUpstream`: 100 in flight, answers of 512 bytes, seven request fields, the backends in another
 * process. Prints microseconds of CPU (all threads of this process) per request.
 *
 *     bun bench/upstream/fetch.ts [requests]
 *
 * Bun 1.4.5, 2 cores shared with the backend and other work, three runs each: see `docs/decisions/0006-fetch-transport.md`.
 */
import { STANDARD, STANDARD_BACKEND, STANDARD_POOL } from "../../test/support/settings.ts";
import { createServer } from "node:http";
import { createSecureServer, type ServerHttp2Stream } from "node:http2";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import type { ProxyError } from "../../src/core/error.ts";
import { makeDevCertificate } from "../../src/control/dev-cert.ts";
import type { BackendScheme, BackendSettings, PoolSettings } from "../../src/config/snapshot.ts";
import type { ResponseSink, UpstreamRequest } from "../../src/proxy/ports.ts";
import { PLAIN_TRUST, runtimeFetch } from "../../src/runtime/fetch-options.ts";
import { systemTimers } from "../../src/runtime/timers.ts";
import { dialTcp } from "../../src/upstream/dial.ts";
import { FetchUpstream } from "../../src/upstream/fetch.ts";
import { sectionOf, type Field } from "../../test/support/sections.ts";

const IN_FLIGHT = 100;
const ANSWER_BYTES = 512;
const WARM_UP = 10_000;
const ROUNDS = 3;
const TIMEOUT_MS = 60_000;

const FIELDS: readonly Field[] = [
  ["user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"],
  ["accept", "text/html,*/*;q=0.8"],
  ["accept-language", "en-US,en;q=0.5"],
  ["cookie", "sid=abcdef; theme=dark"],
  ["via", "3 spooky"],
  ["x-forwarded-for", "10.1.2.3"],
  ["x-request-id", "0123456789abcdef"],
];

const SECTION = sectionOf(FIELDS);

/** What the backend process prints. */
interface Ports {
  readonly http1: number;
  readonly http2: number;
  readonly caPem: string;
}

/** Counts what comes back and starts the next request. */
class Counting implements ResponseSink {
  bytes = 0;
  readonly #done: () => void;

  constructor(done: () => void) {
    this.#done = done;
  }

  onInformational(): void {}
  onHead(): void {}
  onBody(_: Uint8Array, at: number, end: number): boolean {
    this.bytes += end - at;
    return true;
  }
  onTrailers(): void {}
  onEnd(): void {
    this.#done();
  }
  onFailure(error: ProxyError): void {
    throw error;
  }
}

if (process.argv[2] === "backend") await serve();
else await measure(Number(process.argv[2] ?? 40_000));

async function serve(): Promise<void> {
  const { certPem, keyPem, caPem } = await makeDevCertificate();
  const body = Buffer.alloc(ANSWER_BYTES, "a");
  const fields = { "content-type": "text/plain", "content-length": String(ANSWER_BYTES), "cache-control": "no-cache" };
  const http1 = createServer((_request, response) => response.writeHead(200, fields).end(body));
  const http2 = createSecureServer({ cert: certPem, key: keyPem, settings: { maxConcurrentStreams: 1000 } });
  http2.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond({ ":status": 200, ...fields });
    stream.end(body);
  });
  const ports = await Promise.all([http1, http2].map(listen));
  console.log(JSON.stringify({ http1: ports[0], http2: ports[1], caPem }));
}

function listen(server: ReturnType<typeof createServer> | ReturnType<typeof createSecureServer>): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

async function measure(requests: number): Promise<void> {
  const backend = Bun.spawn([process.execPath, import.meta.path, "backend"], { stdout: "pipe" });
  const first = await backend.stdout.getReader().read();
  const ports: Ports = JSON.parse(new TextDecoder().decode(first.value));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [scheme, port] of [["http", ports.http1] as const, ["https", ports.http2] as const]) {
      const us = await cost(scheme, port, ports.caPem, requests);
      console.log(`${scheme === "http" ? "HTTP/1.1" : "HTTP/2 over TLS"}: ${us.toFixed(1)} us of CPU per request`);
    }
  }
  backend.kill();
}

async function cost(scheme: BackendScheme, port: number, caPem: string, requests: number): Promise<number> {
  const pool = poolOf(scheme, port);
  const ms = TIMEOUT_MS;
  const upstream = new FetchUpstream({
    snapshot: {
      pools: [pool],
      timeouts: {
        ...STANDARD.timeouts,
        ...{ backendConnectMs: ms, backendResponseHeadMs: ms, backendBodyIdleMs: ms, clientBodyIdleMs: ms },
      },
    },
    runtime: must(runtimeFetch(globalThis), "the runtime has a fetch"),
    timers: systemTimers,
    readTrust: () => ({ ...PLAIN_TRUST, roots: [caPem] }),
    dial: dialTcp,
    counters: new Counters(),
  });
  await run(upstream, pool, WARM_UP);
  const before = process.cpuUsage();
  await run(upstream, pool, requests);
  const { user, system } = process.cpuUsage(before);
  upstream.close();
  return (user + system) / requests;
}

async function run(upstream: FetchUpstream, pool: PoolSettings, requests: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let started = 0;
  let ended = 0;
  const next = (): void => {
    if (started === requests) return;
    started += 1;
    upstream.start(requestOf(pool), new Counting(done));
  };
  const done = (): void => {
    ended += 1;
    if (ended === requests) resolve();
    else next();
  };
  for (let i = 0; i < IN_FLIGHT; i++) next();
  await promise;
}

function requestOf(pool: PoolSettings): UpstreamRequest {
  const backend = must(pool.backends[0], "the pool has a backend");
  const head = { method: "GET", path: "/api/v1/things?page=2", authority: "front.example" };
  return { pool, backend, ...head, fields: SECTION, body: null, contentLengthBytes: -1 };
}

function poolOf(scheme: BackendScheme, port: number): PoolSettings {
  const address = `127.0.0.1:${port}`;
  const backend: BackendSettings = {
    ...STANDARD_BACKEND,
    ...{ address, scheme, protocol: "auto", transport: "fetch", host: "127.0.0.1", port },
  };
  return { ...STANDARD_POOL, name: "bench", backends: [backend], backendConnectionsMax: IN_FLIGHT };
}
