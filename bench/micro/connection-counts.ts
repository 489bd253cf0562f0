/**
 * What it costs to look at what became of connections' packets, with real connections: at rest, and after each has sent something.
 * Run: `bun bench/micro/connection-counts.ts`.
 */
import { LIMITS } from "../../src/core/limits.ts";
import type { PacketFacts } from "../../src/quic/engine.ts";
import { ConnectionCounts } from "../../src/quic/connection-counts.ts";
import { testCertificate } from "../../test/support/certs.ts";
import { openTestLibrary } from "../../test/support/native.ts";
import { connect, TestServer } from "../../test/support/quic-pair.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CONNECTIONS = 400;
const LOOKS = 200;

const library = openTestLibrary();
const leaf = await testCertificate();
const encoder = new TextEncoder();
const identity = {
  ...{ serverNames: [], label: "bench" },
  ...{ chainPem: encoder.encode(leaf.certPem), keyPem: encoder.encode(leaf.keyPem) },
};
const handler = { onRequest: (): void => undefined, onMalformed: (): void => undefined };
const server = new TestServer({ library, identities: [identity], handler });
const clients = Array.from({ length: CONNECTIONS }, () => server.client());
for (const client of clients) connect(server, client);
const looked = new Set(
  [...server.endpoint.connections].map(({ engine, established }) => {
    const counted: PacketFacts = { sent: 0, lost: 0, retransmitted: 0 };
    return { engine, established, counted };
  }),
);
const counts = new ConnectionCounts(looked, server.counters);
const perConnection = (name: string, between: () => void): void => {
  const nanoseconds = nanosecondsPerCall(LOOKS, (call) => {
    between();
    counts.look();
    return call;
  });
  report(`${name}, a connection`, nanoseconds / CONNECTIONS);
  report(
    `${name}, a look at ${LIMITS.connectionsLookedAtMax}`,
    (nanoseconds / CONNECTIONS) * LIMITS.connectionsLookedAtMax,
  );
};
perConnection("at rest", () => undefined);
perConnection("each has sent something", () => {
  for (const { counted } of looked) counted.sent = 0;
});
for (const client of clients) client.close();
server.close();
