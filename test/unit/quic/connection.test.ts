/** One connection on the fake engine: its session, its ids, what it sends when, and its end. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import type { Connection } from "../../../src/quic/connection.ts";
import type { FakeConnection } from "../../support/fake-engine.ts";
import { clientId, type FakeDriver, FakeServer, longHeader, short } from "../../support/fake-server.ts";

interface Connected {
  readonly server: FakeServer;
  readonly connection: Connection;
  readonly engine: FakeConnection;
  readonly driver: FakeDriver;
}

/** Established, its session open, everything sent. */
function connected(): Connected {
  const server = new FakeServer();
  const { connection, engine } = server.connect();
  expect(engine.packets).toBe(0);
  server.socket.sent.length = 0;
  return { server, connection, engine, driver: server.driver };
}

function arrive({ server, engine }: Connected, datagrams: number = 1): void {
  for (let i = 0; i < datagrams; i++) server.socket.arrive(short(engine.scid));
}

function sent({ server }: Connected): number {
  return server.socket.sent.length;
}

describe("a session", () => {
  test("is opened when the handshake is done, and only then", () => {
    const server = new FakeServer();
    const { connection, engine } = server.accept();
    expect(engine.session).toBeNull();
    expect(connection.driver).toBeNull();
    engine.established = true;
    server.socket.arrive(short(engine.scid));
    server.turn();
    expect(connection.driver).toBe(server.driver);
    expect(server.driver.processed).toBe(1);
    expect(server.counters.connectionsEstablished).toBe(1);
  });

  test("works once after each batch of datagrams, however many came", () => {
    const world = connected();
    arrive(world, 5);
    world.server.turn();
    expect(world.engine.fed.length).toBe(7);
    expect(world.driver.processed).toBe(2);
  });

  test("that the engine refuses closes the connection with H3_INTERNAL_ERROR", () => {
    const server = new FakeServer();
    const { connection, engine } = server.accept();
    engine.established = true;
    engine.refusesSession = true;
    server.socket.arrive(short(engine.scid));
    server.turn();
    expect(engine.closes).toEqual([{ app: true, code: 0x102, reason: "" }]);
    expect(connection.driver).toBeNull();
    expect(server.counters.connectionsEstablished).toBe(0);
  });

  test("hears of the end before the engine's object is freed", () => {
    const world = connected();
    let freedThen: boolean | null = null;
    world.driver.abandon = () => void (freedThen = world.engine.freed);
    world.engine.closed = true;
    arrive(world);
    world.server.turn();
    expect(freedThen as boolean | null).toBe(false);
    expect(world.engine.freed).toBe(true);
  });
});

describe("a flush of bare acknowledgements", () => {
  function awaiting(): Connected {
    const world = connected();
    world.driver.awaitsAnswer = true;
    return world;
  }

  test("goes at once when no answer is awaited", () => {
    const world = connected();
    arrive(world);
    world.server.turn();
    expect(sent(world)).toBe(1);
    expect(world.server.counters.heldFlushes).toBe(0);
  });

  test("waits for the answer, up to its limit", () => {
    const world = awaiting();
    arrive(world);
    world.server.turn();
    expect(sent(world)).toBe(0);
    expect(world.server.counters.heldFlushes).toBe(1);
    expect(world.server.endpoint.deadlineMs).toBeLessThanOrEqual(world.server.nowMs + LIMITS.heldFlushMsMax);
    world.server.turn(LIMITS.heldFlushMsMax / 2);
    expect(sent(world)).toBe(0);
    world.server.turn(LIMITS.heldFlushMsMax / 2);
    expect(sent(world)).toBe(1);
    expect(world.engine.timeouts).toBe(0);
  });

  test("is released by the answer", () => {
    const world = awaiting();
    arrive(world);
    world.server.turn();
    world.connection.wake();
    world.server.turn(LIMITS.heldFlushMsMax / 4);
    expect(sent(world)).toBe(1);
  });

  test("is held no longer because more comes in", () => {
    const world = awaiting();
    arrive(world);
    world.server.turn();
    arrive(world);
    world.server.turn(LIMITS.heldFlushMsMax * 0.75);
    expect(sent(world)).toBe(0);
    world.server.turn(LIMITS.heldFlushMsMax * 0.25);
    expect(sent(world)).toBe(1);
    expect(world.server.counters.heldFlushes).toBe(1);
  });

  test("is held anew for the next request", () => {
    const world = awaiting();
    for (let request = 1; request <= 3; request++) {
      arrive(world);
      world.server.turn(10);
      expect(sent(world)).toBe(request - 1);
      world.server.turn(LIMITS.heldFlushMsMax);
      expect(sent(world)).toBe(request);
    }
    expect(world.server.counters.heldFlushes).toBe(3);
  });

  test("is not held when more datagrams came than the limit", () => {
    const world = awaiting();
    arrive(world, LIMITS.heldDatagramsMax + 1);
    world.server.turn();
    expect(sent(world)).toBe(1);
    arrive(world, LIMITS.heldDatagramsMax);
    world.server.turn();
    expect(sent(world)).toBe(1);
    // Together with those held before they are too many.
    arrive(world);
    world.server.turn();
    expect(sent(world)).toBe(2);
  });

  test("is not held after a flush that was part of something large", () => {
    const world = awaiting();
    world.engine.packets = 5;
    world.connection.wake();
    world.server.turn();
    expect(sent(world)).toBe(5);
    arrive(world);
    world.server.turn();
    expect(sent(world)).toBe(6);
    // After a small one it is held again.
    arrive(world);
    world.server.turn();
    expect(sent(world)).toBe(6);
  });

  test("is not held while a response is being sent", () => {
    const world = awaiting();
    world.driver.onProcess = () => void (world.driver.awaitsAnswer = false);
    arrive(world);
    world.server.turn();
    expect(sent(world)).toBe(1);
  });

  test("goes at once when nothing was received: then it is no acknowledgement", () => {
    const world = awaiting();
    world.engine.timeoutInMs = 50;
    world.connection.wake();
    world.server.turn();
    world.engine.packets = 1;
    world.server.turn(50);
    expect(world.engine.timeouts).toBe(1);
    expect(sent(world)).toBe(1);
  });
});

describe("the engine's timeout", () => {
  test("is set after each flush and comes once", () => {
    const world = connected();
    world.engine.timeoutInMs = 30;
    arrive(world);
    world.server.turn();
    expect(world.server.endpoint.deadlineMs).toBeLessThanOrEqual(world.server.nowMs + 30);
    world.engine.timeoutInMs = -1;
    world.server.turn(29);
    expect(world.engine.timeouts).toBe(0);
    world.server.turn(1);
    expect(world.engine.timeouts).toBe(1);
    world.server.turn(1000);
    expect(world.engine.timeouts).toBe(1);
    expect(world.server.endpoint.deadlineMs).toBe(Infinity);
  });

  test("is followed by a flush: it may have made something to send, or an end", () => {
    const world = connected();
    world.engine.timeoutInMs = 30;
    arrive(world);
    world.server.turn();
    world.engine.onTimeout = () => {
      world.engine.closed = true;
      world.engine.reason = { by: "idle", app: false, code: 0, reason: "" };
    };
    world.server.turn(30);
    expect(world.engine.freed).toBe(true);
    expect(world.server.counters.connectionsTimedOut).toBe(1);
  });
});

describe("the session's deadline", () => {
  test("is kept beside the engine's: the earlier one wakes, and each side is told of its own", () => {
    const world = connected();
    world.engine.timeoutInMs = 30;
    world.driver.deadlineMs = world.server.nowMs + 20;
    arrive(world);
    world.server.turn();
    expect(world.server.endpoint.deadlineMs).toBeLessThanOrEqual(world.server.nowMs + 20);
    world.server.turn(19);
    expect(world.driver.times).toEqual([]);
    world.server.turn(1);
    expect(world.driver.times).toEqual([world.server.nowMs]);
    world.engine.timeoutInMs = -1;
    world.server.turn(30);
    expect(world.driver.times.length).toBe(1);
    expect(world.server.endpoint.deadlineMs).toBe(Infinity);
  });

  test("comes though the engine waits for nothing, and again when the session sets it anew", () => {
    const world = connected();
    world.driver.whenTime = (nowMs) => void (world.driver.deadlineMs = nowMs + 50);
    world.driver.deadlineMs = world.server.nowMs + 50;
    world.connection.wake();
    world.server.turn();
    for (let round = 1; round <= 3; round++) {
      world.server.turn(50);
      expect(world.driver.times.length).toBe(round);
    }
  });

  test("that the session moved ahead by itself is in force after the next flush", () => {
    const world = connected();
    world.driver.deadlineMs = world.server.nowMs + 5000;
    arrive(world);
    world.server.turn();
    world.driver.deadlineMs = world.server.nowMs + 10;
    world.connection.wake();
    world.server.turn();
    world.server.turn(10);
    expect(world.driver.times.length).toBe(1);
  });

  test("that was put off does not come early", () => {
    const world = connected();
    world.driver.deadlineMs = world.server.nowMs + 10;
    arrive(world);
    world.server.turn();
    world.driver.deadlineMs = world.server.nowMs + 500;
    world.server.turn(10);
    expect(world.driver.times).toEqual([]);
    world.server.turn(490);
    expect(world.driver.times.length).toBe(1);
  });

  test("may close the connection, and then comes no more", () => {
    const world = connected();
    world.driver.whenTime = () => world.connection.close(true, 0x100, "");
    world.driver.deadlineMs = world.server.nowMs + 10;
    arrive(world);
    world.server.turn();
    world.server.turn(10);
    expect(world.engine.closes).toEqual([{ app: true, code: 0x100, reason: "" }]);
    world.server.turn(1000);
    expect(world.driver.times.length).toBe(1);
    expect(world.server.endpoint.deadlineMs).toBe(Infinity);
  });

  test("that stays in the past is a mistake of ours, and not a turn without end", () => {
    const world = connected();
    world.driver.whenTime = () => undefined;
    world.driver.deadlineMs = world.server.nowMs + 10;
    arrive(world);
    world.server.turn();
    expect(() => world.server.turn(10)).toThrow("waits for a later one");
  });

  test("is not forgotten while a flush is held", () => {
    const world = connected();
    world.driver.awaitsAnswer = true;
    world.driver.deadlineMs = world.server.nowMs + 1;
    arrive(world);
    world.server.turn();
    expect(sent(world)).toBe(0);
    world.server.turn(LIMITS.heldFlushMsMax);
    expect(world.driver.times.length).toBe(1);
    expect(sent(world)).toBe(1);
  });
});

describe("a handshake", () => {
  test("that is not done in time is given up, whatever the client sends and the engine thinks", () => {
    const server = new FakeServer({ handshakeMs: 100 });
    server.engine.onAccept = (engine) => void (engine.timeoutInMs = 30_000);
    const { engine } = server.accept();
    for (let passed = 0; passed < 90; passed += 10) {
      server.socket.arrive(longHeader({ first: 0xe0, dcid: engine.scid }));
      server.turn(10);
    }
    server.turn(9);
    expect(engine.freed).toBe(false);
    expect(server.endpoint.deadlineMs).toBeLessThanOrEqual(server.nowMs + 1);
    server.socket.sent.length = 0;
    server.turn(1);
    expect(engine.closes).toEqual([{ app: false, code: 0x00, reason: "" }]);
    expect(server.socket.sent.length).toBe(1);
    expect(engine.freed).toBe(true);
    const { handshakesTimedOut, handshakesFailed, connectionsTimedOut } = server.counters;
    expect({ handshakesTimedOut, handshakesFailed, connectionsTimedOut }).toEqual({
      ...{ handshakesTimedOut: 1, handshakesFailed: 1, connectionsTimedOut: 0 },
    });
    expect(server.endpoint.connectionCount).toBe(0);
  });

  test("that is done in time leaves no deadline behind", () => {
    const server = new FakeServer({ handshakeMs: 100 });
    const { engine } = server.connect();
    server.turn(1000);
    expect(engine.freed).toBe(false);
    expect(engine.closes).toEqual([]);
    expect(server.endpoint.deadlineMs).toBe(Infinity);
    expect(server.counters.handshakesTimedOut).toBe(0);
  });

  test("that is given up while the kernel is full is freed once its last packet is taken", () => {
    const server = new FakeServer({ handshakeMs: 100 });
    const { engine } = server.accept();
    server.socket.batchMax = 0;
    server.socket.full = true;
    server.turn(100);
    expect(engine.freed).toBe(false);
    server.socket.batchMax = 8;
    server.socket.full = false;
    server.turn();
    expect(engine.freed).toBe(true);
    expect(engine.closes.length).toBe(1);
  });
});

describe("sending", () => {
  test("stops at a turn's share; the rest follows in the next turns", () => {
    const world = connected();
    const share = LIMITS.packetsPerConnectionTurnMax;
    world.engine.packets = 2 * share + 10;
    world.connection.wake();
    world.server.turn();
    expect(sent(world)).toBe(share);
    expect(world.server.endpoint.hasDirty).toBe(true);
    world.server.turn();
    expect(sent(world)).toBe(2 * share);
    world.server.turn();
    expect(sent(world)).toBe(2 * share + 10);
    expect(world.server.endpoint.hasDirty).toBe(false);
  });

  test("empties a full batch and goes on in the same turn", () => {
    const world = connected();
    world.server.socket.batchMax = 40;
    world.engine.packets = 60;
    world.connection.wake();
    expect(world.server.turn()).toBe(true);
    expect(sent(world)).toBe(60);
    expect(world.server.endpoint.hasDirty).toBe(false);
  });

  test("waits when the kernel is full, and loses nothing", () => {
    const world = connected();
    const { socket } = world.server;
    socket.batchMax = 10;
    socket.full = true;
    world.engine.packets = 30;
    world.connection.wake();
    expect(world.server.turn()).toBe(false);
    expect(sent(world)).toBe(0);
    expect(world.server.endpoint.hasDirty).toBe(true);
    expect(world.server.turn(5)).toBe(false);
    socket.full = false;
    for (let turns = 0; world.server.endpoint.hasDirty && turns < 5; turns++) world.server.turn();
    expect(sent(world)).toBe(30);
    expect(world.engine.packets).toBe(0);
  });

  test("wakes at most once a turn, however often it is asked to", () => {
    const world = connected();
    const before = world.server.turnsRequested;
    for (let i = 0; i < 5; i++) world.connection.wake();
    expect(world.server.turnsRequested).toBe(before + 1);
  });
});

describe("a client whose address is not validated", () => {
  test("gets three times its bytes, to the last one, and more when it sends more", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => void (engine.packets = 100);
    const { connection, engine } = server.accept();
    const sent = () => server.socket.sent.length;
    expect(sent()).toBe(3);
    for (let round = 0; round < 5; round++) {
      connection.wake();
      server.turn();
    }
    expect(sent()).toBe(3);
    // Retransmitted to the id that it chose itself: whoever forges its address could do that as well.
    server.socket.arrive(longHeader({ dcid: clientId(1), size: 1300 }));
    server.turn();
    // 3,900 bytes: three whole packets, and one of 300.
    expect([sent(), engine.packets]).toEqual([7, 100 - 7]);
  });

  test("is validated by a packet to the id that only our packets could tell it", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => void (engine.packets = 10);
    const { engine } = server.accept();
    server.socket.arrive(longHeader({ first: 0xe0, dcid: engine.scid, size: 60 }));
    server.turn();
    expect(server.socket.sent.length).toBe(10);
  });

  test("is closed in silence when its credit is used up", () => {
    const server = new FakeServer({ handshakeMs: 100 });
    server.engine.onAccept = (engine) => void (engine.packets = 3);
    const { engine } = server.accept();
    server.turn(100);
    expect(engine.freed).toBe(true);
    expect(server.socket.sent.length).toBe(3);
  });
});

describe("spare ids", () => {
  test("are offered when the session opens: as many as are wanted, three at most, each with its token", () => {
    for (const [wanted, offered] of [
      [0, 0],
      [1, 1],
      [3, 3],
      [7, 3],
    ] as const) {
      const server = new FakeServer();
      server.engine.onAccept = (engine) => void (engine.wanted = wanted);
      const { connection, engine } = server.connect();
      expect(engine.offered.length).toBe(offered);
      expect(connection.ids.length).toBe(1 + offered);
      expect(connection.ids.slice(1)).toEqual(engine.offered);
    }
  });

  test("lead to their connection", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => void (engine.wanted = 3);
    const { engine } = server.connect();
    server.connect(2);
    const before = engine.fed.length;
    for (const id of engine.offered) server.socket.arrive(short(id));
    server.turn();
    expect(engine.fed.length).toBe(before + 3);
  });

  test("that were retired lead nowhere, and are made good", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => void (engine.wanted = 3);
    const { connection, engine } = server.connect();
    const [first, second] = connection.ids.map((id) => id.slice());
    engine.retired.push(first ?? new Uint8Array(0), second ?? new Uint8Array(0));
    engine.wanted = 2;
    server.socket.arrive(short(engine.offered[1] ?? new Uint8Array(0)));
    server.turn();
    expect(connection.ids.length).toBe(4);
    expect(engine.offered.length).toBe(5);
    expect(connection.ids).not.toContainEqual(first ?? new Uint8Array(0));
    const unknown = server.counters.datagramsUnknownId;
    server.socket.arrive(short(first ?? new Uint8Array(0)));
    server.turn();
    expect(server.counters.datagramsUnknownId).toBe(unknown + 1);
  });

  test("that the engine refuses are not kept, and are not asked for again at once", () => {
    const server = new FakeServer();
    server.engine.onAccept = (engine) => {
      engine.wanted = 3;
      engine.refusesIds = true;
    };
    const { connection, engine } = server.connect();
    expect(connection.ids.length).toBe(1);
    expect(engine.offered).toEqual([]);
  });

  test("that the engine refuses take up no room in the table", () => {
    const server = new FakeServer({ connectionsMax: 1 });
    server.engine.onAccept = (engine) => {
      engine.wanted = 3;
      engine.refusesIds = true;
    };
    for (let seed = 1; seed <= 20; seed++) server.connect(seed).connection.destroy();
    server.engine.onAccept = (engine) => void (engine.wanted = 3);
    expect(server.connect(21).engine.offered.length).toBe(3);
  });

  test("of a retired id that is not its own are ignored", () => {
    const world = connected();
    world.engine.retired.push(new Uint8Array(18));
    arrive(world);
    world.server.turn();
    expect(world.connection.ids.length).toBe(1);
  });
});

describe("the end", () => {
  test("comes with the flush after the engine has closed: freed once, told once", () => {
    const world = connected();
    world.engine.reason = { by: "peer", app: true, code: 0x100, reason: "bye" };
    world.engine.closed = true;
    arrive(world);
    world.server.turn();
    expect(world.connection.closed).toBe(true);
    expect(world.driver.abandoned).toBe(1);
    expect(world.server.closed).toEqual([{ by: "peer", app: true, code: 0x100, reason: "bye" }]);
    expect(world.server.endpoint.connectionCount).toBe(0);
    // Whatever is still asked of it afterwards does nothing: the fake engine throws on any use.
    world.connection.wake();
    world.connection.process();
    world.connection.onDeadline();
    world.connection.close(true, 0x100, "");
    world.connection.destroy();
    expect(world.connection.flush()).toBe(true);
    world.server.turn(1000);
    expect(world.server.closed.length).toBe(1);
  });

  test("by our wish is told to the peer in the next flush", () => {
    const world = connected();
    world.connection.close(true, 0x100, "done");
    expect(world.engine.closes).toEqual([{ app: true, code: 0x100, reason: "done" }]);
    world.server.turn();
    expect(sent(world)).toBe(1);
    expect(world.connection.closed).toBe(false);
  });

  test("without a word needs no flush, and may be asked for twice", () => {
    const world = connected();
    world.connection.destroy();
    world.connection.destroy();
    expect(world.engine.freed).toBe(true);
    expect(sent(world)).toBe(0);
    expect(world.server.closed).toEqual([null]);
  });

  test("in the middle of a turn leaves no deadline and nothing to flush", () => {
    const world = connected();
    world.engine.timeoutInMs = 100;
    arrive(world);
    world.server.turn();
    world.driver.onProcess = () => world.connection.destroy();
    arrive(world);
    world.server.turn();
    expect(world.server.endpoint.hasDirty).toBe(false);
    expect(world.server.endpoint.deadlineMs).toBe(Infinity);
  });
});

test("a connection's name is its handshake's id in hex, also when that id was retired", () => {
  const world = connected();
  const hex = Array.from(world.engine.scid, (byte) => byte.toString(16).padStart(2, "0")).join("");
  world.engine.retired.push(world.engine.scid);
  arrive(world);
  world.server.turn();
  expect(world.connection.idHex).toBe(hex);
  expect(world.connection.idHex.length).toBe(36);
});
