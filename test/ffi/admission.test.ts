/** Who may become a connection, with real clients: refused ones hear of it, dropped ones come again, and nothing is left behind. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { AdmissionBounds } from "../../src/guard/admission.ts";
import type { Identity } from "../../ffi/quiche/config.ts";
import type { QuicheClient } from "../../ffi/quiche/client.ts";
import { openTestLibrary } from "../support/native.ts";
import { testCertificate } from "../support/certs.ts";
import { connect, drive, exchange, get, TestServer } from "../support/quic-pair.ts";
import { Answerer } from "../support/answerer.ts";

const library = openTestLibrary();
let identity: Identity;

beforeAll(async () => {
  const { certPem, keyPem } = await testCertificate();
  const encoder = new TextEncoder();
  identity = { serverNames: [], chainPem: encoder.encode(certPem), keyPem: encoder.encode(keyPem), label: "test" };
});

afterAll(() => expect(library.ledger.total).toBe(0));

interface Options {
  readonly ip?: string;
  readonly handshakeMs?: number;
}

function withServer(
  admission: Partial<AdmissionBounds>,
  run: (server: TestServer) => void,
  options: Options = {},
): void {
  const server = new TestServer({ library, identities: [identity], handler: new Answerer(), admission, ...options });
  try {
    run(server);
  } finally {
    server.close();
  }
}

/** Datagrams of a client's first flight: the ClientHello of current TLS does not fit into one. */
function hello(client: QuicheClient): number {
  client.step();
  const sent = client.counters.datagramsSent;
  expect(sent).toBeGreaterThan(1);
  return sent;
}

/** Lets a client speak until its server has sent it away; the code it was told. */
function refusedWith(server: TestServer, client: QuicheClient): number | undefined {
  drive(server, [client], () => client.connection.isDraining());
  const reason = client.connection.closeReason();
  expect(reason).toMatchObject({ by: "peer", app: false });
  return reason?.code;
}

describe("a client over a cap", () => {
  test("on all connections hears CONNECTION_REFUSED in a small packet, and nothing native is made for it", () => {
    withServer({ connectionsMax: 1 }, (server) => {
      const first = server.client();
      connect(server, first);
      const second = server.client();
      const { bytesSent } = server.counters;
      const alive = library.ledger.total;
      const times = hello(second);
      expect(refusedWith(server, second)).toBe(0x02);
      expect(library.ledger.total).toBe(alive);
      expect(server.counters.bytesSent - bytesSent).toBeLessThan(60 * times);
      const { connectionsOverTotal, connectionsRefused, refusalsSent } = server.counters;
      expect([connectionsOverTotal, connectionsRefused, refusalsSent]).toEqual([times, times, times]);
      expect(exchange(server, first, get("/")).status).toBe("200");
      second.close();
      first.close();
    });
  });

  test("on connections of one address, while another address is served", () => {
    withServer({ connectionsPerAddressMax: 2 }, (server) => {
      const inside = [server.client(), server.client()];
      for (const client of inside) connect(server, client);
      const over = server.client();
      expect(refusedWith(server, over)).toBe(0x02);
      expect(server.counters.connectionsOverAddress).toBe(server.counters.connectionsRefused);
      const other = server.client({ ip: "127.0.0.2", serverIp: "127.0.0.1" });
      connect(server, other);
      expect(exchange(server, other, get("/")).status).toBe("200");
      for (const client of [...inside, over, other]) client.close();
    });
  });

  test("over IPv6 too, where a /64 is one address, and over a socket of both families IPv4 is its own", () => {
    withServer(
      { connectionsPerAddressMax: 1 },
      (server) => {
        const six = server.client({ ip: "::1" });
        connect(server, six);
        const over = server.client({ ip: "::1" });
        expect(refusedWith(server, over)).toBe(0x02);
        const four = server.client({ ip: "127.0.0.1" });
        connect(server, four);
        const overFour = server.client({ ip: "127.0.0.1" });
        expect(refusedWith(server, overFour)).toBe(0x02);
        for (const client of [six, over, four, overFour]) client.close();
      },
      { ip: "::" },
    );
  });

  test("gets in once somebody has left", () => {
    withServer({ connectionsPerAddressMax: 1, connectionsMax: 2 }, (server) => {
      for (let round = 0; round < 20; round++) {
        const client = server.client();
        connect(server, client);
        const over = server.client();
        expect(refusedWith(server, over)).toBe(0x02);
        client.connection.close(true, 0x100, "");
        drive(server, [client], () => [...server.endpoint.connections].every(({ engine }) => engine.isDraining()));
        for (const connection of [...server.endpoint.connections]) connection.destroy();
        for (const gone of [client, over]) gone.close();
      }
      expect(server.counters.connectionsOverAddress).toBeGreaterThanOrEqual(20);
    });
  });

  test("hears it during a drain, too", () => {
    withServer({}, (server) => {
      server.endpoint.drain(server.nowMs);
      const late = server.client();
      expect(refusedWith(server, late)).toBe(0x02);
      expect(server.counters.connectionsWhileDraining).toBe(server.counters.connectionsRefused);
      late.close();
    });
  });
});

describe("a client over the rate of connections or of handshakes", () => {
  test("is not answered, and gets in when it asks again", () => {
    withServer({ newConnectionsPerSecond: 1, newConnectionsBurst: 1 }, (server) => {
      const first = server.client();
      connect(server, first);
      const second = server.client();
      second.step();
      drive(server, [], () => server.counters.connectionsOverRate > 0);
      second.step();
      expect([server.counters.refusalsSent, second.counters.datagramsReceived]).toEqual([0, 0]);
      server.skewMs += 1000;
      // Its own timer makes it ask again; time is not waited for, the client's clock is told that it has come.
      driveWithTimers(server, second, () => second.connection.isEstablished());
      expect(server.counters.connectionsRefused).toBe(server.counters.connectionsOverRate);
      for (const client of [first, second]) client.close();
    });
  });

  test("waits while handshakes are under way, and gets in when one is done", () => {
    withServer({ handshakesMax: 1 }, (server) => {
      const silent = server.client();
      silent.step();
      drive(server, [], () => server.endpoint.connectionCount === 1);
      const second = server.client();
      second.step();
      drive(server, [], () => server.counters.connectionsOverHandshakes > 0);
      connect(server, silent);
      driveWithTimers(server, second, () => second.connection.isEstablished());
      expect(server.counters.handshakesTimedOut).toBe(0);
      for (const client of [silent, second]) client.close();
    });
  });
});

describe("a handshake that stops", () => {
  test("is ended by its time-out and by nothing else, though the client goes on sending what it sent", () => {
    withServer(
      {},
      (server) => {
        const silent = server.client();
        silent.step();
        drive(server, [], () => server.endpoint.connectionCount === 1);
        const [connection] = server.endpoint.connections;
        server.skewMs += 50_000;
        server.step();
        expect(connection?.closed).toBe(false);
        server.skewMs += 10_000;
        server.step();
        expect(connection?.closed).toBe(true);
        expect(server.counters).toMatchObject({ handshakesTimedOut: 1, handshakesFailed: 1, connectionsTimedOut: 0 });
        expect(server.closedReasons).toEqual(["local"]);
        silent.close();
      },
      { handshakeMs: 60_000 },
    );
  });
});

/** As `drive`, with the client's timers: quiche reads the clock, so its first retransmission really takes its time. */
function driveWithTimers(server: TestServer, client: QuicheClient, done: () => boolean): void {
  const giveUpMs = performance.now() + 10_000;
  while (!done()) {
    if (client.connection.timeoutMs() === 0) client.connection.onTimeout();
    client.step();
    server.step();
    if (performance.now() > giveUpMs) throw new Error("the client never got in");
  }
}
