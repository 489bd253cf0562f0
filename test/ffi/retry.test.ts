/** Retry and stateless reset with a real client: quiche checks the Retry's tag, both ids in the transport parameters, and the reset's token. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { LIMITS } from "../../src/core/limits.ts";
import type { Identity } from "../../ffi/quiche/config.ts";
import { Answerer } from "../support/answerer.ts";
import { testCertificate } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { connect, drive, exchange, get, TestServer } from "../support/quic-pair.ts";

const library = openTestLibrary();
let identity: Identity;

beforeAll(async () => {
  const { certPem, keyPem } = await testCertificate();
  const encoder = new TextEncoder();
  identity = { serverNames: [], chainPem: encoder.encode(certPem), keyPem: encoder.encode(keyPem), label: "test" };
});

afterAll(() => expect(library.ledger.total).toBe(0));

function withServer(retryFromHandshakes: number, run: (server: TestServer) => void, ip: string = "127.0.0.1"): void {
  const admission = { retryFromHandshakes };
  const server = new TestServer({ library, identities: [identity], handler: new Answerer(), admission, ip });
  try {
    run(server);
  } finally {
    server.close();
  }
}

describe("Retry", () => {
  for (const ip of ["127.0.0.1", "::1"]) {
    test(`over ${ip}: the client comes back, its handshake is done and it is served`, () => {
      withServer(
        0,
        (server) => {
          const client = server.client({ ip });
          const alive = library.ledger.total;
          client.step();
          drive(server, [], () => server.counters.retriesSent > 0);
          expect(library.ledger.total).toBe(alive);
          connect(server, client);
          expect(exchange(server, client, get("/")).status).toBe("200");
          expect(server.counters).toMatchObject({ connectionsAccepted: 1, handshakesFailed: 0 });
          expect(server.counters.tokensValid).toBeGreaterThan(0);
          client.close();
        },
        ip,
      );
    });
  }

  test("begins where so many handshakes are under way, and no client is lost by it", () => {
    withServer(3, (server) => {
      const clients = Array.from({ length: 12 }, () => server.client());
      for (const client of clients) client.step();
      drive(server, clients, () => server.counters.connectionsEstablished === clients.length);
      expect(server.counters.retriesSent).toBeGreaterThan(0);
      expect(server.counters.connectionsAccepted).toBe(12);
      for (const client of clients) client.close();
    });
  });

  test("a token that is too old: the client hears INVALID_TOKEN at once, and nothing native is made", () => {
    withServer(0, (server) => {
      const client = server.client();
      client.step();
      drive(server, [], () => server.counters.retriesSent > 0);
      server.skewMs = LIMITS.retryTokenMsMax + 1000;
      const alive = library.ledger.total;
      drive(server, [client], () => client.connection.isDraining());
      expect(client.connection.closeReason()).toMatchObject({ by: "peer", app: false, code: 0x0b });
      expect(library.ledger.total).toBe(alive);
      expect(server.counters.tokensRefused.of("expired")).toBeGreaterThan(0);
      client.close();
    });
  });
});

test("a client whose connection is gone is told by a stateless reset, and believes it", () => {
  withServer(Infinity, (server) => {
    const client = server.client();
    connect(server, client);
    expect(exchange(server, client, get("/")).status).toBe("200");
    must([...server.endpoint.connections][0], "there is a connection").destroy();
    client.request(get("/"), true);
    drive(server, [client], () => client.connection.isDraining() || client.connection.isClosed());
    expect(server.counters.resetsSent).toBeGreaterThan(0);
    client.close();
  });
});
