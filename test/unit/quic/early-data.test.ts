/** Connections whose clients send early data, on the fake engine: a session before the handshake is done, and what changes when it is. */
import { describe, expect, test } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { ReplayGuard } from "../../../src/guard/replay-guard.ts";
import type { Connection } from "../../../src/quic/connection.ts";
import type { EarlyFlight } from "../../../src/quic/early-data.ts";
import type { EarlyReason } from "../../../src/quic/engine.ts";
import type { FakeConnection } from "../../support/fake-engine.ts";
import { clientId, FakeServer, initial, longHeader, short } from "../../support/fake-server.ts";

const HANDSHAKE_MS = 800;

interface Early {
  readonly server: FakeServer;
  readonly connection: Connection;
  readonly engine: FakeConnection;
}

function makeServer(): FakeServer {
  return new FakeServer({ replayGuard: new ReplayGuard(1000, false), handshakeMs: HANDSHAKE_MS });
}

/** A client's first flight with early data, taken in one turn. */
function begin(server: FakeServer = makeServer(), random: number = 1): Early {
  server.engine.onAccept = (engine) => {
    engine.inEarlyData = true;
    engine.early = { random: new Uint8Array(32).fill(random), ticketAgeSkewSeconds: 0, reason: "accepted" };
  };
  return { server, ...server.accept(random) };
}

function flightOf({ connection }: Early): EarlyFlight {
  return must(connection.early, "early data was taken");
}

function establish({ server, engine }: Early): void {
  engine.established = true;
  server.socket.arrive(short(engine.scid));
  server.turn();
}

describe("early data", () => {
  test("opens the session before the handshake is done, and is not waited with", () => {
    const { server, connection } = begin();
    expect(connection.driver).toBe(server.driver);
    expect([connection.established, connection.early?.established, connection.early?.mayBeEarly]).toEqual([
      false,
      false,
      true,
    ]);
    expect(server.driver.processed).toBe(1);
    expect([server.counters.earlyConnections, server.counters.connectionsEstablished]).toEqual([1, 0]);
  });

  test("is not asked for where it is not taken", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => void (engine.isInEarlyData = () => expect.unreachable("the engine was asked"));
    const { connection } = server.accept();
    expect([connection.driver, connection.early]).toEqual([null, null]);
  });

  test("gives way to the end of the handshake, of which the connection's owner hears once", () => {
    const world = begin();
    let ends = 0;
    flightOf(world).whenEstablished = () => void (ends += 1);
    establish(world);
    world.server.socket.arrive(short(world.engine.scid));
    world.server.turn();
    const { connection, server } = world;
    expect([connection.established, flightOf(world).mayBeEarly, ends]).toEqual([true, false, 1]);
    expect(server.drivers.length).toBe(1);
    expect(server.counters.connectionsEstablished).toBe(1);
  });

  test("gets no spare ids and no house-keeping before", () => {
    const world = begin();
    world.engine.wanted = 3;
    world.server.socket.arrive(longHeader({ first: 0xd0, dcid: clientId(1) }));
    world.server.turn();
    expect(world.engine.offered).toEqual([]);
    establish(world);
    expect(world.engine.offered.length).toBe(3);
  });

  test("that comes late, after the handshake, is early all the same, until the session has read it", () => {
    const world = begin();
    establish(world);
    let seen: boolean | null = null;
    world.server.driver.onProcess = () => void (seen = flightOf(world).mayBeEarly);
    world.server.socket.arrive(longHeader({ first: 0xd0, dcid: clientId(1) }));
    world.server.turn();
    expect(seen as boolean | null).toBe(true);
    world.server.socket.arrive(short(world.engine.scid));
    world.server.turn();
    expect(seen as boolean | null).toBe(false);
  });

  test("that the session leaves for the next turn is early in that too", () => {
    const world = begin();
    establish(world);
    const seen: boolean[] = [];
    world.server.driver.onProcess = () => {
      if (seen.push(flightOf(world).mayBeEarly) === 1) world.server.endpoint.again(world.connection);
    };
    world.server.socket.arrive(longHeader({ first: 0xd0, dcid: clientId(1) }));
    world.server.turn();
    world.server.turn();
    world.server.socket.arrive(short(world.engine.scid));
    world.server.turn();
    expect(seen).toEqual([true, true, false]);
  });

  test("does not hold the handshake's packets back for an answer", () => {
    const world = begin();
    world.server.driver.awaitsAnswer = true;
    world.server.socket.sent.length = 0;
    world.server.socket.arrive(longHeader({ first: 0xd0, dcid: clientId(1) }));
    world.server.turn();
    expect(world.server.socket.sent.length).toBe(1);
    expect(world.server.counters.heldFlushes).toBe(0);
  });

  test("of a client that never ends its handshake ends with that", () => {
    const world = begin();
    world.server.driver.deadlineMs = world.server.nowMs + 10 * HANDSHAKE_MS;
    world.server.socket.arrive(longHeader({ first: 0xd0, dcid: clientId(1) }));
    world.server.turn();
    world.server.turn(HANDSHAKE_MS);
    const { counters } = world.server;
    expect([counters.handshakesTimedOut, counters.handshakesFailed, world.server.driver.abandoned]).toEqual([1, 1, 1]);
    expect(world.engine.freed).toBe(true);
  });

  test("has the session's deadlines as well", () => {
    const world = begin();
    world.server.driver.deadlineMs = world.server.nowMs + 20;
    world.server.socket.arrive(longHeader({ first: 0xd0, dcid: clientId(1) }));
    world.server.turn();
    world.server.turn(20);
    expect(world.server.driver.times).toEqual([world.server.nowMs]);
  });

  test("counts as a handshake under way until it is over", () => {
    const bounds = { replayGuard: new ReplayGuard(1000, false), admission: { handshakesMax: 1 } };
    const world = begin(new FakeServer(bounds));
    world.server.socket.arrive(initial(2));
    world.server.turn();
    expect(world.server.counters.connectionsOverHandshakes).toBe(1);
    establish(world);
    world.server.socket.arrive(initial(3));
    world.server.turn();
    expect(world.server.counters.connectionsAccepted).toBe(2);
  });

  test("is told to go elsewhere with all others", () => {
    const world = begin();
    world.server.endpoint.drain(world.server.nowMs);
    expect(world.server.driver.leaves.length).toBe(1);
  });

  test("that the engine opens no session for closes the connection", () => {
    const server = makeServer();
    server.engine.onAccept = (engine) => {
      engine.inEarlyData = true;
      engine.refusesSession = true;
    };
    const { connection, engine } = server.accept();
    expect(engine.closes).toEqual([{ app: true, code: 0x102, reason: "" }]);
    expect(connection.driver).toBeNull();
  });
});

describe("a flight", () => {
  test("that was here before is doubted, on whatever connection", () => {
    const world = begin();
    expect(flightOf(world).doubted).toBe(false);
    world.connection.destroy();
    const again = begin(world.server);
    expect(flightOf(again).doubted).toBe(true);
    expect(world.server.counters.earlyDoubts.of("seen")).toBe(1);
    expect(flightOf(begin(world.server, 2)).doubted).toBe(false);
  });

  test("whose datagram mixes connections is not read, where there is early data", () => {
    const mixed = longHeader({ dcid: clientId(7) });
    // Token and length of the Initial, then 0-RTT to somebody else.
    mixed.set([0, 0x40, 100], 15);
    mixed.set(longHeader({ first: 0xd0, dcid: clientId(8), size: 60 }), 118);
    const server = makeServer();
    server.socket.arrive(mixed);
    server.turn();
    expect([server.counters.datagramsMalformed, server.counters.connectionsAccepted]).toEqual([1, 0]);
    const without = new FakeServer();
    without.socket.arrive(mixed);
    without.turn();
    expect(without.counters.connectionsAccepted).toBe(1);
  });
});

describe("early data that is not taken", () => {
  function counted(reason: EarlyReason): number {
    const server = makeServer();
    const { connection, engine } = server.accept();
    engine.early = { ...engine.early, reason };
    establish({ server, engine, connection });
    return server.counters.earlyRejected.of(reason);
  }

  test.each(["ticket-not-taken", "ticket-age", "other-limits", "ticket-without", "hello-retry"] as const)(
    "is counted by its reason: %s",
    (reason) => expect(counted(reason)).toBe(1),
  );

  test.each(["no-ticket", "not-offered"] as const)("is none where there was none: %s", (reason) =>
    expect(counted(reason)).toBe(0),
  );
});

test("the guard has room in whole buckets", () => expect(LIMITS.replaysRememberedMax % 8).toBe(0));
