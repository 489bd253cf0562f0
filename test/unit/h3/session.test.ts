/** One HTTP/3 session on the fake engine: requests come and go in any order, and it ends without cutting anything off. */
import { describe, expect, test } from "bun:test";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { BufferAccount } from "../../../src/guard/buffer-account.ts";
import type { Malformed, RequestHead } from "../../../src/h3/head.ts";
import { Http3Session } from "../../../src/h3/session.ts";
import type { RequestHandler, SessionHost } from "../../../src/h3/session-host.ts";
import type { RequestStream } from "../../../src/h3/stream.ts";
import { EVENT } from "../../../src/quic/engine.ts";
import { FakeSession } from "../../support/fake-engine.ts";
import { STANDARD } from "../../support/settings.ts";
import { type Field, flatOf } from "../../support/sections.ts";

const GET: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "example.com"],
  [":path", "/"],
];
const POST: readonly Field[] = [[":method", "POST"], ...GET.slice(1)];
const HEADER_BYTES_MAX = 1000;
const RULES = {
  ...STANDARD.connections,
  ...STANDARD.timeouts,
  headerBytesMax: HEADER_BYTES_MAX,
  headerCountMax: 12,
  uriBytesMax: 100,
};

class World implements SessionHost, RequestHandler {
  readonly counters = new Counters();
  nowMs = 0;
  readonly engine = new FakeSession();
  readonly buffers = new BufferAccount(1_000_000);
  readonly session = new Http3Session(this.engine, this, this, RULES);
  readonly streams: RequestStream[] = [];
  readonly heads: RequestHead[] = [];
  readonly malformed: string[] = [];
  readonly heard: string[] = [];
  readonly closes: number[] = [];
  wakes = 0;
  agains = 0;
  /** What is done with a request; by default nothing, so that it stays open. */
  onNew: (stream: RequestStream) => void = () => undefined;

  onRequest(stream: RequestStream, head: RequestHead): void {
    this.heads.push(head);
    this.#take(stream);
  }

  onMalformed(stream: RequestStream, malformed: Malformed): void {
    this.malformed.push(`${stream.id} ${malformed.reason}`);
    this.#take(stream);
  }

  wake(): void {
    this.wakes += 1;
  }

  again(): void {
    this.agains += 1;
  }

  close(code: number): void {
    this.closes.push(code);
  }

  /** A request, handled. */
  request(id: number, more: boolean = false, fields: readonly Field[] | null = more ? POST : GET): RequestStream {
    this.engine.emitFields(id, fields, more);
    this.session.process();
    const stream = this.streams.find((known) => known.id === id);
    if (stream === undefined) throw new RangeError(`stream ${id} began no request`);
    return stream;
  }

  #take(stream: RequestStream): void {
    this.streams.push(stream);
    stream.owner = {
      onRoom: () => void this.heard.push(`${stream.id} room`),
      onSent: () => void this.heard.push(`${stream.id} sent`),
      onAborted: (reason) => void this.heard.push(`${stream.id} ${reason}`),
    };
    this.onNew(stream);
  }
}

function answer(stream: RequestStream, fin: boolean = true): void {
  stream.sendHead(flatOf([[":status", "200"]]), fin);
}

describe("a request", () => {
  test("begins with its head, as its own copy", () => {
    const world = new World();
    const stream = world.request(0);
    world.engine.poll();
    expect(world.heads[0]).toMatchObject({ method: "GET", authority: "example.com", path: "/" });
    expect(world.heads[0]?.fields.value(3)).toBe("/");
    expect(stream.state).toBe("ended");
    expect(world.session.openStreams).toBe(1);
    expect(world.counters.requestsStarted).toBe(1);
  });

  test("with more to come has a body", () => {
    const world = new World();
    const stream = world.request(0, true);
    expect(stream.state).toBe("open");
    world.engine.emitBody(0, "abc");
    world.engine.emitEnd(0);
    world.session.process();
    expect(stream.pull()?.length).toBe(3);
    expect(stream.state).toBe("ended");
  });

  test("may come before one that began earlier: stream 8 before 4", () => {
    const world = new World();
    for (const id of [8, 4, 0]) world.request(id);
    expect(world.streams.map(({ id }) => id)).toEqual([8, 4, 0]);
    for (const stream of world.streams) answer(stream);
    expect(world.session.openStreams).toBe(0);
    expect(world.heard).toEqual(["8 sent", "4 sent", "0 sent"]);
  });

  test("whose head breaks a rule is told as such", () => {
    const world = new World();
    world.request(0, false, GET.slice(1));
    expect(world.malformed).toEqual(["0 method-missing"]);
    expect(world.heads).toEqual([]);
  });

  test("whose head is larger than allowed is told as such, counted as RFC 9114 4.2.2 counts", () => {
    const base = GET.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    const filled = (bytes: number): Field[] => [...GET, ["x", "v".repeat(bytes - base - 33)]];
    const world = new World();
    world.request(0, false, filled(HEADER_BYTES_MAX));
    world.request(4, false, filled(HEADER_BYTES_MAX + 1));
    world.request(8, false, null);
    expect(world.heads.length).toBe(1);
    expect(world.malformed).toEqual(["4 section-too-large", "8 section-too-large"]);
  });

  test("with more fields than allowed, or a longer path, is told as such", () => {
    const world = new World();
    const fields = (count: number): Field[] => [...GET, ...Array.from({ length: count - 4 }, (): Field => ["x", ""])];
    const path = (bytes: number): Field[] => [...GET.slice(0, 3), [":path", `/${"p".repeat(bytes - 1)}`]];
    world.request(0, false, fields(12));
    world.request(4, false, fields(13));
    world.request(8, false, path(100));
    world.request(12, false, path(101));
    expect(world.heads.length).toBe(2);
    expect(world.malformed).toEqual(["4 too-many-fields", "12 uri-too-long"]);
  });

  test("that ends with its head and promises a body is malformed (RFC 9114 4.1.2)", () => {
    const world = new World();
    world.request(0, false, [...POST, ["content-length", "5"]]);
    expect(world.malformed).toEqual(["0 body-length"]);
    world.request(4, false, [...POST, ["content-length", "0"]]);
    expect(world.heads.length).toBe(1);
  });

  test("whose body differs from its content-length is reset with H3_MESSAGE_ERROR", () => {
    const world = new World();
    const stream = world.request(0, true, [...POST, ["content-length", "5"]]);
    world.engine.emitBody(0, "abc");
    world.engine.emitEnd(0);
    world.session.process();
    stream.pull();
    expect(world.engine.stream(0).resets).toEqual([0x10e]);
    expect(world.heard).toEqual(["0 malformed"]);
    expect(world.session.openStreams).toBe(0);
  });
});

describe("trailers", () => {
  test("are read over", () => {
    const world = new World();
    const stream = world.request(0, true);
    world.engine.emitBody(0, "abc");
    world.engine.emitFields(0, [["x-sum", "1"]], false);
    world.engine.emitEnd(0);
    world.session.process();
    expect(stream.pull()?.length).toBe(3);
    expect(stream.state).toBe("ended");
    expect(world.streams.length).toBe(1);
    expect(world.counters.requestsStarted).toBe(1);
  });

  test("with what may not stand in them end the request with H3_MESSAGE_ERROR", () => {
    const cases = [
      ["pseudo-in-trailers", [[":path", "/"]]],
      ["trailer-forbidden", [["content-length", "3"]]],
      ["section-too-large", null],
    ] as const;
    for (const [reason, trailers] of cases) {
      const world = new World();
      const stream = world.request(0, true);
      world.engine.emitFields(0, trailers, false);
      world.session.process();
      expect(world.engine.stream(0).resets).toEqual([0x10e]);
      expect(world.heard).toEqual(["0 malformed"]);
      expect(stream.fault).toBe(reason);
    }
  });

  test("have no body behind them", () => {
    const world = new World();
    const stream = world.request(0, true);
    world.engine.emitFields(0, [["x-sum", "1"]], true);
    world.session.process();
    expect(world.heard).toEqual([]);
    world.engine.emitBody(0, "abc");
    world.session.process();
    expect(world.engine.stream(0).resets).toEqual([0x10e]);
    expect(stream.fault).toBe("body-after-trailers");
  });
});

describe("events", () => {
  test("reach the stream that they belong to", () => {
    const world = new World();
    const [first, second] = [world.request(0, true), world.request(4, true)];
    world.engine.emitBody(4, "for the second");
    world.engine.emitReset(0);
    world.session.process();
    expect(first.state).toBe("broken");
    expect(second.pull()?.length).toBe(14);
    expect(world.heard).toEqual(["0 reset"]);
  });

  test("of streams that are over, and of no interest, change nothing", () => {
    const world = new World();
    answer(world.request(0, true));
    world.engine.emitBody(0, "late");
    world.engine.emitEnd(0);
    world.engine.emitReset(0);
    world.engine.emit(EVENT.goaway, 0);
    world.engine.emit(EVENT.other, 2);
    world.session.process();
    expect(world.heard).toEqual(["0 sent"]);
    expect(world.streams.length).toBe(1);
  });

  test("that end a stream before its request end our side of it too, once, and no other stream's", () => {
    const world = new World();
    const open = world.request(8);
    answer(world.request(4, true));
    for (const id of [0, 0, 8, 4]) world.engine.emitReset(id);
    world.engine.emitEnd(12);
    world.session.process();
    const resets = [0, 4, 8, 12].map((id) => world.engine.stream(id).resets);
    expect(resets).toEqual([[0x10c], [], [0x10c], [0x10d]]);
    expect(open.sent).toBe(false);
    expect(world.counters.requestsStarted).toBe(2);
    expect(world.wakes).toBeGreaterThan(0);
  });

  test("of one turn are bounded; the rest comes in another turn, which is asked for", () => {
    const world = new World();
    const max = LIMITS.eventsPerConnectionTurnMax;
    for (let i = 0; i < max + 10; i++) world.engine.emitFields(4 * i, GET, false);
    world.session.process();
    expect(world.streams.length).toBe(max);
    expect(world.agains).toBe(1);
    world.session.process();
    expect(world.streams.length).toBe(max + 10);
    expect(world.agains).toBe(1);
  });

  test("that were come upon while a body was read are asked for in another turn", () => {
    const world = new World();
    const stream = world.request(0, true);
    world.engine.emitBody(0, "abc");
    world.session.process();
    world.engine.hasPending = true;
    stream.pull();
    expect(world.agains).toBe(1);
  });

  test("end with a failure of the connection, which is flushed", () => {
    const world = new World();
    world.engine.emit(EVENT.failed, 0);
    world.engine.emitFields(0, GET, false);
    world.session.process();
    expect(world.streams).toEqual([]);
    expect(world.wakes).toBe(1);
  });
});

describe("a session awaits an answer", () => {
  test("while requests are open and no response has begun", () => {
    const world = new World();
    expect(world.session.awaitsAnswer).toBe(false);
    const [first, second] = [world.request(0), world.request(4)];
    expect(world.session.awaitsAnswer).toBe(true);
    answer(first, false);
    // Now there is something to send that must not wait for the second.
    expect(world.session.awaitsAnswer).toBe(false);
    first.end();
    expect(world.session.awaitsAnswer).toBe(true);
    answer(second);
    expect(world.session.awaitsAnswer).toBe(false);
  });

  test("no longer when the request went away, however it did", () => {
    for (const reason of ["reset", "stopped", "malformed"] as const) {
      const world = new World();
      const stream = world.request(0, true);
      stream.onAborted(reason);
      expect(world.session.awaitsAnswer).toBe(false);
      const next = world.request(4);
      expect(world.session.awaitsAnswer).toBe(true);
      next.reset(0x102);
      expect(world.session.awaitsAnswer).toBe(false);
    }
  });

  test("not when the response only waits for room", () => {
    const world = new World();
    const stream = world.request(0);
    world.engine.stream(0).sectionsPass = false;
    answer(stream, false);
    expect(world.session.awaitsAnswer).toBe(false);
  });
});

describe("blocked output", () => {
  test("goes on whenever the connection works, and the writer hears of room", () => {
    const world = new World();
    const stream = world.request(0);
    const client = world.engine.stream(0);
    client.room = 2;
    answer(stream, false);
    expect(stream.sendBody(new Uint8Array(5))).toBe(false);
    world.session.process();
    expect(client.body.length).toBe(2);
    client.room = 2;
    world.session.process();
    expect(client.body.length).toBe(4);
    expect(world.heard).toEqual([]);
    client.room = 2;
    world.session.process();
    expect(world.heard).toEqual(["0 room"]);
    world.session.process();
    expect(world.heard).toEqual(["0 room"]);
  });

  test("of several streams takes turns, so that one cannot have every window", () => {
    const world = new World();
    const streams = [0, 4, 8].map((id) => world.request(id));
    const budget = { room: 0 };
    for (const stream of streams) {
      // One window for the whole connection: whoever is asked first takes it.
      Object.defineProperty(world.engine.stream(stream.id), "room", {
        get: () => budget.room,
        set: (room: number) => void (budget.room = room),
      });
      answer(stream, false);
      stream.sendBody(new Uint8Array(10));
    }
    for (let turn = 0; turn < 6; turn++) {
      budget.room = 3;
      world.session.process();
    }
    expect(streams.map((stream) => world.engine.stream(stream.id).body.length)).toEqual([6, 6, 6]);
  });

  test("of a stream that was given up is not tried again", () => {
    const world = new World();
    const stream = world.request(0);
    world.engine.stream(0).room = 0;
    answer(stream, false);
    stream.sendBody(new Uint8Array(5));
    stream.reset(0x102);
    world.engine.stream(0).room = 10;
    world.session.process();
    expect(world.heard).toEqual([]);
  });
});

describe("a client that gives up without an event", () => {
  test("by STOP_SENDING is found out the next time the connection works", () => {
    const world = new World();
    world.request(0);
    const kept = world.request(4);
    world.engine.stream(0).stopped = true;
    world.session.process();
    expect(world.heard).toEqual(["0 stopped"]);
    expect(world.session.openStreams).toBe(1);
    answer(kept);
  });

  test("by STOP_SENDING before the engine read its request, so that the engine keeps nothing of it, is found out too", () => {
    const world = new World();
    world.engine.stream(0).stopped = true;
    world.onNew = (stream) => {
      world.engine.stream(stream.id).gone = true;
      world.engine.stream(stream.id).stopped = false;
      world.engine.stream(4).stopped = true;
    };
    world.request(0);
    expect(world.heard).toEqual(["0 stopped"]);
    expect(world.session.openStreams).toBe(0);
  });

  test("by a reset behind unread bytes is found out as well", () => {
    const world = new World();
    world.request(0, true);
    world.engine.emitBody(0, "unread");
    world.session.process();
    world.engine.stream(0).inputReset = true;
    world.session.process();
    expect(world.heard).toEqual(["0 reset"]);
  });

  test("on every stream at once is found out in one turn", () => {
    const world = new World();
    for (let i = 0; i < 100; i++) world.request(4 * i);
    for (let i = 0; i < 100; i++) world.engine.stream(4 * i).stopped = true;
    world.session.process();
    expect(world.heard.length).toBe(100);
    expect(world.session.openStreams).toBe(0);
    expect(world.session.awaitsAnswer).toBe(false);
  });
});

describe("the end of the connection", () => {
  test("is told to every open request, without touching the engine", () => {
    const world = new World();
    for (const id of [0, 4, 8]) world.request(id, true);
    world.session.leave(0);
    world.engine.freed = true;
    world.session.abandon();
    world.session.abandon();
    expect(world.heard).toEqual(["0 closed", "4 closed", "8 closed"]);
    expect(world.session.openStreams).toBe(0);
    expect(world.closes).toEqual([]);
    for (const stream of world.streams) {
      stream.stop();
      stream.reset(0x102);
      expect(stream.pull()).toBeNull();
    }
  });
});
