import { describe, expect, test } from "bun:test";
import { Counters } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Loop, type LoopHost } from "../../../src/quic/loop.ts";
import { FakeServer, initial, short } from "../../support/fake-server.ts";

/** A runtime that does nothing by itself. */
class FakeHost implements LoopHost {
  timeMs = 1000;
  /** Turns asked for and not yet given. */
  requested = 0;
  readonly timers: number[] = [];
  readonly armed: boolean[] = [];

  nowMs(): number {
    return this.timeMs;
  }

  requestTurn(): void {
    this.requested += 1;
  }

  wakeAt(deadlineMs: number): void {
    this.timers.push(deadlineMs);
  }

  armWaker(alsoWritable: boolean): void {
    this.armed.push(alsoWritable);
  }
}

interface World {
  readonly host: FakeHost;
  readonly loop: Loop;
  readonly server: FakeServer;
  readonly counters: Counters;
  /** Gives the turns that were asked for, one at a time; fails when they never end. */
  run(): number;
}

function makeWorld(): World {
  const host = new FakeHost();
  const counters = new Counters();
  const loop = new Loop(host, counters);
  const server = new FakeServer({ requestTurn: () => loop.requestTurn() });
  loop.add(server.endpoint);
  loop.start();
  const run = (): number => {
    let turns = 0;
    for (; host.requested > 0; turns++) {
      if (turns === 1000) throw new RangeError("the loop does not come to rest");
      host.requested -= 1;
      loop.turn();
    }
    return turns;
  };
  return { host, loop, server, counters, run };
}

describe("the loop", () => {
  test("begins with a turn that arms the waker, and then rests", () => {
    const { host, run, counters } = makeWorld();
    expect(run()).toBe(1);
    expect(host.armed).toEqual([false]);
    expect(host.timers).toEqual([]);
    expect(counters.turns).toBe(1);
  });

  test("works through more datagrams than one turn takes, turn by turn, then sleeps", () => {
    const { host, run, server, loop } = makeWorld();
    run();
    for (let i = 0; i < 3 * LIMITS.datagramsPerTurnMax; i++) server.socket.arrive(Uint8Array.from([0]));
    loop.onWake();
    expect(server.counters.datagramsMalformed).toBe(LIMITS.datagramsPerTurnMax);
    expect(run()).toBe(3);
    expect(server.counters.datagramsMalformed).toBe(3 * LIMITS.datagramsPerTurnMax);
    expect(host.armed).toEqual([false, false]);
  });

  test("arms a waker that has not fired only once", () => {
    const { host, run, loop } = makeWorld();
    run();
    loop.requestTurn();
    run();
    loop.onTimer();
    expect(host.armed).toEqual([false]);
    loop.onWake();
    expect(host.armed).toEqual([false, false]);
  });

  test("waits for a full kernel to take something, and goes on then", () => {
    const { host, run, server, loop } = makeWorld();
    run();
    const { connection, engine } = server.connect();
    run();
    server.socket.sent.length = 0;
    host.armed.length = 0;
    server.socket.full = true;
    engine.packets = 1;
    connection.wake();
    run();
    expect(host.armed).toEqual([true]);
    server.socket.full = false;
    loop.onWake();
    expect(server.socket.sent.length).toBe(1);
    expect(host.armed).toEqual([true, false]);
  });

  test("does not spin while the kernel is full, whatever else is to be done", () => {
    const { host, run, server } = makeWorld();
    run();
    const { connection, engine } = server.connect();
    run();
    server.socket.full = true;
    server.socket.batchMax = 1;
    engine.packets = 500;
    connection.wake();
    host.armed.length = 0;
    expect(run()).toBe(1);
    expect(host.armed).toEqual([true]);
  });

  test("gives a connection with more than its share turn after turn", () => {
    const { run, server } = makeWorld();
    run();
    const { connection, engine } = server.connect();
    run();
    server.socket.sent.length = 0;
    engine.packets = 3 * LIMITS.packetsPerConnectionTurnMax;
    connection.wake();
    expect(run()).toBeGreaterThanOrEqual(3);
    expect(server.socket.sent.length).toBe(3 * LIMITS.packetsPerConnectionTurnMax);
  });

  test("serves all its endpoints in a turn", () => {
    const { run, server, loop } = makeWorld();
    const other = new FakeServer();
    loop.add(other.endpoint);
    run();
    server.socket.arrive(initial(1));
    other.socket.arrive(initial(1));
    loop.onWake();
    expect([server.endpoint.connectionCount, other.endpoint.connectionCount]).toEqual([1, 1]);
  });

  test("is quiet after it was stopped", () => {
    const { host, loop, server, counters, run } = makeWorld();
    run();
    loop.requestTurn();
    loop.stop();
    const { turns } = counters;
    run();
    loop.onWake();
    loop.onTimer();
    loop.requestTurn();
    server.socket.arrive(initial(1));
    expect(counters.turns).toBe(turns);
    expect(host.requested).toBe(0);
    expect(host.armed.length).toBe(1);
  });
});

describe("a turn", () => {
  test("is asked for once, however often it is wanted", () => {
    const { host, loop, run } = makeWorld();
    run();
    for (let i = 0; i < 5; i++) loop.requestTurn();
    expect(host.requested).toBe(1);
  });

  test("that is due already is not asked for again by a waker or a timer that comes before it", () => {
    const { host, loop, server, run } = makeWorld();
    run();
    const many = 20 * LIMITS.datagramsPerTurnMax;
    for (let i = 0; i < many; i++) server.socket.arrive(Uint8Array.from([0]));
    loop.requestTurn();
    expect(host.requested).toBe(1);
    // Each of these turns leaves work behind; one turn to come is enough for all of it.
    for (let i = 0; i < 5; i++) {
      loop.onWake();
      loop.onTimer();
      expect(host.requested).toBe(1);
    }
  });
});

describe("the timer", () => {
  test("is set to the first deadline, and moved only when that is too late", () => {
    const { host, server, run } = makeWorld();
    run();
    const { connection, engine } = server.connect();
    run();
    engine.timeoutInMs = 500;
    server.nowMs = host.timeMs;
    const wake = (timeoutInMs: number): void => {
      engine.timeoutInMs = timeoutInMs;
      connection.wake();
      run();
    };
    wake(500);
    expect(host.timers.length).toBe(1);
    expect(host.timers[0]).toBeLessThanOrEqual(host.timeMs + 500);
    wake(600);
    wake(700);
    expect(host.timers.length).toBe(1);
    wake(100);
    expect(host.timers.length).toBe(2);
    expect(host.timers[1]).toBeLessThanOrEqual(host.timeMs + 100);
  });

  test("that fires early is set anew, and the deadline is kept", () => {
    const { host, loop, server, run } = makeWorld();
    run();
    const { engine } = server.connect();
    engine.timeoutInMs = 100;
    server.socket.arrive(short(engine.scid));
    loop.onWake();
    run();
    host.timers.length = 0;
    loop.onTimer();
    run();
    expect(host.timers.length).toBe(1);
    engine.timeoutInMs = -1;
    host.timeMs += 100;
    loop.onTimer();
    run();
    expect(engine.timeouts).toBe(1);
  });

  test("is not needed when nothing has a deadline", () => {
    const { host, server, run } = makeWorld();
    run();
    server.connect();
    run();
    expect(host.timers).toEqual([]);
  });
});
