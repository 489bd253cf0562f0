/**
 * How long an event of a stream of events takes from the backend's write to an HTTP/3 client, for every way to a backend. Each event
 * is written alone, when the one before has long arrived: what holds back small pieces shows as time.
 *
 *     bun bench/load/events.ts [--events 200] [--pause-ms 7] [--streams 20]
 *
 * `--streams`: how many times a stream is begun, for the first event of each. Prints milliseconds as a Markdown table; exit code 1
 * when an event was lost, or took longer than 20 ms in the median of its way.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { fetchHttp3 } from "../../test/interop/bun-fetch.ts";
import type { BackendExchange } from "../../test/support/exchange.ts";
import { openBed, quantile, WAYS, type Way } from "./bed.ts";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "200" },
    "pause-ms": { type: "string", default: "7" },
    streams: { type: "string", default: "20" },
  },
});
const events = Number(values.events);
const pauseMs = Number(values["pause-ms"]);
const MEDIAN_MS_MAX = 20;

console.log("| way | first event: p50 | max | later events: p50 | p99 | max |\n|---|---|---|---|---|---|");
for (const way of WAYS) {
  const { first, later } = await measure(way);
  const shares = [
    quantile(first, 0.5),
    quantile(first, 1),
    quantile(later, 0.5),
    quantile(later, 0.99),
    quantile(later, 1),
  ];
  console.log(`| ${way.name} | ${shares.map((ms) => ms.toFixed(2)).join(" | ")} |`);
  const lost = first.length !== Number(values.streams) || later.length !== events;
  if (lost) console.error(`${way.name}: ${first.length} first events and ${later.length} later ones arrived`);
  if (lost || !(quantile(first.concat(later), 0.5) <= MEDIAN_MS_MAX)) process.exitCode = 1;
}
process.exit();

async function measure(way: Way): Promise<{ first: number[]; later: number[] }> {
  const first: number[] = [];
  const later: number[] = [];
  const bed = await openBed(way, serveEvents);
  // The first request makes the connection to the backend.
  await read(`${bed.url}/0`, () => undefined);
  for (let i = 0; i < Number(values.streams); i++) await read(`${bed.url}/1`, (ms) => void first.push(ms));
  await read(`${bed.url}/${events + 1}`, (ms, index) => void (index > 0 && later.push(ms)));
  await bed.close();
  return { first, later };
}

/** Sends as many events as the path says. The head is sent with the first, which comes after a pause. */
async function serveEvents(exchange: BackendExchange): Promise<void> {
  const count = Number(exchange.target.slice(1));
  exchange.head(200, [["content-type", "text/event-stream"]]);
  for (let i = 0; i < count; i++) {
    await sleep(pauseMs);
    await exchange.write(Buffer.from(`data: ${performance.now()}\n\n`));
  }
  exchange.end();
}

async function read(url: string, onEvent: (ms: number, index: number) => void): Promise<void> {
  const response = await fetchHttp3(url);
  let rest = "";
  let index = 0;
  for await (const piece of response.body ?? []) {
    const nowMs = performance.now();
    const parts = (rest + Buffer.from(piece).toString()).split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) onEvent(nowMs - Number(part.slice("data: ".length)), index++);
  }
}
