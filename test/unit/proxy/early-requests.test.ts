/** Requests in early data: who goes on at once, who waits, what backends are told, and what a 425 leads to (RFC 8470). */
import { describe, expect, test } from "bun:test";
import { FakeExchange, type FakeExchangeOptions } from "../../support/fake-exchange.ts";

/** A connection in early data, until `established`. */
function makeSource(): { established: boolean; mayBeEarly: boolean; doubted: boolean } {
  return { established: false, mayBeEarly: true, doubted: false };
}

interface World {
  readonly source: ReturnType<typeof makeSource>;
  readonly exchange: FakeExchange;
  /** What the backends got as Early-Data, by attempt. */
  marks(): (string | undefined)[];
  /** The handshake is done. */
  establish(): void;
}

function begin(options: FakeExchangeOptions = {}, source: Partial<ReturnType<typeof makeSource>> = {}): World {
  const early = { ...makeSource(), ...source };
  const exchange = new FakeExchange({ ...options, early });
  return {
    source: early,
    exchange,
    marks: () => exchange.upstream.calls.map(({ fields }) => Object.fromEntries(fields)["early-data"]),
    establish: () => {
      early.established = true;
      early.mayBeEarly = false;
      exchange.early?.release();
    },
  };
}

describe("before the handshake is done", () => {
  test.each(["GET", "HEAD"])("%s without a body goes to a backend, marked", (method) => {
    const { exchange, marks } = begin({ method });
    expect(marks()).toEqual(["1"]);
    expect([exchange.counters.earlyRequests, exchange.counters.earlyRequestsHeld]).toEqual([1, 0]);
  });

  const held: readonly (readonly [string, FakeExchangeOptions])[] = [
    ["POST", { method: "POST" }],
    ["DELETE", { method: "DELETE" }],
    ["a safe method that is not among the chosen ones", { method: "OPTIONS" }],
    ["a method that nobody knows", { method: "PATCH-IT" }],
    ["GET whose end has not come", { hasBody: true }],
    ["POST with a body", { method: "POST", hasBody: true, fields: [["content-length", "3"]] }],
  ];
  test.each(held)("%s waits for its end, and goes without a mark", (_name, options) => {
    const { exchange, marks, establish } = begin(options);
    expect(marks()).toEqual([]);
    expect([exchange.counters.earlyRequests, exchange.counters.earlyRequestsHeld]).toEqual([0, 1]);
    establish();
    expect(marks()).toEqual([undefined]);
    exchange.call.head(200);
    exchange.call.end();
    expect(exchange.outcome).toMatchObject({ status: 200, attempts: 1, error: null });
  });

  test("all wait of a flight that may be a repetition; what may be one goes marked even then", () => {
    const doubted = begin({}, { doubted: true });
    expect(doubted.marks()).toEqual([]);
    doubted.establish();
    expect(doubted.marks()).toEqual(["1"]);
    const post = begin({ method: "POST" }, { doubted: true });
    post.establish();
    expect(post.marks()).toEqual([undefined]);
  });

  test("a body is kept waiting, and read when it goes on", () => {
    const { exchange, establish } = begin({ method: "POST", hasBody: true });
    exchange.sendBody("abc");
    exchange.sendEnd();
    establish();
    expect(exchange.call.request.body?.pull()?.length).toBe(3);
  });
});

describe("a request that waits", () => {
  test("is under way: it counts, and is recorded when its client gives it up", () => {
    const { exchange, establish } = begin({ method: "POST" });
    expect(exchange.inFlight.count).toBe(1);
    exchange.stream.onAborted("reset");
    expect(exchange.outcome).toMatchObject({ status: 499, attempts: 0 });
    expect([exchange.inFlight.count, exchange.early?.waiting.size]).toEqual([0, 0]);
    establish();
    expect(exchange.upstream.calls).toEqual([]);
  });

  test("has no longer than any other", () => {
    const { exchange, establish } = begin({ method: "POST", requestTotalMs: 100 });
    exchange.timers.advance(100);
    exchange.deadlines?.sweep(exchange.timers.nowMs());
    expect(exchange.outcome).toMatchObject({ status: 504, attempts: 0 });
    establish();
    expect(exchange.upstream.calls).toEqual([]);
  });

  test("ends with its connection", () => {
    const { exchange } = begin({ method: "POST" });
    exchange.stream.onAborted("closed");
    expect(exchange.outcomes.length).toBe(1);
  });
});

describe("after the handshake", () => {
  test("requests are as ever", () => {
    const { exchange, marks } = begin({ method: "POST" }, { established: true, mayBeEarly: false });
    expect(marks()).toEqual([undefined]);
    expect(exchange.counters.earlyRequestsHeld).toBe(0);
  });

  test("one that was late is marked if another may have forwarded it, and goes without waiting if not", () => {
    const late = { established: true, mayBeEarly: true };
    expect(begin({}, late).marks()).toEqual(["1"]);
    expect(begin({ method: "POST" }, late).marks()).toEqual([undefined]);
  });
});

describe("425 from a backend", () => {
  test("waits for the handshake, and is asked once more, unmarked", () => {
    const { exchange, marks, establish } = begin();
    exchange.call.head(425);
    expect(exchange.call.state).toBe("cancelled");
    expect([marks(), exchange.availability.inFlight(0)]).toEqual([["1"], 0]);
    establish();
    expect(marks()).toEqual(["1", undefined]);
    exchange.call.head(200);
    exchange.call.end();
    expect([exchange.client.status, exchange.counters.earlyRequestsRepeated]).toEqual(["200", 1]);
    expect(exchange.outcome.attempts).toBe(2);
  });

  test("is asked again at once when the handshake is done by then", () => {
    const { exchange, marks, establish } = begin();
    establish();
    exchange.call.head(425);
    expect(marks()).toEqual(["1", undefined]);
  });

  test("goes to the client the second time", () => {
    const { exchange, establish } = begin();
    establish();
    exchange.call.head(425);
    exchange.call.head(425);
    exchange.call.end();
    expect([exchange.client.status, exchange.upstream.calls.length]).toEqual(["425", 2]);
  });

  test("goes to a client that has sent the field itself", () => {
    const { exchange, marks } = begin({ fields: [["early-data", "1"]] });
    exchange.call.head(425);
    exchange.call.end();
    expect([exchange.client.status, marks()]).toEqual(["425", ["1"]]);
  });

  test("goes to the client of a request that was not early", () => {
    const exchange = new FakeExchange();
    exchange.call.head(425);
    exchange.call.end();
    expect([exchange.client.status, exchange.upstream.calls.length]).toEqual(["425", 1]);
  });

  test("on a flight that is never shown to be new is not asked again", () => {
    const { exchange, marks } = begin();
    exchange.call.head(425);
    exchange.stream.onAborted("closed");
    expect([marks(), exchange.outcomes.length]).toEqual([["1"], 1]);
  });
});

describe("another attempt, after one that failed", () => {
  test("is as early as the first, handshake or not", () => {
    for (const isDone of [false, true]) {
      const world = begin();
      if (isDone) world.establish();
      world.exchange.call.fail("UPSTREAM_REFUSED");
      expect(world.marks()).toEqual(["1", "1"]);
    }
  });

  test("is not the third one for a 425", () => {
    const { exchange, establish } = begin();
    establish();
    exchange.call.fail("UPSTREAM_REFUSED");
    exchange.call.head(425);
    exchange.call.end();
    expect([exchange.client.status, exchange.upstream.calls.length]).toEqual(["425", 2]);
  });

  test("of a request that has waited is not early", () => {
    const { exchange, marks, establish } = begin({ method: "POST" });
    establish();
    exchange.call.fail("UPSTREAM_REFUSED");
    expect(marks()).toEqual([undefined, undefined]);
  });
});

describe("a client's own Early-Data", () => {
  test.each([["1"], ["0"], ["yes, please"], [""]])("means the same whatever it says: %p", (value) => {
    const exchange = new FakeExchange({ method: "POST", fields: [["early-data", value]] });
    expect(exchange.call.fields.filter(([name]) => name === "early-data")).toEqual([["early-data", "1"]]);
  });

  test("stands once, however often it was said", () => {
    const fields = [1, 2, 3].map((n) => ["early-data", String(n)] as const);
    const { marks, exchange } = begin({ fields });
    expect(marks()).toEqual(["1"]);
    expect(exchange.call.fields.filter(([name]) => name === "early-data").length).toBe(1);
  });
});
