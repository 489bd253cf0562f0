/**
 * A closed load of small requests over HTTP/3 from quiche's client half: `load.child.ts PORT CONNECTIONS STREAMS REQUESTS PATH`. Says
 * `ready` when all connections stand, begins with a line of its input, and prints what it got as JSON.
 */
import { randomFillSync } from "node:crypto";
import { QuicheClient } from "../../ffi/quiche/client.ts";
import { Counters } from "../../src/core/counters.ts";
import { EVENT } from "../../src/quic/engine.ts";
import { openTestLibrary } from "../support/native.ts";
import { get, readFields, TEST_SETTINGS } from "../support/quic-pair.ts";

const [port = 0, connections = 0, streams = 0, requests = 0] = process.argv.slice(2, 6).map(Number);
const fields = get(process.argv[6] ?? "/");
const library = openTestLibrary();
const counters = new Counters();
const clients = Array.from({ length: connections }, () => {
  const server = { ip: "127.0.0.1", port };
  const id = randomFillSync(new Uint8Array(16));
  return new QuicheClient(
    library,
    { serverName: "localhost", server, ip: "127.0.0.1", settings: TEST_SETTINGS, id },
    counters,
  );
});
const result = { ok: 0, other: 0, bodyBytes: 0, datagramsReceived: 0 };
let started = 0;

// Busy while there is work and never asleep: each step takes what came and sends what is due, as a client with a core of its own.
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
while (!clients.every((client) => client.connection.isEstablished())) {
  for (const client of clients) client.step();
  await pause();
}
console.log("ready");
for await (const _line of console) break;
counters.datagramsReceived = 0;
for (const client of clients) for (let i = 0; i < streams; i++) begin(client);
while (result.ok + result.other < requests) {
  for (const client of clients) {
    client.step();
    work(client);
  }
  await pause();
}
result.datagramsReceived = counters.datagramsReceived;
console.log(JSON.stringify(result));
process.exit(0);

function begin(client: QuicheClient): void {
  if (started === requests) return;
  if (client.request(fields, true) >= 0) started += 1;
}

function work(client: QuicheClient): void {
  const { session } = client;
  for (let kind = session.poll(); kind !== EVENT.none && kind !== EVENT.failed; kind = session.poll()) {
    const { streamId } = session;
    if (kind === EVENT.fields && session.section !== null) {
      const [status] = readFields(session.section);
      if (status?.[1] === "200") result.ok += 1;
      else result.other += 1;
    } else if (kind === EVENT.data) {
      for (let size = session.readBody(streamId); size > 0; size = session.readBody(streamId)) result.bodyBytes += size;
    } else if (kind === EVENT.finished || kind === EVENT.reset) {
      begin(client);
    }
  }
}
