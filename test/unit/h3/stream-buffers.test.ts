/** What a response's stream holds while its client takes nothing is on the connection's account, for exactly that long. */
import { expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { BufferAccount } from "../../../src/guard/buffer-account.ts";
import { RequestStream } from "../../../src/h3/stream.ts";
import type { StreamHost } from "../../../src/h3/stream-host.ts";
import { FakeSession, type FakeStream } from "../../support/fake-engine.ts";
import { flatOf } from "../../support/sections.ts";

const ID = 0;

class World implements StreamHost {
  readonly engine = new FakeSession();
  readonly buffers = new BufferAccount(1 << 30);
  readonly stream = new RequestStream(this, ID, { hasBody: false, expectedBytes: -1 });

  get client(): FakeStream {
    return this.engine.stream(ID);
  }

  head(): void {
    this.stream.sendHead(flatOf([[":status", "200"]]), false);
  }

  wake(): void {}
  received(): void {}
  delivered(): void {}
  aborted(): void {}

  again(): void {}
  block(): void {}
  answered(): void {}
  forget(): void {}
}

test("a stream that is given more than it may hold is reset, and holds nothing", () => {
  const world = new World();
  world.client.room = 0;
  world.head();
  const aborts: string[] = [];
  const owner = { onRoom: () => undefined, onSent: () => undefined };
  world.stream.owner = { ...owner, onAborted: (reason) => void aborts.push(reason) };
  world.stream.sendBody(new Uint8Array(LIMITS.streamBufferBytesMax));
  expect([aborts, world.buffers.bytes]).toEqual([[], LIMITS.streamBufferBytesMax]);
  expect(world.stream.sendBody(new Uint8Array(1))).toBe(false);
  expect([aborts, world.buffers.bytes, world.client.resets]).toEqual([["overfull"], 0, [0x102]]);
});

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

test("output that waits is on the connection's account until it is taken, dropped or abandoned", () => {
  const world = new World();
  world.client.room = 4;
  world.head();
  world.stream.sendBody(bytes("123456"));
  world.stream.sendBody(bytes("789"));
  expect(world.buffers.bytes).toBe(5);
  world.client.room = 3;
  world.stream.retryOutput();
  expect(world.buffers.bytes).toBe(2);
  world.client.room = 2;
  world.stream.retryOutput();
  expect(world.buffers.bytes).toBe(0);
  world.client.sectionsPass = false;
  world.stream.sendTrailers(flatOf([["x-sum", "1"]]));
  expect(world.buffers.bytes).toBe(flatOf([["x-sum", "1"]]).length);
  world.stream.reset(0x102);
  expect([world.buffers.bytes, world.buffers.highestBytes]).toEqual([0, flatOf([["x-sum", "1"]]).length]);
});

test("output that waited leaves nothing on the account when the end goes out with the last of what waited", () => {
  const world = new World();
  world.client.room = 0;
  world.head();
  world.stream.sendBody(bytes("123"), true);
  expect(world.buffers.bytes).toBe(3);
  world.client.room = 100;
  world.stream.retryOutput();
  expect([world.buffers.bytes, world.client.ended]).toEqual([0, true]);
});
