/** Datagrams that strangers send, through a real socket and the real engine. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Counters } from "../../src/core/counters.ts";
import type { Identity } from "../../ffi/quiche/config.ts";
import { SEND_INFO } from "../../ffi/layout.ts";
import { writeSockaddr } from "../../ffi/sockaddr.ts";
import { UdpSocket } from "../../ffi/udp-socket.ts";
import { testCertificate } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { connect, exchange, get, TestServer } from "../support/quic-pair.ts";

const library = openTestLibrary();
const encoder = new TextEncoder();
let identity: Identity;
const cleanups: (() => void)[] = [];

beforeAll(async () => {
  const leaf = await testCertificate();
  identity = {
    serverNames: [],
    chainPem: encoder.encode(leaf.certPem),
    keyPem: encoder.encode(leaf.keyPem),
    label: "test",
  };
});
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

const handler = {
  onRequest: (stream: { reset(code: number): void }): void => stream.reset(0x10b),
  onMalformed: (): void => undefined,
};

function makeServer(): TestServer {
  const server = new TestServer({ library, identities: [identity], handler });
  cleanups.push(() => server.close());
  return server;
}

/** A bare UDP socket aimed at the server. */
function stranger(server: TestServer): { send(bytes: Uint8Array): void; received(): Uint8Array[] } {
  const buffers = { receiveBufferBytes: 1 << 20, sendBufferBytes: 1 << 20 };
  const socket = new UdpSocket(library, { ip: "127.0.0.1", port: 0, ...buffers }, new Counters());
  cleanups.push(() => socket.close());
  const { outgoing } = socket;
  const length = writeSockaddr(outgoing.meta, outgoing.info + SEND_INFO.to, {
    ip: "127.0.0.1",
    port: server.socket.localPort,
  });
  outgoing.meta.view.setUint32(outgoing.info + SEND_INFO.to_len, length, true);
  return {
    send(bytes) {
      outgoing.data.bytes.set(bytes, outgoing.writeAddress - outgoing.data.address);
      outgoing.append(bytes.length);
      outgoing.flush();
    },
    received() {
      const found: Uint8Array[] = [];
      const count = socket.receive();
      for (let slot = 0; slot < count; slot++) {
        found.push(socket.received.slice(socket.offsetOf(slot), socket.offsetOf(slot) + socket.lengthOf(slot)));
      }
      return found;
    },
  };
}

/** A long header of a version nobody speaks, with recognisable ids, filled to `size`. */
function unknownVersion(size: number, idLength = 8): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes.set([0xc0, 0xba, 0xba, 0xba, 0xba, idLength]);
  bytes.fill(0xdd, 6, 6 + idLength);
  bytes[6 + idLength] = idLength;
  bytes.fill(0x55, 7 + idLength, 7 + 2 * idLength);
  return bytes;
}

describe("endpoint", () => {
  test("an unknown version is answered with Version Negotiation: ids swapped, version 1 offered", () => {
    const server = makeServer();
    const client = stranger(server);
    client.send(unknownVersion(1200));
    server.step();
    const [answer] = client.received();
    expect(server.counters.versionNegotiations).toBe(1);
    expect([...(answer?.subarray(1, 5) ?? [])]).toEqual([0, 0, 0, 0]);
    expect(answer?.[5]).toBe(8);
    expect([...(answer?.subarray(6, 14) ?? [])]).toEqual(new Array(8).fill(0x55));
    expect([...(answer?.subarray(15, 23) ?? [])]).toEqual(new Array(8).fill(0xdd));
    const versions = Buffer.from(answer?.subarray(23) ?? []);
    expect(Array.from({ length: versions.length / 4 }, (_, i) => versions.readUInt32BE(4 * i))).toContain(1);
  });

  test("ids of the invariants' full length are swapped too", () => {
    const server = makeServer();
    const client = stranger(server);
    client.send(unknownVersion(1200, 255));
    server.step();
    expect(client.received()[0]?.length).toBeGreaterThan(2 * 255);
  });

  test("a short datagram of an unknown version gets no answer, so nobody can be flooded through us", () => {
    const server = makeServer();
    const client = stranger(server);
    client.send(unknownVersion(1199));
    server.step();
    expect(client.received()).toEqual([]);
    expect(server.counters.datagramsMalformed).toBe(1);
  });

  test("an Initial below 1,200 bytes or with a short id opens nothing", () => {
    const server = makeServer();
    const client = stranger(server);
    const initial = (size: number, idLength: number): Uint8Array => {
      const bytes = unknownVersion(size, idLength);
      bytes.set([0, 0, 0, 1], 1);
      return bytes;
    };
    client.send(initial(1199, 8));
    client.send(initial(1200, 7));
    server.step();
    expect(server.counters.connectionsAccepted).toBe(0);
    expect(server.counters.datagramsMalformed).toBe(2);
  });

  test("datagrams larger than a slot are dropped and counted", () => {
    const server = makeServer();
    const client = stranger(server);
    client.send(new Uint8Array(3000).fill(0x40));
    server.step();
    expect(server.counters.datagramsTruncated).toBe(1);
    expect(server.endpoint.connectionCount).toBe(0);
  });

  test("50,000 datagrams of seeded garbage leave no connection, no handle, and a good client is served", () => {
    const server = makeServer();
    const client = stranger(server);
    const handlesBefore = library.ledger.total;
    let state = 12345;
    const next = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8;
    for (let i = 0; i < 50_000; i++) {
      const bytes = Uint8Array.from({ length: 1 + (next() % 80) }, () => next() & 0xff);
      client.send(bytes);
      if (i % 32 === 31) server.step();
    }
    server.step();
    expect(server.counters.datagramsReceived).toBeGreaterThan(45_000);
    expect(server.endpoint.connectionCount).toBe(0);
    expect(library.ledger.total).toBe(handlesBefore);
    const good = server.client();
    connect(server, good);
    good.close();
  });

  test("Initials of full size that cannot be decrypted leave no connection behind", () => {
    const server = makeServer();
    const client = stranger(server);
    for (let i = 0; i < 20; i++) {
      const bytes = unknownVersion(1200);
      bytes.set([0, 0, 0, 1], 1);
      bytes[6] = i;
      // No token, and a length that fits.
      bytes.set([0, 0x44, 0x50], 23);
      client.send(bytes);
      server.step();
    }
    expect(server.counters.connectionsAccepted).toBe(20);
    expect(server.counters.connectionsClosed).toBe(20);
    expect(server.endpoint.connectionCount).toBe(0);
    expect(library.ledger.live("connection")).toBe(0);
  });

  test("two clients with a request in one turn are both answered", () => {
    const server = makeServer();
    const clients = [server.client(), server.client()];
    for (const client of clients) connect(server, client);
    for (const client of clients) expect(exchange(server, client, get("/")).status).toBe("");
    for (const client of clients) client.close();
  });
});
