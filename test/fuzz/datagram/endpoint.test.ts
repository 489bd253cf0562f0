/**
 * The real endpoint over the real quiche, in process, under datagrams of every kind: random ones, damaged seeds, Initials that open with
 * their keys and hold nonsense, and damaged copies of what good clients send, from their own addresses. Afterwards nothing is left, and the
 * clients are served. A crash of the library ends the test run: then the seed of the run tells which. See `../rounds.ts`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import type { QuicheClient } from "../../../ffi/quiche/client.ts";
import type { Identity } from "../../../ffi/quiche/config.ts";
import { SEND_INFO } from "../../../ffi/layout.ts";
import { writeSockaddr } from "../../../ffi/sockaddr.ts";
import { UdpSocket } from "../../../ffi/udp-socket.ts";
import { Counters } from "../../../src/core/counters.ts";
import { Answerer } from "../../support/answerer.ts";
import { testCertificate } from "../../support/certs.ts";
import { openTestLibrary } from "../../support/native.ts";
import { connect, drive, exchange, get, TestServer } from "../../support/quic-pair.ts";
import { oneOf } from "../../support/sections.ts";
import { FUZZ_HANGS_AFTER_MS, FUZZ_SEED, fuzzRounds } from "../rounds.ts";
import { anyDatagram, anyInitial, loadHello, loadSeeds } from "./corpus.ts";

const SEEDS = loadSeeds();
const ROUNDS = fuzzRounds(15_000);
/** Datagrams of good clients that are kept for damaging. */
const KEPT_MAX = 400;
/** On a clock that the test moves: what strangers began is given up before each good client comes. */
const HANDSHAKE_MS = 1000;
/** Good clients come and go: one for so many datagrams. */
const ROUNDS_PER_CLIENT = 1500;

/** Good clients at once; the oldest leaves, so that a long run is none of many idle connections. */
const CLIENTS_MAX = 8;

const library = openTestLibrary();
let identity: Identity;

beforeAll(async () => {
  const { certPem, keyPem } = await testCertificate();
  const encoder = new TextEncoder();
  identity = { serverNames: [], chainPem: encoder.encode(certPem), keyPem: encoder.encode(keyPem), label: "test" };
});

afterAll(() => expect(library.ledger.total).toBe(0));

/** Sends bytes as they are from a socket of ours. */
function sendRaw(socket: UdpSocket, port: number, datagram: Uint8Array): void {
  const { outgoing } = socket;
  const { meta, info } = outgoing;
  const length = writeSockaddr(meta, info + SEND_INFO.to, { ip: "127.0.0.1", port });
  writeSockaddr(meta, info + SEND_INFO.from, socket.bound.local);
  meta.view.setUint32(info + SEND_INFO.to_len, length, true);
  meta.view.setUint32(info + SEND_INFO.from_len, length, true);
  // The batch takes no more than packets of ours may have; longer ones of others are cut to that.
  outgoing.appendBytes(datagram.subarray(0, LIMITS.sendDatagramBytesMax));
  socket.flush();
}

/** Keeps copies of what comes to the server while `keeping`, before quiche decrypts it in place. */
class Tap {
  readonly kept: Uint8Array[] = [];
  keeping = false;

  constructor(server: TestServer) {
    const { socket } = server;
    const receive = socket.receive.bind(socket);
    socket.receive = () => {
      const count = receive();
      for (let slot = 0; this.keeping && slot < count && this.kept.length < KEPT_MAX; slot++) {
        const at = socket.offsetOf(slot);
        this.kept.push(socket.received.slice(at, at + socket.lengthOf(slot)));
      }
      return count;
    };
  }
}

/** A good client with its handshake and one request done; what it sent is kept. */
function served(server: TestServer, tap: Tap): QuicheClient {
  server.skewMs += HANDSHAKE_MS;
  server.step();
  const client = server.client();
  tap.keeping = true;
  connect(server, client);
  expect(exchange(server, client, get("/first")).status).toBe("200");
  tap.keeping = false;
  return client;
}

function leave(server: TestServer, client: QuicheClient | undefined): void {
  if (client === undefined) return;
  client.connection.close(true, 0x100, "");
  client.step();
  server.step();
  client.close();
}

test(
  `${ROUNDS} datagrams of every kind harm nobody and leave nothing (seed ${FUZZ_SEED})`,
  () => {
    const random = Random.fromEntropy([FUZZ_SEED, 8]);
    const before = library.ledger.total;
    const admission = {
      newConnectionsPerSecond: 1e6,
      newConnectionsBurst: 1e6,
      handshakesMax: 500,
      connectionsMax: 2000,
    };
    const server = new TestServer({
      ...{ library, identities: [identity], handler: new Answerer(), admission, handshakeMs: HANDSHAKE_MS },
    });
    const tap = new Tap(server);
    const { localPort } = server.socket;
    const buffers = { receiveBufferBytes: 1 << 20, sendBufferBytes: 1 << 20 };
    const stranger = new UdpSocket(library, { ip: "127.0.0.1", port: 0, ...buffers }, new Counters());
    const hello = loadHello();
    try {
      const clients: QuicheClient[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        if (round % ROUNDS_PER_CLIENT === 0) {
          for (const client of clients) expect(exchange(server, client, get("/again")).status).toBe("200");
          if (clients.length >= CLIENTS_MAX) leave(server, clients.shift());
          clients.push(served(server, tap));
        }
        const choice = random.nextBelow(4);
        const datagram =
          choice === 0 ? anyInitial(hello, random) : anyDatagram(choice === 1 ? SEEDS : tap.kept, random);
        // Damaged copies of a client's packets come from its own address as well: only their keys tell them from good ones.
        sendRaw(choice === 2 ? oneOf(random, clients).socket : stranger, localPort, datagram);
        if (round % 32 === 31) server.step();
      }
      drive(server, [], () => server.socket.receive() === 0);
      for (const client of clients) expect(exchange(server, client, get("/after")).status).toBe("200");
      const late = server.client();
      connect(server, late);
      expect(exchange(server, late, get("/late")).status).toBe("200");
      // Everything that the stranger began is over when handshakes are given up.
      server.skewMs += HANDSHAKE_MS;
      server.step();
      server.step();
      const alive = [...server.endpoint.connections].filter(({ engine }) => !engine.isDraining());
      expect(alive.length).toBe(clients.length + 1);
      const { datagramsMalformed, datagramsUnknownId, connectionsAccepted, handshakesTimedOut } = server.counters;
      for (const count of [datagramsMalformed, datagramsUnknownId, connectionsAccepted, handshakesTimedOut])
        expect(count).toBeGreaterThan(ROUNDS / 500);
      for (const client of [...clients, late]) client.close();
    } finally {
      stranger.close();
      server.close();
    }
    expect(library.ledger.total).toBe(before);
  },
  FUZZ_HANGS_AFTER_MS,
);
