/**
 * Very many clients that ask for much and take nothing: what does the proxy hold for them, what becomes of others meanwhile, and is all
 * of it free again when their time is over?
 *
 *     bun bench/load/stalled.ts [--clients 1000] [--streams 1] [--mib 100] [--way NAME] [--send-ms 20000]
 *
 * A Markdown row per way: resident memory before, at its peak and after the clients were given up; the p99 of a well-behaved client
 * before, and while they wait. `--streams 1000 --clients 1` is one client with as many streams. Clients run in this process.
 */
import { randomFillSync } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Counters } from "../../src/core/counters.ts";
import { EVENT } from "../../src/quic/engine.ts";
import { QuicheClient } from "../../ffi/quiche/client.ts";
import { openTestLibrary } from "../../test/support/native.ts";
import { get, TEST_SETTINGS } from "../../test/support/quic-pair.ts";
import { type Bed, openBed, quantile, rssMib, WAYS, type Way } from "./bed.ts";

const PIECE = new Uint8Array(64 * 1024).fill(0x61);
const MIB = 1024 * 1024;
const SMALL = new Uint8Array(512).fill(0x62);
const SAMPLES = 400;
/** What a client that reads nothing has room for on a stream. */
const STALLED_WINDOW_BYTES = 16 * 1024;
const CONNECTING_AT_ONCE = 20;
const STEPS_BETWEEN_LOOKS = 20;

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "1000" },
    streams: { type: "string", default: "1" },
    mib: { type: "string", default: "100" },
    way: { type: "string", default: "" },
    "send-ms": { type: "string", default: "20000" },
  },
});
const count = Number(values.clients);
const streams = Number(values.streams);
const library = openTestLibrary();

console.log(
  `${count} clients with ${streams} streams each, ${values.mib} MiB apiece\n\n` +
    "| way | RSS before | peak | after | answered | reset 0x102 | p50 and p99 idle, ms | p50 and p99 meanwhile, ms |\n" +
    "|---|---|---|---|---|---|---|---|",
);
for (const way of WAYS.filter(({ name }) => values.way === "" || name === values.way)) await measure(way);

async function measure(way: Way): Promise<void> {
  const bed = await openBed(way, serve, {
    performance: {
      client_send_timeout_ms: Number(values["send-ms"]),
      quic_initial_max_streams_bidi: Math.max(100, streams),
      new_connections_burst: 10_000,
    },
  });
  const good = connectTo(bed, TEST_SETTINGS.streamWindowBytes);
  const idle = await sample(good, []);
  const before = rssMib(bed.pid);
  const stalled = await stall(bed);
  let peak = rssMib(bed.pid);
  const busy = await sample(good, stalled, () => (peak = Math.max(peak, rssMib(bed.pid))));
  const answered = stalled.reduce((sum, { heads }) => sum + heads, 0);
  const deadlineMs = performance.now() + 3 * Number(values["send-ms"]);
  // Clients keep their connections alive and say what they have got: they just take nothing.
  while (performance.now() < deadlineMs && stalled.some(({ resets }) => resets < streams)) {
    for (const each of stalled) each.step();
    peak = Math.max(peak, rssMib(bed.pid));
    await turn();
  }
  for (const each of stalled) each.close();
  const resets = stalled.reduce((sum, each) => sum + each.resets, 0);
  await sample(good, []);
  const cells = [way.name, before, peak, rssMib(bed.pid), answered, resets];
  console.log(
    `| ${cells.map((cell) => (typeof cell === "number" ? cell.toFixed(0) : cell)).join(" | ")} | ${ends(idle)} | ${ends(busy)} |`,
  );
  good.close();
  await bed.close();
}

async function serve(exchange: Parameters<Parameters<typeof openBed>[1]>[0]): Promise<void> {
  exchange.head(200, []);
  if (exchange.target === "/small") await exchange.write(SMALL);
  else for (let sent = 0; sent < Number(values.mib) * MIB; sent += PIECE.length) await exchange.write(PIECE);
  exchange.end();
}

/** A client that asks and does not read; its windows never open. */
class Stalled {
  heads = 0;
  readonly client: QuicheClient;
  #asked = 0;
  #steps = 0;
  readonly #reset = new Set<number>();

  constructor(bed: Bed) {
    this.client = connectTo(bed, STALLED_WINDOW_BYTES);
  }

  step(): void {
    this.client.step();
    if (!this.client.connection.isEstablished()) return;
    while (this.#asked < streams && this.client.request(get("/large"), true) >= 0) this.#asked += 1;
    const { session } = this.client;
    for (let kind = session.poll(); kind !== EVENT.none && kind !== EVENT.failed; kind = session.poll()) {
      if (kind === EVENT.fields) this.heads += 1;
      if (kind === EVENT.reset) this.#reset.add(session.streamId);
    }
    // Resets lie behind bytes that are not read.
    this.#steps += 1;
    if (this.#steps % STEPS_BETWEEN_LOOKS !== 0) return;
    for (let id = 0; id < 4 * this.#asked; id += 4) if (session.isReset(id)) this.#reset.add(id);
  }

  get resets(): number {
    return this.#reset.size;
  }

  get isReady(): boolean {
    return this.heads + this.resets >= streams;
  }

  close(): void {
    this.client.connection.close(true, 0x100, "");
    this.client.step();
    this.client.close();
  }
}

/** All of them, a few handshakes at a time, until each has the head of its answer. */
async function stall(bed: Bed): Promise<Stalled[]> {
  const all: Stalled[] = [];
  while (all.length < count || all.some(({ isReady }) => !isReady)) {
    if (all.length < count && all.filter(({ isReady }) => !isReady).length < CONNECTING_AT_ONCE)
      all.push(new Stalled(bed));
    for (const each of all) each.step();
    await turn();
  }
  return all;
}

function connectTo(bed: Bed, streamWindowBytes: number): QuicheClient {
  const id = randomFillSync(new Uint8Array(16));
  const server = { ip: "127.0.0.1", port: Number(new URL(bed.url).port) };
  const settings = { ...TEST_SETTINGS, streamWindowBytes };
  return new QuicheClient(library, { serverName: "localhost", server, ip: "127.0.0.1", settings, id }, new Counters());
}

/** Latencies of small requests, one after another, milliseconds; the stalled ones are stepped now and then. */
async function sample(
  client: QuicheClient,
  stalled: readonly Stalled[],
  also: () => void = () => undefined,
): Promise<number[]> {
  const times: number[] = [];
  while (!client.connection.isEstablished()) {
    client.step();
    await turn();
  }
  for (let i = 0; i < SAMPLES; i++) {
    for (let k = 0; k < 10; k++) stalled[(10 * i + k) % Math.max(1, stalled.length)]?.step();
    also();
    const startedMs = performance.now();
    const id = client.request(get("/small"), true);
    while (!takeUntilEnd(client, id)) {
      client.step();
      await turn();
    }
    times.push(performance.now() - startedMs);
  }
  return times;
}

function takeUntilEnd(client: QuicheClient, id: number): boolean {
  const { session } = client;
  for (let kind = session.poll(); kind !== EVENT.none && kind !== EVENT.failed; kind = session.poll()) {
    if (kind === EVENT.data) while (session.readBody(session.streamId) > 0);
    if ((kind === EVENT.finished || kind === EVENT.reset) && session.streamId === id) return true;
  }
  return false;
}

function ends(times: readonly number[]): string {
  return `${quantile(times, 0.5).toFixed(1)}, ${quantile(times, 0.99).toFixed(1)}`;
}
