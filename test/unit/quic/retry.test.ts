/** Address validation in front of connections: who is asked for a token, what becomes of tokens good and bad, and that nothing is kept before. */
import { describe, expect, test } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { clientId, FakeServer, initial } from "../../support/fake-server.ts";

const ALWAYS = { admission: { retryFromHandshakes: 0 } };

/** An Initial of full size to `dcid` with a token. */
function initialWith(dcid: Uint8Array, token: Uint8Array, lengthBytes: 1 | 2 | 4 | 8 = 2): Uint8Array {
  const prefix = { 1: 0, 2: 0x40, 4: 0x80, 8: 0xc0 }[lengthBytes];
  const length = Array.from({ length: lengthBytes }, (_, i) =>
    lengthBytes - i > 4 ? 0 : (token.length >>> (8 * (lengthBytes - 1 - i))) & 0xff,
  );
  length[0] = (length[0] ?? 0) | prefix;
  const datagram = new Uint8Array(1200);
  datagram.set([0xc0, 0, 0, 0, 1, dcid.length, ...dcid, 0, ...length, ...token]);
  return datagram;
}

/** A client's first packet, and the Retry that it got. */
function askedToRetry(server: FakeServer): { readonly retryId: Uint8Array; readonly token: Uint8Array } {
  server.socket.arrive(initial(1));
  server.turn();
  return must(server.engine.retries.at(-1), "a Retry was sent");
}

function arrive(server: FakeServer, datagram: Uint8Array): void {
  server.socket.arrive(datagram);
  server.turn();
}

describe("a client without a token", () => {
  test("gets a Retry from an id of ours, and nothing is made for it", () => {
    const server = new FakeServer(ALWAYS);
    const { retryId, token } = askedToRetry(server);
    expect(server.engine.retries[0]).toMatchObject({ dcid: clientId(1), scid: new Uint8Array(0) });
    expect(retryId.length).toBe(18);
    expect(token.length).toBeLessThanOrEqual(100);
    expect(server.engine.connections.length).toBe(0);
    expect(server.endpoint.connectionCount).toBe(0);
    expect(server.counters).toMatchObject({ retriesSent: 1, connectionsAccepted: 0, connectionsRefused: 0 });
  });

  test("gets none where it is off", () => {
    const server = new FakeServer();
    server.accept();
    expect(server.counters.retriesSent).toBe(0);
  });

  test("gets one as soon as so many handshakes are under way, and none when they are done", () => {
    const server = new FakeServer({ admission: { retryFromHandshakes: 2 } });
    const first = server.connect(1);
    server.accept(2);
    server.accept(3);
    arrive(server, initial(4));
    expect(server.counters).toMatchObject({ retriesSent: 1, connectionsAccepted: 3 });
    first.engine.owe();
    must(server.engine.connections[1], "one waits").established = true;
    arrive(server, initial(2));
    arrive(server, initial(5));
    expect(server.counters).toMatchObject({ retriesSent: 1, connectionsAccepted: 4 });
  });

  test("comes before the cap on handshakes and the rate, which Retries do not use up", () => {
    const server = new FakeServer({
      admission: { retryFromHandshakes: 0, newConnectionsBurst: 1, newConnectionsPerSecond: 1, handshakesMax: 1 },
    });
    const { retryId, token } = askedToRetry(server);
    for (let seed = 2; seed < 50; seed++) server.socket.arrive(initial(seed));
    server.turn();
    expect(server.counters.retriesSent).toBe(49);
    arrive(server, initialWith(retryId, token));
    expect(server.counters).toMatchObject({ connectionsAccepted: 1, connectionsRefused: 0 });
  });

  test("is let go without an answer over the rate of Retries", () => {
    const server = new FakeServer(ALWAYS);
    for (let seed = 1; seed <= LIMITS.retriesAtOnceMax + 10; seed++) server.socket.arrive(initial(seed));
    while (server.socket.waiting > 0) server.turn();
    expect(server.counters).toMatchObject({ retriesSent: LIMITS.retriesAtOnceMax, retriesWithheld: 10 });
  });

  test("is refused and not asked while the server drains", () => {
    const server = new FakeServer(ALWAYS);
    server.endpoint.drain(server.nowMs);
    arrive(server, initial(1));
    expect(server.engine.refused).toMatchObject([{ code: 0x02 }]);
    expect(server.counters.retriesSent).toBe(0);
  });
});

describe("a client with the token of a Retry", () => {
  for (const lengthBytes of [2, 4, 8] as const) {
    test(`becomes a connection that knows both ids, its address validated (length in ${lengthBytes} bytes)`, () => {
      const server = new FakeServer(ALWAYS);
      server.engine.onAccept = (engine) => void (engine.packets = 10);
      const { retryId, token } = askedToRetry(server);
      const answer = initialWith(retryId, token, lengthBytes);
      arrive(server, answer);
      const engine = must(server.engine.connections[0], "it became a connection");
      expect(engine.retry).toEqual({ originalId: clientId(1), retryId });
      expect(engine.scid).not.toEqual(retryId);
      expect(engine.fed).toEqual([answer]);
      // Three times 1,200 bytes would be three packets.
      expect(server.socket.sent.filter(({ from }) => from === engine).length).toBe(10);
      expect(server.counters).toMatchObject({ tokensValid: 1, connectionsAccepted: 1, retriesSent: 1 });
    });
  }

  test("finds its connection with every further packet to the id of the Retry", () => {
    const server = new FakeServer(ALWAYS);
    const { retryId, token } = askedToRetry(server);
    arrive(server, initialWith(retryId, token));
    arrive(server, initialWith(retryId, token));
    expect(server.engine.connections.length).toBe(1);
    expect(server.engine.connections[0]?.fed.length).toBe(2);
  });

  test("is taken above the threshold, and by a server whose own Retries are off", () => {
    const asking = new FakeServer(ALWAYS);
    const { retryId, token } = askedToRetry(asking);
    const other = new FakeServer();
    arrive(other, initialWith(retryId, token));
    expect(other.engine.connections[0]?.retry?.originalId).toEqual(clientId(1));
  });
});

describe("a bad token is answered with INVALID_TOKEN, and nothing is made:", () => {
  const cases: readonly (readonly [string, string, (server: FakeServer, token: Uint8Array, id: Uint8Array) => void])[] =
    [
      ["a bit was changed", "forged", (_, token) => void (token[30] = (token[30] ?? 0) ^ 1)],
      ["it is too old", "expired", (server) => void (server.epochMs += LIMITS.retryTokenMsMax + 1)],
      ["it is another address's", "other-address", ({ socket }) => void (socket.peer[3] = 1)],
      ["it is another port's", "other-address", ({ socket }) => void (socket.port += 1)],
      ["it is another Retry's", "other-id", (_s, _t, id) => void (id[17] = (id[17] ?? 0) ^ 1)],
    ];
  for (const [name, fault, spoil] of cases) {
    test(name, () => {
      const server = new FakeServer(ALWAYS);
      const { retryId, token } = askedToRetry(server);
      spoil(server, token, retryId);
      arrive(server, initialWith(retryId, token));
      expect(server.engine.refused).toMatchObject([{ dcid: retryId, code: 0x0b }]);
      expect(server.engine.connections.length).toBe(0);
      expect(server.counters).toMatchObject({ refusalsSent: 1, connectionsRefused: 1, tokensValid: 0, retriesSent: 1 });
      expect([...server.counters.tokensRefused.entries()]).toEqual([[fault, 1]]);
    });
  }

  test("and at a rate", () => {
    const server = new FakeServer(ALWAYS);
    const { retryId, token } = askedToRetry(server);
    token[30] = (token[30] ?? 0) ^ 1;
    for (let i = 0; i < LIMITS.refusalsAtOnceMax + 5; i++) server.socket.arrive(initialWith(retryId, token));
    while (server.socket.waiting > 0) server.turn();
    expect(server.counters).toMatchObject({ refusalsSent: LIMITS.refusalsAtOnceMax, refusalsWithheld: 5 });
  });
});

describe("a token that is none of a Retry of ours counts as no token:", () => {
  const cases: readonly (readonly [string, (server: FakeServer) => Uint8Array])[] = [
    [
      "one for NEW_TOKEN",
      ({ tokens, socket, epochMs }) => tokens.sealNewToken({ words: socket.peer, port: socket.port }, epochMs),
    ],
    ["of somebody else", () => new Uint8Array(64).fill(0x11)],
    ["too short", () => Uint8Array.of(0xd1)],
    ["too long", () => new Uint8Array(101).fill(0xd1)],
  ];
  for (const [name, make] of cases) {
    test(name, () => {
      const server = new FakeServer(ALWAYS);
      arrive(server, initialWith(new Uint8Array(18).fill(3), make(server)));
      expect(server.engine.refused).toEqual([]);
      expect(server.counters).toMatchObject({ tokensIgnored: 1, retriesSent: 1, connectionsAccepted: 0 });
    });
  }

  test("one that looks like ours in a packet to an id that does not", () => {
    const server = new FakeServer();
    const dcid = new Uint8Array(8).fill(3);
    arrive(server, initialWith(dcid, new Uint8Array(70).fill(0xd1)));
    expect(server.engine.connections[0]?.retry).toBeNull();
    expect(server.counters).toMatchObject({ tokensIgnored: 1, connectionsAccepted: 1 });
  });
});

test("a token that does not end inside its datagram makes no connection", () => {
  const server = new FakeServer();
  const whole = initialWith(new Uint8Array(8).fill(3), new Uint8Array(0));
  for (const length of [
    [0x45, 0x00],
    [0x7f, 0xff],
    [0x84, 0, 0, 0],
    [0xff, 255, 255, 255, 255, 255, 255, 255],
  ]) {
    const datagram = whole.slice();
    datagram.set(length, 15);
    arrive(server, datagram);
  }
  const cut = new Uint8Array(1200);
  cut.set([0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 20]);
  arrive(server, cut);
  expect(server.counters).toMatchObject({ datagramsMalformed: 4, connectionsAccepted: 1 });
});
