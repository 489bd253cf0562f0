/**
 * What a connection costs that has done its handshake and asks for nothing: resident memory of a proxy of its own, per connection.
 *
 *     bun bench/load/idle.ts [--connections 1000]
 *
 * A line each 200 connections: resident MiB, and KiB for each of the last 200. Clients run in this process.
 */
import { randomFillSync } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Counters } from "../../src/core/counters.ts";
import { QuicheClient } from "../../ffi/quiche/client.ts";
import { openTestLibrary } from "../../test/support/native.ts";
import { TEST_SETTINGS } from "../../test/support/quic-pair.ts";
import { openBed, rssMib, WAYS } from "./bed.ts";

const AT_ONCE = 20;
const PER_LINE = 200;
/** Steps after the handshake in which settings and spare ids go to and fro. */
const QUIET_STEPS = 10;
const SETTLE_MS = 500;

const { values } = parseArgs({ options: { connections: { type: "string", default: "1000" } } });
const library = openTestLibrary();
const bed = await openBed(WAYS[0], () => Promise.resolve(), { performance: { new_connections_burst: 100_000 } });
const server = { ip: "127.0.0.1", port: Number(new URL(bed.url).port) };

console.log(`0 connections: ${rssMib(bed.pid).toFixed(1)} MiB`);
const clients: QuicheClient[] = [];
for (let lastMib = rssMib(bed.pid); clients.length < Number(values.connections);) {
  for (let i = 0; i < PER_LINE / AT_ONCE; i++) clients.push(...(await connectSome()));
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const mib = rssMib(bed.pid);
  const each = ((mib - lastMib) * 1024) / PER_LINE;
  console.log(
    `${clients.length} connections: ${mib.toFixed(1)} MiB, ${each.toFixed(1)} KiB for each of the last ${PER_LINE}`,
  );
  lastMib = mib;
}
await bed.close();
process.exit(0);

async function connectSome(): Promise<QuicheClient[]> {
  const batch = Array.from({ length: AT_ONCE }, connect);
  while (!batch.every(({ connection }) => connection.isEstablished())) await step(batch);
  for (let i = 0; i < QUIET_STEPS; i++) {
    for (const client of batch) void client.session;
    await step(batch);
  }
  return batch;
}

async function step(batch: readonly QuicheClient[]): Promise<void> {
  for (const client of batch) client.step();
  await turn();
}

function connect(): QuicheClient {
  const id = randomFillSync(new Uint8Array(16));
  const options = { serverName: "localhost", server, ip: "127.0.0.1", settings: TEST_SETTINGS, id };
  return new QuicheClient(library, options, new Counters());
}
