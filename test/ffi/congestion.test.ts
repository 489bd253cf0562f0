/** What the configuration says about congestion control reaches the library, and each algorithm delivers. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { FieldWriter } from "../../src/core/field-writer.ts";
import type { RequestStream } from "../../src/h3/stream.ts";
import type { EngineSettings, Identity } from "../../ffi/quiche/config.ts";
import { testCertificate } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { connect, exchange, get, TestServer } from "../support/quic-pair.ts";

const library = openTestLibrary();
const writer = new FieldWriter();
const BODY = new Uint8Array(1_000_000).fill(9);
let identity: Identity;

beforeAll(async () => {
  const encoder = new TextEncoder();
  const leaf = await testCertificate();
  const [chainPem, keyPem] = [encoder.encode(leaf.certPem), encoder.encode(leaf.keyPem)];
  identity = { serverNames: [], chainPem, keyPem, label: "test" };
});
afterAll(() => expect(library.ledger.total).toBe(0));

function inServer(settings: Partial<EngineSettings>, run: (server: TestServer) => void): void {
  const handler = { onRequest: answer, onMalformed: () => undefined };
  const server = new TestServer({ library, identities: [identity], handler, settings });
  try {
    run(server);
  } finally {
    server.close();
  }
}

function answer(stream: RequestStream): void {
  writer.begin();
  writer.add(":status", "200");
  stream.sendHead(writer.finish(), false);
  stream.sendBody(BODY);
  stream.end();
}

test.each(["cubic", "reno", "bbr2"] as const)("%s delivers", (congestionControl) => {
  inServer({ congestionControl }, (server) => {
    const client = server.client();
    connect(server, client);
    expect(Buffer.compare(exchange(server, client, get("/")).body, BODY)).toBe(0);
    client.close();
  });
});

test.each([16, 40])(
  "an initial window of %d packets is what a client is sent before it has acknowledged any",
  (packets) => {
    inServer({ initialWindowPackets: packets }, (server) => {
      const client = server.client();
      connect(server, client);
      client.step();
      server.step();
      client.step();
      const before = server.counters.datagramsSent;
      client.request(get("/"), true);
      client.step();
      for (let i = 0; i < 5; i++) server.step();
      const sent = server.counters.datagramsSent - before;
      expect(sent).toBeGreaterThan(packets - 4);
      expect(sent).toBeLessThan(packets + 12);
      client.close();
    });
  },
);
