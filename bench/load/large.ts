/**
 * Bodies from nothing to a gibibyte, down and up, by every way to a backend: are all bytes the same at the other end, and how far does
 * the proxy's memory rise? Then one side that is slow: a reader that pauses, and a backend that never reads.
 *
 *     bun bench/load/large.ts [--mib 1024] [--way NAME] [--slow-mib 200]
 *
 * Prints a Markdown row per way; memory is the peak of the whole phase above what the process had before it. Exit code 1 when bytes
 * differ.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { fetchHttp3 } from "../../test/interop/bun-fetch.ts";
import type { BackendExchange } from "../../test/support/exchange.ts";
import { type Bed, openBed, rssMib, WAYS, type Way } from "./bed.ts";

const MIB = 1024 * 1024;
const SIZES = [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, MIB, 100 * MIB];
/** What a slow reader takes before it pauses, and for how long: some 60 MiB a second. */
const SLOW_BYTES = 2 * MIB;
const SLOW_PAUSE_MS = 33;
/** Long enough for a client to fill all windows. */
const UNREAD_WATCH_MS = 1500;

const { values } = parseArgs({
  options: {
    mib: { type: "string", default: "1024" },
    "slow-mib": { type: "string", default: "200" },
    way: { type: "string", default: "" },
  },
});

/** A megabyte without a pattern that a shift by a round number would keep. */
const BLOCK = new Uint8Array(MIB);
for (let i = 0, state = 1; i < MIB; i++) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  BLOCK[i] = state >>> 24;
}

console.log(
  "| way | sizes right | large down, MiB/s | RSS + MiB | large up, MiB/s | RSS + MiB | slow reader, RSS + MiB | backend that never reads: sent MiB | RSS + MiB | others meanwhile |",
);
console.log("|---|---|---|---|---|---|---|---|---|---|");
for (const way of WAYS) {
  if (values.way === "" || values.way === way.name) console.log(`| ${way.name} | ${(await row(way)).join(" | ")} |`);
}
process.exit();

async function row(way: Way): Promise<string[]> {
  const bed = await openBed(way, serve, { performance: { backend_body_idle_timeout_ms: 60_000 } });
  let right = 0;
  for (const size of SIZES) right += (await down(bed, size)) && (await up(bed, size)) ? 1 : 0;
  const large = Number(values.mib) * MIB;
  const cells = [`${right} of ${SIZES.length}`];
  for (const move of [down, up]) {
    const startedMs = performance.now();
    const { risenMib, result } = await watched(bed, () => move(bed, large));
    if (!result) right -= 1;
    cells.push(result ? ((large / MIB / (performance.now() - startedMs)) * 1000).toFixed(0) : "WRONG", risenMib);
  }
  const slow = await watched(bed, () => down(bed, Number(values["slow-mib"]) * MIB, true));
  cells.push(slow.result ? slow.risenMib : "WRONG");
  const unread = await watched(bed, () => upUnread(bed));
  cells.push((unread.result.sentBytes / MIB).toFixed(1), unread.risenMib, `${unread.result.others} answered`);
  if (right < SIZES.length || !slow.result) process.exitCode = 1;
  await bed.close();
  return cells;
}

async function watched<T>(bed: Bed, run: () => Promise<T>): Promise<{ result: T; risenMib: string }> {
  const before = rssMib(bed.pid);
  // Resets the peak (proc(5)).
  writeFileSync(`/proc/${bed.pid}/clear_refs`, "5");
  const result = await run();
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${bed.pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  return { result, risenMib: (peak - before).toFixed(0) };
}

/** `/down/BYTES`, `/up`, `/unread`, anything else a word. */
async function serve(exchange: BackendExchange): Promise<void> {
  const [, name, size] = exchange.target.split("/");
  if (name === "unread") return;
  if (name === "down") {
    exchange.head(200, [["content-length", String(size)]]);
    for (const piece of pieces(Number(size))) await exchange.write(piece);
  } else if (name === "up") {
    const seen = await digest(exchange.body);
    exchange.head(200, []);
    await exchange.write(Buffer.from(seen));
  } else {
    exchange.head(200, []);
    await exchange.write(Buffer.from("ok"));
  }
  exchange.end();
}

async function down(bed: Bed, size: number, isSlow = false): Promise<boolean> {
  const response = await fetchHttp3(`${bed.url}/down/${size}`);
  return (await digest(isSlow ? slowly(response.body) : (response.body ?? []))) === expected(size);
}

async function up(bed: Bed, size: number): Promise<boolean> {
  const response = await fetchHttp3(`${bed.url}/up`, { method: "POST", body: streamOf(size, () => undefined) });
  return (await response.text()) === expected(size);
}

/** Uploads what is taken while other requests are answered. */
async function upUnread(bed: Bed): Promise<{ sentBytes: number; others: number }> {
  const leave = new AbortController();
  let sentBytes = 0;
  const body = streamOf(1024 * MIB, (bytes) => (sentBytes += bytes));
  const upload = fetchHttp3(`${bed.url}/unread`, { method: "POST", body, signal: leave.signal });
  upload.catch(() => undefined);
  let others = 0;
  for (const untilMs = performance.now() + UNREAD_WATCH_MS; performance.now() < untilMs; others++) {
    if ((await (await fetchHttp3(`${bed.url}/other`)).text()) !== "ok") break;
  }
  leave.abort();
  return { sentBytes, others };
}

function* pieces(size: number): Generator<Uint8Array<ArrayBuffer>> {
  // Each block is told from the others by its first bytes.
  for (let at = 0; at < size; at += MIB) {
    const block = BLOCK.slice(0, Math.min(MIB, size - at));
    new DataView(block.buffer).setUint8(0, (at / MIB) & 0xff);
    yield block;
  }
}

function streamOf(size: number, onTaken: (bytes: number) => void): ReadableStream<Uint8Array<ArrayBuffer>> {
  const source = pieces(size);
  return new ReadableStream(
    {
      pull: (controller) => {
        const { done, value } = source.next();
        if (done === true) return controller.close();
        onTaken(value.length);
        controller.enqueue(value);
      },
    },
    { highWaterMark: 0 },
  );
}

async function* slowly(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  let taken = 0;
  for await (const piece of body ?? []) {
    yield piece;
    taken += piece.length;
    if (taken < SLOW_BYTES) continue;
    taken = 0;
    await sleep(SLOW_PAUSE_MS);
  }
}

async function digest(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const piece of body) hash.update(piece);
  return hash.digest("hex");
}

function expected(size: number): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const piece of pieces(size)) hash.update(piece);
  return hash.digest("hex");
}
