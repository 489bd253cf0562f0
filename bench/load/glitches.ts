/**
 * What honest clients use of the glitch budget, which must never be all of it: large bodies both ways, with loss too, a hundred streams of
 * events, and small messages both ways at once.
 *
 *     bun bench/load/glitches.ts [--mib 1024] [--way "native h2c"]
 *
 * Prints a Markdown row per kind of traffic with the most that was used of the 2,000. Exit code 1 when a connection was closed for it.
 */
import { randomFillSync } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { EVENT } from "../../src/quic/engine.ts";
import { QuicheClient } from "../../ffi/quiche/client.ts";
import { fetchHttp3 } from "../../test/interop/bun-fetch.ts";
import { openTestLibrary } from "../../test/support/native.ts";
import { get, TEST_SETTINGS } from "../../test/support/quic-pair.ts";
import { type Bed, openBed, WAYS } from "./bed.ts";

const MIB = 1024 * 1024;
const BLOCK = new Uint8Array(MIB).fill(0x61);
const EVENT_STREAMS = 100;
const EVENTS = 200;
const EVENT_GAP_MS = 10;
const MESSAGES = 20_000;
const MESSAGE = new Uint8Array(5).fill(0x62);
/** One datagram of so many is lost. */
const LOSS = 20;
const LOSSY_MIB = 32;

const { values } = parseArgs({
  options: { mib: { type: "string", default: "1024" }, way: { type: "string", default: "native h2c" } },
});
const mib = Number(values.mib);
const way = must(
  WAYS.find(({ name }) => name === values.way),
  `--way is one of ${WAYS.map(({ name }) => name).join(", ")}`,
);

console.log(
  "| traffic | packets from the client | most used of the budget | connections closed for it |\n|---|---|---|---|",
);
await measure(`download of ${mib} MiB`, (bed) => download(bed.url, mib));
await measure(`upload of ${mib} MiB`, (bed) => upload(bed.url, mib));
await measure(`${EVENT_STREAMS} streams of events`, events);
await measure(`${MESSAGES} messages of 5 bytes both ways`, messages);
await measure(`download of ${LOSSY_MIB} MiB, one datagram of ${LOSS} lost`, lossy(download));
await measure(`upload of ${LOSSY_MIB} MiB, one datagram of ${LOSS} lost`, lossy(upload));

async function measure(name: string, run: (bed: Bed) => Promise<void>): Promise<void> {
  const bed = await openBed(way, async (exchange) => {
    exchange.head(200, []);
    const [, kind, count] = exchange.target.split("/");
    if (kind === "down") for (let i = 0; i < Number(count); i++) await exchange.write(BLOCK);
    if (kind === "up") for await (const _piece of exchange.body);
    if (kind === "echo") for await (const piece of exchange.body) await exchange.write(piece);
    if (kind === "events") {
      for (let i = 0; i < EVENTS; i++) {
        await exchange.write(MESSAGE);
        await sleep(EVENT_GAP_MS);
      }
    }
    exchange.end();
  });
  await run(bed);
  await bed.close();
  const counted = (counter: string): string => new RegExp(`"${counter}":([\\d.]+)`).exec(bed.output())?.[1] ?? "0";
  const closed = counted("connections_over_glitches");
  console.log(`| ${name} | ${counted("datagrams_received")} | ${counted("glitches_highest")} | ${closed} |`);
  if (closed !== "0") process.exitCode = 1;
}

async function download(url: string, count: number): Promise<void> {
  const response = await fetchHttp3(`${url}/down/${count}`);
  let bytes = 0;
  for await (const piece of must(response.body, "a download has a body")) bytes += piece.length;
  if (bytes !== count * MIB) throw new TypeError(`${bytes} bytes came of ${count * MIB}`);
}

async function upload(url: string, count: number): Promise<void> {
  let left = count;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => {
      if (left-- > 0) controller.enqueue(BLOCK.slice());
      else controller.close();
    },
  });
  await (await fetchHttp3(`${url}/up/0`, { method: "POST", body })).bytes();
}

async function events({ url }: Bed): Promise<void> {
  const answers = Array.from({ length: EVENT_STREAMS }, async () => (await fetchHttp3(`${url}/events/0`)).bytes());
  for (const bytes of await Promise.all(answers)) {
    if (bytes.length !== EVENTS * MESSAGE.length) throw new TypeError("events were lost");
  }
}

/** Each message in a packet of its own, answered at once: what gRPC's two-way streams do. */
async function messages({ url }: Bed): Promise<void> {
  const id = randomFillSync(new Uint8Array(16));
  const server = { ip: "127.0.0.1", port: Number(new URL(url).port) };
  const options = { serverName: "localhost", server, ip: "127.0.0.1", settings: TEST_SETTINGS, id };
  const client = new QuicheClient(openTestLibrary(), options, new Counters());
  while (!client.connection.isEstablished()) {
    client.step();
    await turn();
  }
  const streamId = client.request([[":method", "POST"], ...get("/echo/0").slice(1)], false);
  let received = 0;
  for (let sent = 0; received < MESSAGES * MESSAGE.length;) {
    if (sent < MESSAGES && client.session.sendBody(streamId, MESSAGE, 0, MESSAGE.length, false) === MESSAGE.length)
      sent += 1;
    client.step();
    for (let kind = client.session.poll(); kind !== EVENT.none; kind = client.session.poll()) {
      if (kind === EVENT.failed || client.connection.isClosed()) throw new TypeError("the connection was closed");
      if (kind !== EVENT.data) continue;
      for (let n = client.session.readBody(streamId); n > 0; n = client.session.readBody(streamId)) received += n;
    }
    await turn();
  }
  client.close();
}

/** Through a relay that loses datagrams both ways. */
function lossy(run: (url: string, count: number) => Promise<void>): (bed: Bed) => Promise<void> {
  return async ({ url }) => {
    const port = Number(new URL(url).port);
    const [near, far] = [createSocket("udp4"), createSocket("udp4")];
    let clientPort = 0;
    let passed = 0;
    const isLost = (): boolean => ++passed % LOSS === 0;
    near.on("message", (datagram, from) => {
      clientPort = from.port;
      if (!isLost()) far.send(datagram, port, "127.0.0.1");
    });
    far.on("message", (datagram) => {
      if (!isLost()) near.send(datagram, clientPort, "127.0.0.1");
    });
    near.bind(0, "127.0.0.1");
    far.bind(0, "127.0.0.1");
    await Promise.all([once(near, "listening"), once(far, "listening")]);
    await run(`https://127.0.0.1:${near.address().port}`, LOSSY_MIB);
    near.close();
    far.close();
  };
}
