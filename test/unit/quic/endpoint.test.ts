/** Whose is each datagram, who may become a connection, and that nothing of a connection is left behind. */
import { describe, expect, test } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { FEED } from "../../../src/quic/engine.ts";
import type { FakeConnection } from "../../support/fake-engine.ts";
import { clientId, FakeServer, initial, longHeader, short } from "../../support/fake-server.ts";

describe("an Initial", () => {
  test("makes a connection with an id of ours, and is fed to it", () => {
    const server = new FakeServer();
    const { engine } = server.accept();
    expect(engine.scid.length).toBe(18);
    expect(engine.resetToken).toEqual(engine.scid.slice(0, 16));
    expect(engine.fed).toEqual([initial(1)]);
    expect(server.endpoint.connectionCount).toBe(1);
    expect(server.counters.connectionsAccepted).toBe(1);
  });

  test("sent again reaches the connection that it made", () => {
    const server = new FakeServer();
    const { engine } = server.accept();
    server.socket.arrive(initial(1));
    server.socket.arrive(longHeader({ first: 0xe0, dcid: engine.scid }));
    server.turn();
    expect(engine.fed.length).toBe(3);
    expect(server.counters.connectionsAccepted).toBe(1);
  });

  test("twice in one batch makes one connection", () => {
    const server = new FakeServer();
    server.socket.arrive(initial(1));
    server.socket.arrive(initial(1));
    server.turn();
    expect(server.engine.connections.length).toBe(1);
    expect(server.engine.connections[0]?.fed.length).toBe(2);
  });

  test("below 1,200 bytes makes none (RFC 9000 14.1)", () => {
    const server = new FakeServer();
    server.socket.arrive(longHeader({ size: 1199 }));
    server.turn();
    expect(server.engine.connections.length).toBe(0);
    expect(server.counters.datagramsMalformed).toBe(1);
  });

  test("with an id below 8 bytes makes none (RFC 9000 7.2)", () => {
    const server = new FakeServer();
    server.socket.arrive(longHeader({ dcid: new Uint8Array(7) }));
    server.turn();
    expect(server.engine.connections.length).toBe(0);
    expect(server.counters.datagramsMalformed).toBe(1);
  });

  test("over the maximum is refused and counted, and room is used again", () => {
    const server = new FakeServer({ connectionsMax: 2 });
    for (const seed of [1, 2, 3, 4]) server.socket.arrive(initial(seed));
    server.turn();
    expect(server.endpoint.connectionCount).toBe(2);
    expect(server.counters.connectionsRefused).toBe(2);
    end(server, must(server.engine.connections[0], "one was made"));
    server.socket.arrive(initial(5));
    server.turn();
    expect(server.endpoint.connectionCount).toBe(2);
    expect(server.engine.connections.length).toBe(3);
  });

  test("that the engine refuses leaves nothing behind, a thousand times", () => {
    const server = new FakeServer({ connectionsMax: 2 });
    server.engine.refuses = true;
    for (let seed = 1; seed <= 1000; seed++) server.socket.arrive(initial(seed));
    while (server.socket.waiting > 0) server.turn();
    expect(server.counters.connectionsRefused).toBe(1000);
    expect(server.endpoint.connectionCount).toBe(0);
    server.engine.refuses = false;
    server.accept(2000);
    server.accept(2001);
    expect(server.endpoint.connectionCount).toBe(2);
  });

  test("with an id of 18 bytes that is none of ours is a client's id like any other", () => {
    const server = new FakeServer();
    const dcid = new Uint8Array(18).fill(5);
    server.socket.arrive(longHeader({ dcid }));
    server.socket.arrive(longHeader({ first: 0xe0, dcid }));
    server.turn();
    expect(server.engine.connections[0]?.fed.length).toBe(2);
  });
});

describe("a datagram of nobody", () => {
  for (const [name, datagram] of [
    ["a short header of an unknown id", short(new Uint8Array(18).fill(9))],
    ["a short header that ends inside the id", short(new Uint8Array(18)).subarray(0, 12)],
    ["0-RTT before its Initial", longHeader({ first: 0xd0 })],
    ["a Handshake packet", longHeader({ first: 0xe0 })],
  ] as const) {
    test(`is dropped and counted: ${name}`, () => {
      const server = new FakeServer();
      server.connect();
      server.socket.arrive(datagram);
      server.turn();
      expect(server.counters.datagramsUnknownId).toBe(1);
      expect(server.engine.connections.length).toBe(1);
    });
  }

  test("that is no QUIC is dropped and counted", () => {
    const server = new FakeServer();
    for (const datagram of [[0x00], [0x3f, 1, 2], [0xc0, 0, 0]]) server.socket.arrive(Uint8Array.from(datagram));
    server.turn();
    expect(server.counters.datagramsMalformed).toBe(3);
  });

  test("to a connection that has ended finds nothing, by any of its ids", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => void (engine.wanted = 3);
    const { engine } = server.connect();
    end(server, engine);
    const ids = [engine.scid, ...engine.offered];
    for (const id of ids) server.socket.arrive(short(id));
    server.turn();
    expect(server.counters.datagramsUnknownId).toBe(4);
    // Its own first id is a stranger's again.
    server.socket.arrive(initial(1));
    server.turn();
    expect(server.engine.connections.length).toBe(2);
  });
});

describe("an unknown version", () => {
  test("is answered with its ids, if it is as long as an Initial", () => {
    const server = new FakeServer();
    const [dcid, scid] = [new Uint8Array(20).fill(1), new Uint8Array(30).fill(2)];
    server.socket.arrive(longHeader({ version: 7, dcid, scid }));
    server.turn();
    expect(server.engine.negotiated).toEqual([{ dcid, scid }]);
    expect(server.socket.sent.length).toBe(1);
    expect(server.counters.versionNegotiations).toBe(1);
  });

  test("is not answered if it is shorter: nobody is flooded through us", () => {
    const server = new FakeServer();
    server.socket.arrive(longHeader({ version: 7, size: 1199 }));
    server.turn();
    expect(server.socket.sent.length).toBe(0);
    expect(server.counters.datagramsMalformed).toBe(1);
  });
});

describe("a first packet that the engine finds wrong", () => {
  test("is answered by hand with the engine's code: what the engine would say now, the client could not read", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => {
      engine.feedResult = FEED.wrong;
      engine.reason = { by: "local", app: false, code: 0x08, reason: "" };
    };
    server.socket.arrive(longHeader({ dcid: clientId(1), scid: clientId(2) }));
    server.turn();
    expect(server.engine.refused).toEqual([{ dcid: clientId(1), scid: clientId(2), code: 0x08 }]);
    expect(server.socket.sent).toEqual([{ from: null }]);
    expect(server.engine.alive).toBe(0);
    expect(server.counters).toMatchObject({ handshakesFailed: 1, connectionsRefused: 0, datagramsMalformed: 0 });
  });

  test("is answered so too when it is the second one of a ClientHello, before a word of ours", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => {
      engine.onFeed = () => {
        if (engine.fed.length < 2) return;
        engine.feedResult = FEED.wrong;
        engine.reason = { by: "local", app: false, code: 0x08, reason: "" };
      };
    };
    for (let piece = 0; piece < 3; piece++) server.socket.arrive(initial(1));
    server.turn();
    expect(server.engine.refused.length).toBe(1);
    // The third piece is a first one again.
    expect(server.engine.connections.length).toBe(2);
    expect(server.engine.alive).toBe(1);
  });

  test("is not answered and leaves nothing when nothing of it is authentic", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => {
      engine.feedResult = FEED.junk;
      engine.reason = { by: "local", app: false, code: 0x0a, reason: "" };
    };
    for (let seed = 1; seed <= 50; seed++) server.socket.arrive(initial(seed));
    server.turn();
    expect(server.socket.sent).toEqual([]);
    expect([server.engine.alive, server.endpoint.connectionCount]).toEqual([0, 0]);
    expect(server.counters.datagramsMalformed).toBe(50);
  });

  test("after we have spoken is the engine's own business", () => {
    const server = new FakeServer();
    const { engine } = server.accept(1);
    expect(server.socket.sent.length).toBe(1);
    engine.feedResult = FEED.wrong;
    engine.reason = { by: "local", app: false, code: 0x0a, reason: "" };
    server.socket.arrive(initial(1));
    server.turn();
    expect(server.engine.refused).toEqual([]);
    expect(engine.freed).toBe(false);
    expect(server.socket.sent.length).toBe(2);
  });
});

describe("a client that may not enter", () => {
  test("is told so with its own ids and CONNECTION_REFUSED, and the engine is not asked to make anything", () => {
    const server = new FakeServer({ connectionsMax: 1 });
    server.accept(1);
    const [dcid, scid] = [clientId(2), new Uint8Array(5).fill(9)];
    server.socket.arrive(longHeader({ dcid, scid }));
    server.turn();
    expect(server.engine.refused).toEqual([{ dcid, scid, code: 0x02 }]);
    expect(server.engine.connections.length).toBe(1);
    expect(server.counters.refusalsSent).toBe(1);
  });

  test("hears nothing over the rate, and nothing is kept of it", () => {
    const server = new FakeServer({ admission: { newConnectionsPerSecond: 1, newConnectionsBurst: 1 } });
    server.accept(1);
    server.socket.sent.length = 0;
    server.socket.arrive(initial(2));
    server.turn();
    expect(server.socket.sent.length).toBe(0);
    expect(server.counters.connectionsOverRate).toBe(1);
    server.socket.arrive(initial(2));
    server.turn(1000);
    expect(server.endpoint.connectionCount).toBe(2);
  });

  test("is one of too many of its address; IPv4 and IPv6 are counted, and the count goes down with the connection", () => {
    const server = new FakeServer({ admission: { connectionsPerAddressMax: 1 } });
    const { engine } = server.accept(1);
    server.socket.arrive(initial(2));
    server.turn();
    expect(server.counters.connectionsOverAddress).toBe(1);
    server.socket.peer.set([0x20010db8, 0, 0, 1]);
    server.accept(3);
    server.socket.peer.set([0x20010db8, 0, 0, 2]);
    server.socket.arrive(initial(4));
    server.turn();
    expect(server.counters.connectionsOverAddress).toBe(2);
    end(server, engine);
    server.socket.peer.set([0, 0, 0xffff, 0xc0000201]);
    server.accept(5);
    expect(server.endpoint.connectionCount).toBe(2);
  });

  test("is one of too many whose handshake is under way; an established connection is none of them", () => {
    const server = new FakeServer({ admission: { handshakesMax: 1 } });
    server.connect(1);
    const { engine } = server.accept(2);
    server.socket.arrive(initial(3));
    server.turn();
    expect(server.counters.connectionsOverHandshakes).toBe(1);
    end(server, engine);
    server.accept(4);
    expect(server.endpoint.connectionCount).toBe(2);
  });

  test("is counted, though there is no room to tell it", () => {
    const server = new FakeServer({ connectionsMax: 1 });
    server.accept(1);
    server.socket.batchMax = 0;
    server.socket.arrive(initial(2));
    server.turn();
    expect(server.engine.refused).toEqual([]);
    expect(server.counters).toMatchObject({ connectionsOverTotal: 1, refusalsSent: 0, refusalsWithheld: 1 });
  });

  test("costs the engine nothing when its first packet is too short to be judged", () => {
    const server = new FakeServer({ connectionsMax: 1 });
    server.accept(1);
    server.socket.arrive(longHeader({ dcid: clientId(2), size: 1199 }));
    server.turn();
    expect(server.engine.refused).toEqual([]);
    expect(server.counters.connectionsOverTotal).toBe(0);
  });
});

describe("a turn", () => {
  test("takes a bounded batch and says that there may be more", () => {
    const server = new FakeServer();
    for (let i = 0; i < LIMITS.datagramsPerTurnMax + 1; i++) server.socket.arrive(Uint8Array.from([0]));
    expect(server.endpoint.receive(server.nowMs)).toBe(true);
    expect(server.socket.waiting).toBe(1);
    expect(server.endpoint.receive(server.nowMs)).toBe(false);
  });

  test("lets a connection that asked for it work again in the next one, without datagrams", () => {
    const server = new FakeServer();
    const { connection } = server.connect();
    let rounds = 3;
    server.driver.onProcess = () => {
      rounds -= 1;
      if (rounds > 0) server.endpoint.again(connection);
    };
    server.endpoint.again(connection);
    const before = server.driver.processed;
    for (let turns = 0; server.endpoint.hasDirty && turns < 10; turns++) server.turn();
    expect(server.driver.processed - before).toBe(3);
  });

  test("works on a connection once, whether it asked, got datagrams, or both", () => {
    const server = new FakeServer();
    const { connection, engine } = server.connect();
    const before = server.driver.processed;
    server.endpoint.again(connection);
    server.endpoint.again(connection);
    server.socket.arrive(short(engine.scid));
    server.turn();
    expect(server.driver.processed).toBe(before + 1);
  });

  test("goes past a connection that ended after it asked for more", () => {
    const server = new FakeServer();
    const { connection } = server.connect();
    server.endpoint.again(connection);
    connection.destroy();
    server.turn();
    expect(server.endpoint.hasDirty).toBe(false);
  });

  test("with a full kernel keeps every connection dirty until it is not", () => {
    const server = new FakeServer();
    const engines = [1, 2, 3].map((seed) => server.connect(seed).engine);
    server.socket.sent.length = 0;
    server.socket.batchMax = 1;
    server.socket.full = true;
    for (const engine of engines) server.socket.arrive(short(engine.scid));
    expect(server.turn()).toBe(false);
    expect(server.endpoint.hasDirty).toBe(true);
    server.socket.full = false;
    server.turn();
    expect(server.endpoint.hasDirty).toBe(false);
    expect(new Set(server.socket.sent.map(({ from }) => from))).toEqual(new Set(engines));
  });
});

describe("drain", () => {
  test("takes no further connections; those that are there are told and go on", () => {
    const server = new FakeServer();
    const { engine } = server.connect();
    server.endpoint.drain(server.nowMs);
    expect(server.driver.leaves).toEqual([server.nowMs]);
    server.socket.arrive(initial(2));
    server.socket.arrive(short(engine.scid));
    server.turn();
    expect(server.counters.connectionsRefused).toBe(1);
    expect(engine.fed.length).toBe(3);
  });

  test("reaches a connection whose handshake ends only afterwards, when what it was made for has begun", () => {
    const server = new FakeServer();
    const { engine } = server.accept();
    server.endpoint.drain(server.nowMs);
    engine.established = true;
    server.socket.arrive(short(engine.scid));
    server.turn(70);
    expect(server.driver.leaves).toEqual([server.nowMs + LIMITS.goawayLateMsMin]);
  });
});

describe("an endpoint that is left", () => {
  const MANY = 400;
  const SPREAD_MS = 300;

  function withMany(goawaySpreadMs: number): FakeServer {
    const server = new FakeServer({ connectionsMax: MANY + 1, goawaySpreadMs });
    for (let seed = 1; seed <= MANY; seed++) server.connect(seed);
    return server;
  }

  test("tells each client at a moment of its own, over the time that is set", () => {
    const server = withMany(SPREAD_MS);
    // The endpoint's own time is that of its last turn, long ago.
    server.nowMs += 60_000;
    server.endpoint.retire(server.nowMs);
    const moments = server.drivers.flatMap(({ leaves }) => leaves.map((atMs) => atMs - server.nowMs));
    expect(moments.length).toBe(MANY);
    for (let quarter = 0; quarter < 4; quarter++) {
      const [from, to] = [(quarter * SPREAD_MS) / 4, ((quarter + 1) * SPREAD_MS) / 4];
      // 100 on the average, 9 standard deviation.
      expect(moments.filter((ms) => ms >= from && ms < to).length).toBeWithin(50, 150);
    }
    expect(server.endpoint.deadlineMs).toBeLessThan(server.nowMs + SPREAD_MS);
    for (let ms = 0; ms <= SPREAD_MS; ms += 10) server.turn(10);
    expect(server.drivers.map(({ times }) => times.length)).toEqual(new Array<number>(MANY).fill(1));
  });

  test("takes less time for fewer clients, and flushes none before its turn", () => {
    const server = withMany(1_000_000);
    server.socket.sent.length = 0;
    server.endpoint.retire(server.nowMs);
    const last = Math.max(...server.drivers.flatMap(({ leaves }) => leaves)) - server.nowMs;
    expect(last).toBeWithin(0.9 * MANY * LIMITS.goawayPerConnectionMs, MANY * LIMITS.goawayPerConnectionMs);
    expect(server.endpoint.hasDirty).toBe(false);
  });

  test("serves whoever still comes, and tells him among the others", () => {
    const server = withMany(1_000_000);
    server.endpoint.retire(server.nowMs);
    server.connect(MANY + 1);
    expect([server.counters.connectionsRefused, server.endpoint.connectionCount]).toEqual([0, MANY + 1]);
    const [atMs = 0] = server.driver.leaves;
    expect(atMs - server.nowMs).toBeWithin(LIMITS.goawayLateMsMin, MANY * LIMITS.goawayPerConnectionMs);
  });

  test("leaves those alone that end already", () => {
    const server = new FakeServer();
    server.connect();
    const [connection] = server.endpoint.connections;
    connection?.close(true, 0x100, "");
    server.endpoint.retire(server.nowMs);
    expect(server.driver.leaves).toEqual([]);
  });
});

describe("the end of all", () => {
  test("is told to each connection in one packet, then nothing is left", () => {
    const server = new FakeServer();
    for (const seed of [1, 2, 3]) server.connect(seed);
    server.accept(4);
    server.socket.sent.length = 0;
    server.endpoint.closeAll(0x100);
    expect(server.engine.connections.map(({ closes }) => closes.map(({ code }) => code))).toEqual([
      ...[[0x100], [0x100], [0x100], [0x100]],
    ]);
    expect(server.socket.sent.length).toBe(4);
    expect(server.endpoint.connectionCount).toBe(0);
    expect(server.engine.alive).toBe(0);
    server.engine.close();
  });

  test("comes also when the kernel takes nothing", () => {
    const server = new FakeServer();
    for (const seed of [1, 2]) server.connect(seed);
    server.socket.batchMax = 0;
    server.socket.full = true;
    server.endpoint.closeAll(0x100);
    expect(server.engine.alive).toBe(0);
  });

  test("is counted by its kind", () => {
    const server = new FakeServer();
    const idle = server.connect(1).engine;
    idle.reason = { by: "idle", app: false, code: 0, reason: "" };
    end(server, idle);
    const half = server.accept(2).engine;
    end(server, half);
    const { connectionsClosed, connectionsTimedOut, handshakesFailed } = server.counters;
    expect({ connectionsClosed, connectionsTimedOut, handshakesFailed }).toEqual({
      ...{ connectionsClosed: 2, connectionsTimedOut: 1, handshakesFailed: 1 },
    });
  });
});

test("20,000 random turns: every id leads to its owner or nowhere, and every place is given back", () => {
  const random = Random.fromEntropy([1_618_033]);
  const server = new FakeServer({ connectionsMax: 8 });
  server.engine.onAccept = (engine) => void (engine.wanted = random.nextBelow(6));
  let seed = 0;
  for (let round = 0; round < 20_000; round++) {
    const alive = server.engine.connections.filter((engine) => !engine.freed);
    const engine = alive[random.nextBelow(alive.length + 1)];
    if (engine === undefined) server.socket.arrive(initial((seed += 1)));
    else disturb(server, engine, random);
    if (random.nextBelow(4) !== 0) continue;
    server.turn(random.nextBelow(5));
    // What is freed is not looked at again; a long list would make the test slow.
    server.engine.connections.splice(0, server.engine.connections.length, ...aliveIn(server));
  }
  expect(seed).toBeGreaterThan(100);
  // The table is full of nothing: as many connections as may be can be made anew, with all their spare ids.
  for (const connection of [...server.endpoint.connections]) connection.destroy();
  server.socket.full = false;
  server.engine.onAccept = (engine) => void (engine.wanted = 3);
  for (let i = 0; i < 8; i++) expect(server.connect((seed += 1)).engine.offered.length).toBe(3);
});

function aliveIn(server: FakeServer): FakeConnection[] {
  return server.engine.connections.filter((engine) => !engine.freed);
}

/** Something that may happen to a connection. */
function disturb(server: FakeServer, engine: FakeConnection, random: Random): void {
  const ids = [engine.scid, ...engine.offered];
  const id = must(ids[random.nextBelow(ids.length)], "there is the handshake's id");
  switch (random.nextBelow(8)) {
    case 0:
      engine.closed = true;
      break;
    case 1:
      engine.retired.push(id);
      engine.wanted += 1;
      break;
    case 2:
      engine.established = true;
      break;
    case 3:
      server.socket.full = random.nextBelow(2) === 0;
      server.socket.batchMax = 1 + random.nextBelow(4);
      break;
    case 4:
      engine.timeoutInMs = random.nextBelow(10) - 1;
      break;
    default: {
      const owner = [...server.endpoint.connections].find((connection) => connection.ids.some((own) => same(own, id)));
      // A retired id must reach nobody; one in use only its owner. `feed` of the wrong one is seen below.
      if (owner !== undefined) expect(owner.engine === engine).toBe(true);
      server.socket.arrive(short(id));
    }
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

function end(server: FakeServer, engine: FakeConnection): void {
  engine.closed = true;
  server.socket.arrive(longHeader({ first: 0xe0, dcid: engine.scid }));
  server.turn();
  expect(engine.freed).toBe(true);
}

test("ids of clients are forgotten with their connection: the same id may come back, and reaches the new one", () => {
  const server = new FakeServer();
  for (let round = 0; round < 50; round++) {
    server.socket.arrive(longHeader({ dcid: clientId(7) }));
    server.turn();
    const engine = must(server.engine.connections.at(-1), "one was made");
    expect(server.engine.connections.length).toBe(round + 1);
    end(server, engine);
  }
});
