/** Packets to ids of ours that nobody has: which are answered with a stateless reset, with which token, and how many. */
import { expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { IdCodec } from "../../../src/quic/cid.ts";
import { FakeServer, short } from "../../support/fake-server.ts";

/** A server with an id that it has given out and taken back. */
function withGoneConnection(): { readonly server: FakeServer; readonly id: Uint8Array } {
  const server = new FakeServer();
  const { engine } = server.connect();
  engine.closed = true;
  server.socket.arrive(short(engine.scid));
  server.turn();
  expect(server.endpoint.connectionCount).toBe(0);
  return { server, id: engine.scid };
}

test("a client whose connection is gone is told so with the token that belongs to its id", () => {
  const { server, id } = withGoneConnection();
  server.socket.arrive(short(id, 100));
  server.turn();
  const [reset, ...others] = server.engine.answers;
  expect(others).toEqual([]);
  expect(reset?.subarray(-16)).toEqual(id.slice(0, 16));
  expect((reset?.[0] ?? 0) & 0xc0).toBe(0x40);
  expect(server.counters).toMatchObject({ resetsSent: 1, datagramsUnknownId: 1 });
});

test("each answer is smaller than what it answers, and packets below 22 bytes get none, so that two ends cannot go on for ever", () => {
  const { server, id } = withGoneConnection();
  for (let size = 19; size <= 80; size++) {
    const before = server.engine.answers.length;
    server.socket.arrive(short(id, size));
    server.turn();
    const answers = server.engine.answers.slice(before).map(({ length }) => length);
    expect(answers.filter((length) => length >= size || length < 21)).toEqual([]);
    expect(answers.length).toBe(size < 22 ? 0 : 1);
  }
  expect(server.counters.resetsTooShort).toBe(3);
});

test("an id of another worker of the node is answered, one of another node or of nobody is not", () => {
  const { server, id } = withGoneConnection();
  const neighbours = id.with(0, (id[0] ?? 0) ^ 1).with(1, (id[1] ?? 0) ^ 1);
  server.socket.arrive(short(neighbours, 60));
  server.turn();
  expect(server.engine.answers.length).toBe(1);
  server.socket.arrive(short(id.with(1, (id[1] ?? 0) ^ 0x20), 60));
  server.socket.arrive(short(new Uint8Array(18).fill(9), 60));
  server.socket.arrive(short(id, 60).subarray(0, 12));
  server.turn();
  expect(server.engine.answers.length).toBe(1);
  expect(server.counters.datagramsUnknownId).toBe(4);
});

test("an id of an older key is answered with the token of that key", () => {
  const older = { slot: 3, rotation: 2, checkByte: 0x77, mask: 5 };
  const scheme = new IdCodec(older, (bytes) => void bytes.fill(4));
  const server = new FakeServer({ olderIds: [{ scheme, resetTokenOf: () => new Uint8Array(16).fill(0xee) }] });
  server.socket.arrive(short(scheme.mint(5), 60));
  // One that no table of ours had room for, and one of a key that nobody has any more.
  server.socket.arrive(short(scheme.mint(1000), 60));
  server.socket.arrive(short(new IdCodec({ ...older, rotation: 1 }, () => undefined).mint(5), 60));
  server.turn();
  expect(server.engine.answers.map((reset) => reset.subarray(-16))).toEqual([new Uint8Array(16).fill(0xee)]);
  expect(server.counters).toMatchObject({ resetsSent: 1, datagramsUnknownId: 3 });
});

test("long headers are never answered with a reset", () => {
  const { server, id } = withGoneConnection();
  for (const first of [0xd0, 0xe0, 0xf0]) {
    const datagram = new Uint8Array(1200);
    datagram.set([first, 0, 0, 0, 1, id.length, ...id, 0]);
    server.socket.arrive(datagram);
  }
  server.turn();
  expect(server.engine.answers).toEqual([]);
});

test("there is a rate, and what is over it is counted", () => {
  const { server, id } = withGoneConnection();
  for (let i = 0; i < LIMITS.resetsAtOnceMax + 7; i++) server.socket.arrive(short(id, 60));
  while (server.socket.waiting > 0) server.turn();
  expect(server.counters).toMatchObject({ resetsSent: LIMITS.resetsAtOnceMax, resetsWithheld: 7 });
});
