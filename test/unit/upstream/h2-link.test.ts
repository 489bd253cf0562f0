/** One HTTP/2 connection between the state machine and its socket. */
import { expect, test } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { Counters } from "../../../src/core/counters.ts";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { FRAME, SETTING } from "../../../src/h2/codes.ts";
import { H2Link, type H2LinkOwner } from "../../../src/upstream/native/h2-link.ts";
import { H2Network, turnEnds } from "../../support/h2-network.ts";
import { frame, GET, NotedStream, words } from "../../support/h2-peer.ts";
import { sectionOf } from "../../support/sections.ts";

/** Who keeps the link, and hears nothing. */
class Owner implements H2LinkOwner {
  readonly counters = new Counters();
  readonly writer = new FieldWriter();
  readonly where = "backend:8443";
  nowMs = (): number => 0;
  onRoom(): void {}
  onClosing(): void {}
  onGone(): void {}
  onOtherProtocol(): void {}
}

test("the memory of a burst is given back as time goes by", async () => {
  const streams = new H2Network();
  const target = { host: "127.0.0.1", port: 8443, tls: null, connectTimeoutMs: 5000 };
  const link = new H2Link(streams.connect, target, new Owner(), LIMITS.h2ConnectionAgeMsMax);
  streams.at(0).open().settle([SETTING.initialWindowSize, 1_000_000]);
  streams.at(0).say(frame(FRAME.windowUpdate, 0, 0, words(1_000_000)));
  const { connection } = link;
  const { capacityBytes } = connection.output;
  const stream = must(connection.open(sectionOf(GET), true, new NotedStream(), 0), "a stream is free");
  connection.send(stream, new Uint8Array(200_000), 0, 200_000, true);
  link.wake();
  await turnEnds();
  expect([connection.output.length, connection.output.capacityBytes]).toEqual([0, 262_144]);
  for (let i = 0; i < 20; i++) link.onTime(0);
  expect(connection.output.capacityBytes).toBe(capacityBytes);
});

test("what a full socket does not take is written when it has room", async () => {
  const streams = new H2Network();
  const target = { host: "127.0.0.1", port: 8443, tls: null, connectTimeoutMs: 5000 };
  const link = new H2Link(streams.connect, target, new Owner(), LIMITS.h2ConnectionAgeMsMax);
  const stream = streams.at(0).open();
  await turnEnds();
  stream.take();
  stream.roomBytes = 10;
  must(link.connection.open(sectionOf(GET), false, new NotedStream(), 0), "a stream is free");
  link.wake();
  await turnEnds();
  const begin = stream.take();
  expect(begin.length).toBe(10);
  stream.roomBytes = Infinity;
  stream.drain();
  const rest = stream.take();
  expect(new DataView(begin.buffer).getUint32(0) >>> 8).toBe(begin.length + rest.length - 9);
});
