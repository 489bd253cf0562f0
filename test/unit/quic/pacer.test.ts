/** Bounded bursts: the bucket alone, and a connection that is held to it. */
import { describe, expect, test } from "bun:test";
import type { Pace, PacedPath } from "../../../src/quic/engine.ts";
import { Pacer } from "../../../src/quic/pacer.ts";
import { FakeServer, short } from "../../support/fake-server.ts";

const PACKET = 1200;
const BURST = 16 * PACKET;

/** A path with a window and a round trip; how often it was asked. */
function pathOf(cwndBytes: number, roundTripMs: number): PacedPath & { asked: number } {
  return {
    asked: 0,
    readPace(pace: Pace): void {
      this.asked += 1;
      pace.cwndBytes = cwndBytes;
      pace.roundTripMs = roundTripMs;
    },
  };
}

/** Sends as much as is allowed at one time; how many packets that was. */
function burst(pacer: Pacer, nowMs: number, path: PacedPath): number {
  for (let packets = 0; ; packets++) {
    if (!pacer.allows(nowMs, path)) return packets;
    pacer.spend(PACKET);
  }
}

describe("a bucket", () => {
  test("lets one burst go, and asks for the path only then", () => {
    const path = pathOf(120_000, 50);
    const pacer = new Pacer(BURST, 0);
    for (let i = 0; i < 16; i++) {
      expect(pacer.allows(1000, path)).toBe(true);
      pacer.spend(PACKET);
    }
    expect(path.asked).toBe(0);
    expect(burst(pacer, 1000, path)).toBeLessThanOrEqual(16);
    expect(path.asked).toBeGreaterThan(0);
  });

  test("is filled at five quarters of a window in each round trip", () => {
    const path = pathOf(120_000, 50);
    const pacer = new Pacer(BURST, 0);
    let nowMs = 0;
    burst(pacer, nowMs, path);
    let packets = 0;
    while (nowMs < 1000) {
      nowMs = pacer.readyMs(nowMs);
      packets += burst(pacer, nowMs, path);
    }
    // 120,000 * 1.25 / 50 = 3,000 bytes a millisecond.
    expect((packets * PACKET) / nowMs).toBeWithin(2950, 3050);
  });

  test("holds no more than a burst, or what four milliseconds bring, however long nothing was sent", () => {
    const slow = new Pacer(BURST, 0);
    burst(slow, 0, pathOf(12_000, 100));
    expect(burst(slow, 60_000, pathOf(12_000, 100))).toBe(16);
    const fast = new Pacer(BURST, 0);
    const path = pathOf(1_200_000, 20);
    burst(fast, 0, path);
    // 75,000 bytes a millisecond.
    expect(burst(fast, 60_000, path)).toBe(Math.ceil((4 * 75_000) / PACKET));
  });

  test("waits a millisecond at least, and longer where the path is slow", () => {
    const fast = new Pacer(BURST, 0);
    burst(fast, 0, pathOf(1_200_000, 20));
    expect(fast.readyMs(0)).toBe(1);
    const slow = new Pacer(BURST, 0);
    const path = pathOf(2400, 1000);
    expect(slow.allows(0, path)).toBe(true);
    slow.spend(BURST + 300);
    expect(slow.allows(0, path)).toBe(false);
    // 300 bytes at 3 a millisecond.
    expect(slow.readyMs(0)).toBeCloseTo(100, 6);
    expect(slow.allows(101, path)).toBe(true);
  });

  test("does not stand still before a round trip was measured", () => {
    const pacer = new Pacer(BURST, 0);
    const unknown = pathOf(0, 0);
    burst(pacer, 0, unknown);
    expect(pacer.readyMs(7)).toBe(8);
  });
});

describe("a connection", () => {
  function connected(burstBytes: number): ReturnType<FakeServer["accept"]> & { readonly server: FakeServer } {
    const server = new FakeServer({ burstBytes });
    const accepted = server.accept();
    accepted.engine.established = true;
    server.socket.arrive(short(accepted.engine.scid));
    server.turn();
    server.socket.sent.length = 0;
    return { server, ...accepted };
  }

  test("sends a burst, and the rest by and by without being asked", () => {
    const { server, connection, engine } = connected(BURST);
    engine.packets = 60;
    connection.wake();
    server.turn();
    const first = server.socket.sent.length;
    expect(first).toBeWithin(12, 18);
    expect(server.counters.flushesPaced).toBe(1);
    let turns = 0;
    while (engine.packets > 0) {
      const dueMs = server.endpoint.deadlineMs;
      expect(dueMs).toBeWithin(server.nowMs + 1, server.nowMs + 3);
      server.nowMs = dueMs;
      server.turn();
      turns += 1;
    }
    // 3,000 bytes a millisecond are two or three packets.
    expect(turns).toBeWithin(15, 25);
    expect(server.socket.sent.length).toBe(60);
  });

  test("says its last words at once", () => {
    const { server, connection, engine } = connected(BURST);
    engine.packets = 60;
    connection.wake();
    server.turn();
    const before = server.socket.sent.length;
    connection.close(true, 0x100, "");
    server.turn();
    expect(server.socket.sent.length).toBeGreaterThan(before);
  });

  test("is not held back where bursts have no bound", () => {
    const { server, connection, engine } = connected(0);
    engine.packets = 60;
    connection.wake();
    server.turn();
    expect(server.socket.sent.length).toBe(60);
    expect(server.counters.flushesPaced).toBe(0);
  });
});
