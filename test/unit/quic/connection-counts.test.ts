/** What becomes of packets is counted while their connections live: each packet once, and of all connections some at a time. */
import { describe, expect, test } from "bun:test";
import { countersSeen } from "../../../src/core/counters.ts";
import { readHistograms } from "../../../src/core/histogram.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { FakeServer } from "../../support/fake-server.ts";

function packets({ counters }: FakeServer): readonly number[] {
  return [counters.packetsSent, counters.packetsLost, counters.packetsRetransmitted];
}

describe("packets of a connection", () => {
  test("are counted while it lives, and each once", () => {
    const server = new FakeServer();
    const { connection, engine } = server.connect();
    Object.assign(engine.packetFacts, { sent: 10, lost: 2, retransmitted: 1 });
    server.endpoint.counts.look();
    server.endpoint.counts.look();
    expect(packets(server)).toEqual([10, 2, 1]);
    Object.assign(engine.packetFacts, { sent: 15, lost: 3, retransmitted: 1 });
    connection.destroy();
    expect(packets(server)).toEqual([15, 3, 1]);
    server.endpoint.counts.look();
    expect(packets(server)).toEqual([15, 3, 1]);
  });

  test("that were lost are counted where nothing was sent since", () => {
    const server = new FakeServer();
    const { engine } = server.connect();
    Object.assign(engine.packetFacts, { sent: 10 });
    server.endpoint.counts.look();
    Object.assign(engine.packetFacts, { lost: 4 });
    server.endpoint.counts.look();
    expect(packets(server)).toEqual([10, 4, 0]);
  });

  test("show its round trip at each look after which it has sent something, if it is established", () => {
    const server = new FakeServer({ connectionsMax: 3 });
    const { connection, engine } = server.connect();
    engine.smoothedMs = 40;
    const trips = (): number => readHistograms(countersSeen(server.counters)).histograms["round_trip_ms"]?.count ?? 0;
    for (const sent of [3, 3, 5]) {
      Object.assign(engine.packetFacts, { sent });
      server.endpoint.counts.look();
    }
    expect(trips()).toBe(2);
    connection.destroy();
    expect(trips()).toBe(2);
    Object.assign(server.accept(2).engine.packetFacts, { sent: 1 });
    server.endpoint.counts.look();
    expect(trips()).toBe(2);
    expect(packets(server)).toEqual([6, 0, 0]);
  });
});

test("a look is at a bounded number of connections, and all have their turn though some come and go", () => {
  const most = LIMITS.connectionsLookedAtMax;
  const count = 2 * most + 1;
  const server = new FakeServer({ connectionsMax: count, admission: { handshakesMax: count } });
  for (let seed = 1; seed <= count; seed++) Object.assign(server.accept(seed).engine.packetFacts, { sent: 1 });
  const { connections } = server.engine;
  const looks = (): number => connections.reduce((sum, { looks }) => sum + looks, 0);
  server.endpoint.counts.look();
  expect(looks()).toBe(most);
  for (const connection of [...server.endpoint.connections].slice(most, most + 100)) connection.destroy();
  expect(looks()).toBe(most + 100);
  for (let seed = count + 1; seed <= count + 10; seed++) server.accept(seed);
  for (let i = 0; i < 2; i++) server.endpoint.counts.look();
  expect(connections.filter(({ looks }) => looks === 0)).toEqual([]);
  expect(looks()).toBe(3 * most + 100);
  // With none, and after none.
  for (const connection of [...server.endpoint.connections]) connection.destroy();
  server.endpoint.counts.look();
  server.accept(5000);
  server.endpoint.counts.look();
  expect(connections.at(-1)?.looks).toBe(1);
});
