/**
 * Sending very many clients away: how long the longest turn of the loop is while each hears GOAWAY and is closed, and over what time.
 *
 *     bun bench/load/farewell.ts --h2load PATH [--connections 10000] [--spread-ms 5000]
 *
 * The proxy runs in this process, its clients are h2load's (built with HTTP/3). They ask for one thing and are idle then.
 */
import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { loadConfig } from "../../src/config/load.ts";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { Log } from "../../src/observe/log.ts";
import { Endpoint } from "../../src/quic/endpoint.ts";
import { bunRuntime } from "../../src/runtime/bun.ts";
import { Server } from "../../src/cli/server.ts";
import { certificateFiles, testCertificate } from "../../test/support/certs.ts";
import { openTestLibrary } from "../../test/support/native.ts";
import { quantile } from "./bed.ts";

/** Clients of one h2load: many handshakes at once take longer than it waits. */
const AT_ONCE = 250;
/** Between two requests of a client: longer than the run. */
const RATE = "0.01";
const { values } = parseArgs({
  options: {
    h2load: { type: "string" },
    connections: { type: "string", default: "10000" },
    "spread-ms": { type: "string", default: "5000" },
  },
});
if (values.h2load === undefined) {
  console.error("usage: bun bench/load/farewell.ts --h2load PATH [--connections N] [--spread-ms N]");
  process.exit(2);
}
const wanted = Number(values.connections);
const turns = watchTurns();
const ends: (() => unknown)[] = [];
const server = await startServer();
const url = `https://127.0.0.1:${server.port}/`;
for (let made = 0; made < wanted; made += AT_ONCE) {
  const flags = ["--h3", "--sni=localhost", "-t1", `-c${AT_ONCE}`, "-m1", `--rps=${RATE}`, "-D300"];
  const clients = spawn(values.h2load, [...flags, url], { stdio: "ignore" });
  ends.push(() => clients.kill());
  await until(() => server.counters.connectionsEstablished >= made + AT_ONCE);
}
await pause(3000);
report("at rest", turns.take());
const closedBefore = server.counters.connectionsClosed;
const startMs = performance.now();
const drained = server.drain();
console.log(`planned in ${(performance.now() - startMs).toFixed(2)} ms`);
let firstMs = Infinity;
let half = Infinity;
const watch = setInterval(() => {
  const closed = server.counters.connectionsClosed - closedBefore;
  if (closed > 0) firstMs = Math.min(firstMs, performance.now() - startMs);
  if (closed >= (wanted - closedBefore) / 2) half = Math.min(half, performance.now() - startMs);
}, 5);
await drained;
clearInterval(watch);
const totalMs = performance.now() - startMs;
report("being left", turns.take());
console.log(`first closed after ${firstMs.toFixed(0)} ms, half ${half.toFixed(0)} ms, all ${totalMs.toFixed(0)} ms`);
console.log(`cut off: ${JSON.stringify(server.close())}`);
for (const end of ends) end();
process.exit(0);

interface Turns {
  /** Lengths since the last call, milliseconds, and the longest time without one beginning. */
  take(): { readonly lengths: readonly number[]; readonly gapMs: number };
}

/** Every turn is one `receive` and one `flush` of the endpoint. */
function watchTurns(): Turns {
  const { receive, flush } = Endpoint.prototype;
  let lengths: number[] = [];
  let beganMs = 0;
  let lastTickMs = performance.now();
  let gapMs = 0;
  Endpoint.prototype.receive = function (nowMs): boolean {
    beganMs = performance.now();
    return receive.call(this, nowMs);
  };
  Endpoint.prototype.flush = function (): boolean {
    const all = flush.call(this);
    lengths.push(performance.now() - beganMs);
    return all;
  };
  setInterval(() => {
    gapMs = Math.max(gapMs, performance.now() - lastTickMs);
    lastTickMs = performance.now();
  }, 1);
  return {
    take: () => {
      const taken = { lengths, gapMs };
      lengths = [];
      gapMs = 0;
      return taken;
    },
  };
}

function report(what: string, { lengths, gapMs }: ReturnType<Turns["take"]>): void {
  const [p50, p99, longest] = [0.5, 0.99, 1].map((share) => quantile(lengths, share).toFixed(2));
  console.log(
    `${what}: ${server.counters.connectionsEstablished - server.counters.connectionsClosed} connections, ${lengths.length} turns, ` +
      `ms p50 ${p50} p99 ${p99} longest ${longest}; a timer of 1 ms came ${gapMs.toFixed(1)} ms late at most`,
  );
}

async function startServer(): Promise<Server> {
  const { certFile, keyFile } = certificateFiles(await testCertificate(), (end) => void ends.push(end));
  const text = JSON.stringify({
    listen: { address: "127.0.0.1", port: 0, tls: { cert: certFile, key: keyFile } },
    upstream: { a: { route: { path_prefix: "/nowhere" }, backends: [{ id: "b", address: "127.0.0.1:9" }] } },
    performance: {
      goaway_spread_ms: Number(values["spread-ms"]),
      quic_max_idle_timeout_ms: 300_000,
      max_handshakes: wanted,
      ...{ max_active_connections: 2 * wanted, new_connections_per_sec: 100_000, new_connections_burst: 100_000 },
    },
    log: { level: "off" },
  });
  const loaded = loadConfig(text, "farewell.yaml");
  const snapshot = must("snapshot" in loaded ? loaded.snapshot : null, JSON.stringify(loaded).slice(0, 500));
  const counters = new Counters();
  const library = openTestLibrary();
  const log = new Log(snapshot.log, { counters, epochMs: () => Date.now(), terminal: false });
  const started = new Server(snapshot, { runtime: bunRuntime, library, log, counters });
  await started.start();
  return started;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(50);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
