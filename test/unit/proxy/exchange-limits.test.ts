/** What one exchange may cost: the size of its body, its time, and its place among all others. */
import { describe, expect, test } from "bun:test";
import { Availability } from "../../../src/balance/availability.ts";
import { InFlight } from "../../../src/core/in-flight.ts";
import { FakeExchange, type FakeExchangeOptions } from "../../support/fake-exchange.ts";
import type { Field } from "../../support/sections.ts";

/** How many places of each kind are taken. */
function placesOf(world: FakeExchange): readonly number[] {
  const { inFlight, availability, pool } = world;
  return [inFlight.count, pool.inFlight.count, availability.inFlight(0) + availability.inFlight(1)];
}

function answer(world: FakeExchange): void {
  world.call.head(200);
  world.call.end();
}

describe("a request body", () => {
  const POST: FakeExchangeOptions = { method: "POST", hasBody: true, bodyBytesMax: 5 };

  test("announced as larger than allowed is 413 before any backend hears of it", () => {
    const world = new FakeExchange({ ...POST, fields: [["content-length", "6"]] });
    expect(world.upstream.calls).toEqual([]);
    expect(world.client).toMatchObject({ status: "413", text: "413 Content Too Large\n", ended: true, stops: [0x100] });
    expect(world.outcome.error?.code).toBe("REQUEST_BODY_TOO_LARGE");
    expect(world.counters.requestsBodyTooLarge).toBe(1);
    expect(placesOf(world)).toEqual([0, 0, 0]);
  });

  test("announced as large as allowed passes", () => {
    const world = new FakeExchange({ ...POST, fields: [["content-length", "5"]] });
    world.sendBody("12345");
    expect(world.call.request.body?.pull()?.length).toBe(5);
    world.sendEnd();
    answer(world);
    expect(world.outcome).toMatchObject({ status: 200, error: null });
  });

  test("of unknown length passes as long as it is no larger", () => {
    const world = new FakeExchange(POST);
    const { body } = world.call.request;
    let readable = 0;
    if (body !== null) body.onReadable = () => void (readable += 1);
    world.sendBody("123");
    world.sendBody("45");
    expect([readable, body?.pull()?.length, body?.pull()?.length, body?.state]).toEqual([2, 3, 2, "open"]);
    world.sendEnd();
    expect(body?.state).toBe("ended");
    answer(world);
    expect(world.outcome).toMatchObject({ status: 200, error: null });
  });

  test("that grows larger is 413: the attempt is cancelled and the piece goes to nobody", () => {
    const world = new FakeExchange(POST);
    const { body } = world.call.request;
    world.sendBody("12345");
    expect(body?.pull()?.length).toBe(5);
    world.sendBody("6");
    expect(body?.pull()).toBeNull();
    expect(world.call.state).toBe("cancelled");
    expect([body?.state, body?.pull()]).toEqual(["broken", null]);
    expect(world.client).toMatchObject({ status: "413", ended: true, stops: [0x100] });
    expect(world.outcome).toMatchObject({ status: 413, bytesIn: 6 });
    expect(world.counters.requestsBodyTooLarge).toBe(1);
    expect(placesOf(world)).toEqual([0, 0, 0]);
  });

  test("that is found too large while the attempt begins is the same", () => {
    const world = new FakeExchange({
      ...POST,
      onStart: (call, { client, stream }) => {
        client.sectionsPass = false;
        stream.onData();
        call.request.body?.pull();
      },
      setUp: ({ engine }) => engine.emitBody(0, "123456"),
    });
    expect(world.call.state).toBe("cancelled");
    expect(world.client.sections).toEqual([]);
    world.client.sectionsPass = true;
    world.process();
    expect(world.client.status).toBe("413");
    expect(placesOf(world)).toEqual([0, 0, 0]);
  });

  test("that grows larger after the response has begun resets the stream", () => {
    const world = new FakeExchange(POST);
    world.call.head(200);
    world.sendBody("123456");
    expect(world.call.request.body?.pull()).toBeNull();
    expect(world.call.state).toBe("cancelled");
    expect(world.client.resets).toEqual([0x102]);
    expect(world.outcome.error?.code).toBe("REQUEST_BODY_TOO_LARGE");
  });
});

describe("requests under way", () => {
  test("count in the process, in their pool and at their backend until they are over", () => {
    const world = new FakeExchange();
    expect(placesOf(world)).toEqual([1, 1, 1]);
    world.call.head(200);
    expect(placesOf(world)).toEqual([1, 1, 1]);
    world.call.end();
    expect(placesOf(world)).toEqual([0, 0, 0]);
  });

  test("leave their backend when it is done, and the rest when the client has taken the answer", () => {
    const world = new FakeExchange();
    world.client.room = 0;
    world.call.head(200);
    world.call.body("x");
    world.call.end();
    expect(placesOf(world)).toEqual([1, 1, 0]);
    world.client.room = Infinity;
    world.process();
    expect(placesOf(world)).toEqual([0, 0, 0]);
  });

  test("above the process's maximum are answered 503 with Retry-After, and counted", () => {
    const inFlight = new InFlight(1);
    inFlight.take();
    const world = new FakeExchange({ inFlight });
    expect(world.upstream.calls).toEqual([]);
    expect(world.client.status).toBe("503");
    expect(world.client.fields["retry-after"]).toBe("1");
    expect(world.outcome.error?.code).toBe("OVERLOADED");
    expect([...world.counters.requestsShed.entries()]).toEqual([["process", 1]]);
    expect(inFlight.count).toBe(1);
  });

  test("above the pool's maximum are too", () => {
    const world = new FakeExchange({ poolInFlight: { taken: 3, max: 3 } });
    expect(world.client.status).toBe("503");
    expect([...world.counters.requestsShed.entries()]).toEqual([["pool", 1]]);
    expect(placesOf(world)).toEqual([0, 3, 0]);
  });

  test("of a client that takes too little, or when all clients together do, are answered 503", () => {
    for (const [bytes, cause] of [
      [1_000_000, "connection-buffers"],
      [2_000_000, "buffers"],
    ] as const) {
      const world = new FakeExchange({
        setUp: ({ buffers }) => (cause === "buffers" ? buffers.whole : buffers)?.add(bytes),
      });
      expect(world.client.status).toBe("503");
      expect(world.outcome.error?.code).toBe("OVERLOADED");
      expect([...world.counters.requestsShed.entries()]).toEqual([[cause, 1]]);
    }
  });

  test("pass over a backend that has as many as it may, whatever the balancing", () => {
    for (const balancing of ["round-robin", "random", "consistent-hash"] as const) {
      const availability = new Availability(2, 1);
      availability.take(0);
      const world = new FakeExchange({ balancing, availability });
      expect([balancing, world.call.request.backend.id]).toEqual([balancing, "b1"]);
    }
  });

  test("are 503 when all backends are full, and NO_HEALTHY_BACKEND when none is healthy", () => {
    const full = new Availability(2, 1);
    full.take(0);
    full.take(1);
    const world = new FakeExchange({ availability: full });
    expect(world.client.status).toBe("503");
    expect(world.outcome.error?.code).toBe("OVERLOADED");
    expect([...world.counters.requestsShed.entries()]).toEqual([["backend", 1]]);
    const down = new FakeExchange({ down: [0, 1] });
    expect(down.outcome.error?.code).toBe("NO_HEALTHY_BACKEND");
    expect([...down.counters.requestsShed.entries()]).toEqual([]);
  });

  test("are not tried again at a backend that is full", () => {
    const availability = new Availability(2, 1);
    availability.take(1);
    const world = new FakeExchange({ availability });
    world.call.fail("UPSTREAM_REFUSED");
    expect(world.upstream.calls.length).toBe(1);
    expect(world.client.status).toBe("502");
    expect([...world.counters.requestsShed.entries()]).toEqual([]);
    expect(placesOf(world)).toEqual([0, 0, 1]);
  });

  test("that are tried again have left the backend that failed", () => {
    const world = new FakeExchange();
    world.call.fail("UPSTREAM_REFUSED");
    expect(placesOf(world)).toEqual([1, 1, 1]);
    answer(world);
    expect(placesOf(world)).toEqual([0, 0, 0]);
  });
});

describe("the time of a whole request", () => {
  const LIMITED: FakeExchangeOptions = { requestTotalMs: 1000 };
  const pass = (world: FakeExchange, ms: number): void => {
    world.timers.advance(ms);
    world.deadlines?.sweep(world.timers.nowMs());
  };

  test("that is over before the response has begun is 504", () => {
    const world = new FakeExchange(LIMITED);
    pass(world, 999);
    expect(world.outcomes).toEqual([]);
    pass(world, 1);
    expect(world.call.state).toBe("cancelled");
    expect(world.client.status).toBe("504");
    expect(world.outcome.error?.code).toBe("REQUEST_TOTAL_TIMEOUT");
    expect(world.counters.requestsTimedOut).toBe(1);
    expect([world.deadlines?.size, ...placesOf(world)]).toEqual([0, 0, 0, 0]);
  });

  test("that is over later resets the stream, whatever moves", () => {
    const world = new FakeExchange(LIMITED);
    world.call.head(200);
    pass(world, 600);
    world.call.body("x");
    pass(world, 600);
    expect(world.call.state).toBe("cancelled");
    expect(world.client.resets).toEqual([0x102]);
    expect(world.outcome).toMatchObject({ status: 200 });
  });

  test("is not asked of a request that is over", () => {
    const world = new FakeExchange(LIMITED);
    answer(world);
    expect(world.deadlines?.size).toBe(0);
    pass(world, 5000);
    expect(world.outcome.error).toBeNull();
  });

  const EXEMPT: readonly (readonly [string, readonly Field[], readonly Field[]])[] = [
    ["a gRPC request", [["content-type", "application/grpc"]], []],
    ["a gRPC request of some coding", [["content-type", "Application/gRPC+proto"]], []],
    ["a gRPC response", [], [["content-type", "application/grpc-web+proto"]]],
    ["events", [], [["content-type", "text/event-stream; charset=utf-8"]]],
  ];
  test.each([...EXEMPT])("is unlimited for %s", (_what, fields, answerFields) => {
    const world = new FakeExchange({ ...LIMITED, fields });
    pass(world, 900);
    world.call.head(200, answerFields);
    pass(world, 100_000);
    expect(world.call.state).toBe("answering");
    world.call.end();
    expect(world.outcome.error).toBeNull();
  });

  test("is limited for a response of any other kind", () => {
    const world = new FakeExchange(LIMITED);
    world.call.head(200, [["content-type", "text/event"]]);
    pass(world, 1000);
    expect(world.outcome.error?.code).toBe("REQUEST_TOTAL_TIMEOUT");
  });
});
