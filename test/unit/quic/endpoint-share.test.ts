/** Several endpoints of one process: one connection for an id, whichever socket it comes by, and one set of bounds. */
import { describe, expect, test } from "bun:test";
import { Counters } from "../../../src/core/counters.ts";
import { FakeServer, initial, longHeader, makeShare, short } from "../../support/fake-server.ts";

function pair(connectionsMax = 10): readonly [FakeServer, FakeServer, Counters] {
  const entries = new Counters();
  const share = makeShare(entries, { connectionsMax });
  return [new FakeServer({ share, connectionsMax }), new FakeServer({ share, connectionsMax }), entries];
}

describe("endpoints that share", () => {
  test("know a packet for a connection of the other one, and neither feed it nor answer it", () => {
    const [one, other] = pair();
    const { engine } = one.connect();
    const fed = engine.fed.length;
    const [token, sent] = [engine.scid, other.socket.sent.length];
    other.socket.arrive(short(token));
    other.turn();
    expect([engine.fed.length, other.socket.sent.length]).toEqual([fed, sent]);
    expect(other.counters).toMatchObject({ resetsSent: 0, datagramsUnknownId: 1 });
    // The connection is gone: now its client has to hear of it, wherever it asks.
    one.endpoint.closeAll(0x100);
    other.socket.arrive(short(token));
    other.turn();
    expect(other.counters).toMatchObject({ resetsSent: 1, datagramsUnknownId: 2 });
  });

  test("take a long header's packet for the other one's connection for what it is, and open nothing for it", () => {
    const [one, other] = pair();
    const { engine } = one.accept(7);
    other.socket.arrive(initial(7));
    other.socket.arrive(longHeader({ first: 0xe0, dcid: engine.scid }));
    other.turn();
    expect(other.endpoint.connectionCount).toBe(0);
    expect(other.counters).toMatchObject({ connectionsAccepted: 0, datagramsUnknownId: 2 });
    other.socket.arrive(initial(8));
    other.turn();
    expect([one.endpoint.connectionCount, other.endpoint.connectionCount]).toEqual([1, 1]);
  });

  test("let in so many connections together", () => {
    const [one, other, entries] = pair(2);
    one.accept(1);
    other.accept(2);
    one.socket.arrive(initial(3));
    one.turn();
    expect([one.endpoint.connectionCount, other.endpoint.connectionCount]).toEqual([1, 1]);
    expect(entries).toMatchObject({ connectionsOverTotal: 1, connectionsRefused: 1 });
  });

  test("drain one by one", () => {
    const [one, other, entries] = pair();
    one.endpoint.drain(one.nowMs);
    one.socket.arrive(initial(1));
    one.turn();
    expect([one.counters.connectionsAccepted, entries.connectionsWhileDraining]).toEqual([0, 1]);
    other.accept(2);
    expect(other.counters.connectionsAccepted).toBe(1);
  });
});

test("an endpoint that is alone has a share of its own", () => {
  const [one, other] = [new FakeServer(), new FakeServer()];
  one.accept(1);
  other.accept(1);
  expect([one, other].map(({ endpoint }) => [endpoint.connectionCount, endpoint.idCount])).toEqual([
    [1, 1],
    [1, 1],
  ]);
});
