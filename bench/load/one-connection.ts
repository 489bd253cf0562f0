/**
 * Very many requests on one connection: does the proxy's memory stay flat, and is nothing left of them?
 *
 *     bun bench/load/one-connection.ts [--requests 1000000] [--streams 50] [--way "native h2c"]
 *
 * Prints a Markdown row for each tenth: the least and the mean of 100 looks at the resident memory, which the runtime's collector moves up
 * and down by some 30 MiB all the time. Exit code 1 when a request failed, when the mean of any tenth after the first is over 5 % above
 * that of the second, or when the proxy ends with native objects left.
 */
import { randomFillSync } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { EVENT } from "../../src/quic/engine.ts";
import { QuicheClient } from "../../ffi/quiche/client.ts";
import { openTestLibrary } from "../../test/support/native.ts";
import { get, readFields, TEST_SETTINGS } from "../../test/support/quic-pair.ts";
import { openBed, rssMib, WAYS } from "./bed.ts";

const BODY = new Uint8Array(512).fill(0x61);
const TENTHS = 10;
const GROWTH_MAX = 1.05;
const LOOKS = 100;

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "1000000" },
    streams: { type: "string", default: "50" },
    way: { type: "string", default: "native h2c" },
  },
});
const perTenth = Math.ceil(Number(values.requests) / TENTHS);
const streams = Number(values.streams);
const way = must(
  WAYS.find(({ name }) => name === values.way),
  `--way is one of ${WAYS.map(({ name }) => name).join(", ")}`,
);

const bed = await openBed(way, async (exchange) => {
  exchange.head(200, [["content-length", String(BODY.length)]]);
  await exchange.write(BODY);
  exchange.end();
});
const client = connectTo(Number(new URL(bed.url).port));
const fields = get("/");
let begun = 0;
let ok = 0;
let failed = 0;
const means: number[] = [];
console.log("| requests | ok | failed | RSS least, mean, MiB | requests/s |\n|---|---|---|---|---|");
for (let tenth = 1; tenth <= TENTHS; tenth++) {
  const startedMs = performance.now();
  const memory: number[] = [];
  for (let look = 1; look <= LOOKS; look++) {
    await upTo(Math.round((tenth - 1 + look / LOOKS) * perTenth));
    memory.push(rssMib(bed.pid));
  }
  const rate = perTenth / ((performance.now() - startedMs) / 1000);
  const least = Math.min(...memory);
  const mean = memory.reduce((sum, mib) => sum + mib, 0) / LOOKS;
  means.push(mean);
  console.log(`| ${begun} | ${ok} | ${failed} | ${least.toFixed(1)}, ${mean.toFixed(1)} | ${rate.toFixed(0)} |`);
}
client.connection.close(true, 0x100, "");
client.step();
client.close();
await bed.close();
const left = /"native_handles":(\d+)/.exec(bed.output())?.[1] ?? "not told";
const growth = Math.max(...means.slice(1)) / (means[1] ?? NaN);
console.log(
  `\nlargest mean after the first tenth: ${growth.toFixed(3)} of the second; native objects at the end: ${left}`,
);
process.exitCode = failed > 0 || !(growth <= GROWTH_MAX) || left !== "0" ? 1 : 0;

function connectTo(port: number): QuicheClient {
  const id = randomFillSync(new Uint8Array(16));
  const server = { ip: "127.0.0.1", port };
  const options = { serverName: "localhost", server, ip: "127.0.0.1", settings: TEST_SETTINGS, id };
  return new QuicheClient(openTestLibrary(), options, new Counters());
}

/** Keeps `streams` requests under way until so many have ended. Busy while there is work, as a client with a core of its own. */
async function upTo(requests: number): Promise<void> {
  while (!client.connection.isEstablished()) {
    client.step();
    await turn();
  }
  while (ok + failed < requests) {
    while (begun < requests && begun - ok - failed < streams && client.request(fields, true) >= 0) begun += 1;
    client.step();
    takeEvents();
    if (client.connection.isClosed()) throw new TypeError("the connection was closed");
    await turn();
  }
}

function takeEvents(): void {
  const { session } = client;
  for (let kind = session.poll(); kind !== EVENT.none && kind !== EVENT.failed; kind = session.poll()) {
    const { streamId } = session;
    if (kind === EVENT.fields && session.section !== null && readFields(session.section)[0]?.[1] !== "200") failed += 1;
    if (kind === EVENT.data) while (session.readBody(streamId) > 0);
    if (kind === EVENT.finished) ok += 1;
    if (kind === EVENT.reset) failed += 1;
  }
}
