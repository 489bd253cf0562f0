/** Clients that move, with the real library at both ends: other ports and addresses, other ids, what is kept and what a move may cost. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { LIMITS } from "../../src/core/limits.ts";
import type { RequestStream } from "../../src/h3/stream.ts";
import type { Connection } from "../../src/quic/connection.ts";
import { EVENT } from "../../src/quic/engine.ts";
import type { QuicheClient } from "../../ffi/quiche/client.ts";
import type { Identity } from "../../ffi/quiche/config.ts";
import { testCertificate } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { waitUntil } from "../support/net.ts";
import { connect, drive, exchange, get, TestServer } from "../support/quic-pair.ts";

const encoder = new TextEncoder();
const library = openTestLibrary();
const writer = new FieldWriter();
const MOVES = 10;
/** quiche's client keeps an id for each path it has left, so it can move as often as it has spare ids; `test/e2e/migration.test.ts` has others. */
const CLIENT_MOVES = 3;
/** Ids of one connection: the one in use and the spares. */
const IDS = 4;
const BODY_BYTES = 8_000_000;
const BODY_BYTE = 7;
/** Steps in which datagrams go to and fro until nothing is left to say. */
const QUIET_STEPS = 30;
const STEPS_BETWEEN_MOVES = 8;
const STEPS_AT_ONCE = 50;
/** More than a PTO of a path that is new. */
const OVERDUE_MS = 1_200;
let identity: Identity;
const cleanups: (() => void)[] = [];

beforeAll(async () => {
  const leaf = await testCertificate();
  const [chainPem, keyPem] = [encoder.encode(leaf.certPem), encoder.encode(leaf.keyPem)];
  identity = { serverNames: [], chainPem, keyPem, label: "test" };
});
afterEach(() => cleanups.splice(0).forEach((clean) => clean()));
afterAll(() => expect(library.ledger.total).toBe(0));

interface World {
  readonly server: TestServer;
  readonly client: QuicheClient;
  readonly connection: Connection;
}

/** A server that answers 200 and a body of that many bytes, and one client of it. */
function connected(options: { ip?: string; serverIp?: string; clientIp?: string; bodyBytes?: number } = {}): World {
  const { ip = "127.0.0.1", bodyBytes = 2 } = options;
  const handler = {
    onRequest: (stream: RequestStream) => answer(stream, bodyBytes),
    onMalformed: () => undefined,
  };
  const server = new TestServer({ library, identities: [identity], handler, ip });
  const client = server.client({
    ip: options.clientIp ?? "127.0.0.1",
    serverIp: options.serverIp ?? "127.0.0.1",
  });
  cleanups.push(() => {
    client.close();
    server.close();
  });
  connect(server, client);
  const [connection] = server.endpoint.connections;
  return { server, client, connection: must(connection, "the client is there") };
}

function answer(stream: RequestStream, bodyBytes: number): void {
  writer.begin();
  writer.add(":status", "200");
  stream.sendHead(writer.finish(), false);
  stream.sendBody(new Uint8Array(bodyBytes).fill(BODY_BYTE));
  stream.end();
}

function settle({ server, client }: World): void {
  for (let i = 0; i < QUIET_STEPS; i++) {
    client.step();
    server.step();
  }
}

/** Takes what has come of a body and counts it. */
function bodyBytes({ session }: QuicheClient, streamId: number): number {
  let received = 0;
  for (let kind = session.poll(); kind !== EVENT.none; kind = session.poll()) {
    if (kind !== EVENT.data) continue;
    for (let size = session.readBody(streamId); size > 0; size = session.readBody(streamId)) received += size;
  }
  return received;
}

/** All of a response while the client moves every so many steps; its length, or -1 if a byte was wrong. */
function downloadOnTheMove(world: World, movesMax: number, move: () => void): number {
  const { server, client } = world;
  const streamId = client.request(get("/"), true);
  let [steps, moves, received, finished] = [0, 0, 0, false];
  drive(server, [client], () => {
    if (++steps % STEPS_BETWEEN_MOVES === 0 && moves < movesMax && received > 0 && !finished) {
      moves += 1;
      move();
    }
    for (let kind = client.session.poll(); kind !== EVENT.none; kind = client.session.poll()) {
      if (kind === EVENT.finished) finished = true;
      if (kind !== EVENT.data) continue;
      for (let size = client.session.readBody(streamId); size > 0; size = client.session.readBody(streamId)) {
        if (client.session.bodyBytes.subarray(0, size).every((byte) => byte === BODY_BYTE)) received += size;
        else received = -Infinity;
      }
    }
    return finished;
  });
  expect(moves).toBe(movesMax);
  return received;
}

describe("a client whose translator forgets it", () => {
  const addresses: Readonly<Record<string, (i: number) => string>> = {
    "on another port": () => "127.0.0.1",
    "on another address": (i) => `127.0.0.${2 + i}`,
  };
  for (const [name, ipOf] of Object.entries(addresses)) {
    test(`is followed ${name} ten times, each is validated, and nothing is left behind`, () => {
      const world = connected();
      for (let i = 0; i < MOVES; i++) {
        world.client.rebind(ipOf(i));
        expect(exchange(world.server, world.client, get("/")).status).toBe("200");
        settle(world);
      }
      expect(world.server.counters.migrations).toBe(MOVES);
      expect([world.connection.ids.length, world.server.endpoint.idCount]).toEqual([IDS, IDS]);
      world.connection.destroy();
      expect(world.server.endpoint.idCount).toBe(0);
    });
  }

  test("gets the whole of a response that was under way, moving ten times", () => {
    const world = connected({ bodyBytes: BODY_BYTES });
    expect(
      downloadOnTheMove(world, MOVES, () => {
        world.client.rebind();
        // A client that has nothing to say is not heard on its new port either.
        world.client.ping();
      }),
    ).toBe(BODY_BYTES);
  });
});

describe("a client that migrates", () => {
  /** Leaves for another port and gives up the id it has used so far; the server has a spare id of its own for each path. */
  function migrate({ client }: World, sequence: number): void {
    expect(client.connection.offerId(randomId(16), randomId(16))).toBe(true);
    expect(client.migrate()).toBe(0);
    expect(client.retireServerId(sequence)).toBe(0);
  }

  test("gets new ids for those it gives up, and the old ones lead nowhere", () => {
    const world = connected();
    settle(world);
    const first = world.connection.ids.map((id) => id.slice());
    expect(first.length).toBe(IDS);
    for (let i = 0; i < CLIENT_MOVES; i++) {
      migrate(world, i);
      expect(exchange(world.server, world.client, get("/")).status).toBe("200");
      settle(world);
    }
    expect(world.server.counters.migrations).toBe(CLIENT_MOVES);
    // What it has left is forgotten (the last of it with the next packet), so that it may move as often as it likes.
    expect(world.connection.engine.pathCount).toBeLessThanOrEqual(2);
    expect([world.connection.ids.length, world.server.endpoint.idCount]).toEqual([IDS, IDS]);
    for (const id of first.slice(0, CLIENT_MOVES)) expect(world.connection.ids).not.toContainEqual(id);
    world.connection.destroy();
    expect(world.server.endpoint.idCount).toBe(0);
  });

  test("gets the whole of a response that was under way", () => {
    const world = connected({ bodyBytes: BODY_BYTES });
    settle(world);
    let sequence = 0;
    expect(downloadOnTheMove(world, CLIENT_MOVES, () => migrate(world, sequence++))).toBe(BODY_BYTES);
  });

  test("may give up ids while nothing else goes on: others come at once", () => {
    const world = connected();
    settle(world);
    const before = world.connection.ids.map((id) => id.slice());
    for (let i = 1; i < IDS; i++) expect(world.client.retireServerId(i)).toBe(0);
    settle(world);
    expect([world.connection.ids.length, world.server.endpoint.idCount]).toEqual([IDS, IDS]);
    expect(world.connection.ids.filter((id) => before.some((old) => Buffer.compare(old, id) === 0)).length).toBe(1);
  });
});

describe("an address that was not validated", () => {
  test("is challenged again when the answer to a challenge was lost, and gets all of a response", async () => {
    const world = connected({ bodyBytes: BODY_BYTES });
    const { client, server } = world;
    settle(world);
    client.rebind();
    client.ping();
    client.step();
    // The ping is answered with a challenge; what the client says to that does not arrive, and it has nothing else to say.
    server.step();
    client.step();
    server.socket.receive();
    const streamId = client.request(get("/"), true);
    let received = 0;
    await waitUntil(() => {
      for (let i = 0; i < STEPS_AT_ONCE; i++) {
        client.step();
        server.step();
        received += bodyBytes(client, streamId);
      }
      return received === BODY_BYTES;
    });
    expect(server.counters.migrations).toBe(1);
  });

  test("is challenged with each acknowledgement, for a client that is acknowledged need not speak again", () => {
    const world = connected();
    const { client, server } = world;
    settle(world);
    client.rebind();
    client.ping();
    client.step();
    server.step();
    // Its answer is lost. What it says next is acknowledged long before that answer is overdue.
    client.step();
    server.socket.receive();
    client.ping();
    settle(world);
    expect(server.counters.migrations).toBe(1);
  });

  test("does not fail any more once it is validated, although an earlier challenge had no answer", async () => {
    const world = connected({ bodyBytes: BODY_BYTES });
    const { client, server, connection } = world;
    settle(world);
    client.rebind();
    client.ping();
    client.step();
    server.step();
    client.step();
    server.socket.receive();
    // The client is heard when its answer is overdue and before the server's timer has looked: there are two challenges then.
    const overdueMs = performance.now() + OVERDUE_MS;
    await waitUntil(() => performance.now() > overdueMs);
    const streamId = client.request(get("/"), true);
    client.step();
    for (let slot = server.socket.receive() - 1; slot >= 0; slot--) connection.feed(slot);
    connection.wake();
    server.endpoint.flush();
    let [received, losses] = [0, 0];
    await waitUntil(() => {
      for (let i = 0; i < STEPS_AT_ONCE && received < BODY_BYTES; i++) {
        client.step();
        server.step();
        received += bodyBytes(client, streamId);
        if (losses > 0 || server.counters.migrations === 0 || received < BODY_BYTES / 2) continue;
        // All that is on its way is lost, so that the server's timer has to find out.
        for (let j = 0; j < QUIET_STEPS; j++) {
          server.step();
          losses += client.socket.receive();
        }
      }
      return received === BODY_BYTES;
    });
    expect(losses).toBeGreaterThan(0);
    // One that fails and is heard again would be validated a second time.
    expect(server.counters.migrations).toBe(1);
  });

  test("gets at most three times the bytes that came from it, whatever waits to be sent", () => {
    const world = connected({ bodyBytes: BODY_BYTES });
    const { client, server } = world;
    client.request(get("/"), true);
    client.step();
    server.step();
    const counters = new Counters();
    client.rebind("127.0.0.9", counters);
    client.ping();
    // It says something from there once, as a forger could who has seen a packet; what it is answered is not read.
    client.connection.send(Infinity);
    client.socket.flush();
    for (let i = 0; i < QUIET_STEPS; i++) server.step();
    const sent = counters.bytesSent;
    client.socket.receive();
    expect(sent).toBeGreaterThan(0);
    expect(counters.bytesReceived).toBeGreaterThan(0);
    expect(counters.bytesReceived).toBeLessThanOrEqual(3 * sent);
  });
});

describe("a server on all addresses", () => {
  const places: readonly [bind: string, server: string, client: string, moved: string][] = [
    ["0.0.0.0", "127.0.0.3", "127.0.0.1", "127.0.0.2"],
    ["::", "127.0.0.3", "127.0.0.1", "127.0.0.2"],
    ["::", "::1", "::1", "::1"],
  ];
  // The client drops what comes from anywhere but the address that it has connected to.
  test.each(places)(
    "%s answers from %s, where it was asked, before and after a move",
    (ip, serverIp, clientIp, moved) => {
      const world = connected({ ip, serverIp, clientIp });
      expect(exchange(world.server, world.client, get("/")).status).toBe("200");
      world.client.rebind(moved);
      expect(exchange(world.server, world.client, get("/")).status).toBe("200");
      settle(world);
      expect(world.server.counters.migrations).toBe(1);
    },
  );
});

test("a client that comes from more and more addresses is sent elsewhere before it would not be heard any more", () => {
  // Addresses and not ports: the kernel may give a port that it gave before.
  const world = connected();
  for (let i = 1; i < LIMITS.pathsBeforeDrainMax; i++) {
    world.client.rebind(`127.0.1.${i}`);
    world.client.ping();
    settle(world);
  }
  expect(world.server.counters.connectionsOverPaths).toBe(0);
  expect(exchange(world.server, world.client, get("/")).status).toBe("200");
  world.client.rebind("127.0.2.1");
  world.client.ping();
  settle(world);
  expect(world.server.counters.connectionsOverPaths).toBe(1);
  drive(world.server, [world.client], () => {
    world.server.skewMs += 10;
    return world.client.connection.closeReason() !== null;
  });
  expect(world.client.connection.closeReason()).toMatchObject({ by: "peer", app: true, code: 0x100 });
});

function randomId(size: number): Uint8Array {
  return new Uint8Array(randomBytes(size));
}
