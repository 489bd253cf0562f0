/** Deadlines of the fetch transport, by a clock that the test moves, and answers that break off or are malformed. */
import { describe, expect, test } from "bun:test";
import type { FetchLane } from "../../src/runtime/fetch-options.ts";
import { dialTcp, type Dial } from "../../src/upstream/dial.ts";
import { startBackend } from "../support/backends.ts";
import { makeFetch, rawHttp1 } from "../support/fetch-upstream.ts";
import { ManualTimers } from "../support/manual-timers.ts";
import { waitUntil } from "../support/net.ts";
import { startRawBackend } from "../support/raw-backend.ts";
import { begin, exchange, PushBody, requestTo } from "../support/upstream-calls.ts";

/** A connection that never comes to stand. */
const CONNECTING: FetchLane = { send: () => new Promise(() => {}), close() {} };

describe("fetch and deadlines", () => {
  const timeouts = { backendConnectMs: 1000, backendResponseHeadMs: 5000, backendBodyIdleMs: 3000 };

  test("a backend that does not answer is given up after the head's time", async () => {
    const timers = new ManualTimers();
    const backend = await startBackend({ protocol: "h2" });
    const { upstream, pool, counters } = await makeFetch(backend.address, { timers, timeouts });
    const { outcome } = begin(upstream, requestTo(pool, { path: "/hold" }));
    await backend.holding(1);
    timers.advance(4900);
    expect(outcome.failure).toBeNull();
    timers.advance(200);
    expect([outcome.failure?.code, outcome.failure?.processed]).toEqual(["UPSTREAM_HEAD_TIMEOUT", "maybe"]);
    await waitUntil(() => backend.counts.aborted === 1);
    timers.advance(100);
    expect([counters.upstreamDeadlines, upstream.running, timers.waiting]).toEqual([1, 0, 0]);
  });

  test("the head's time begins anew with each piece of the request, and stands still while the client is slow", async () => {
    const timers = new ManualTimers();
    const backend = await startBackend({ protocol: "http1" });
    const { upstream, pool } = await makeFetch(backend.address, { timers, timeouts });
    const body = new PushBody();
    const { outcome } = begin(upstream, requestTo(pool, { method: "POST", path: "/hold", body }));
    await backend.holding(1);
    await waitUntil(() => body.asked > 0);
    timers.advance(60_000);
    expect(outcome.failure).toBeNull();
    body.push("late");
    body.end();
    await waitUntil(() => body.state === "ended");
    timers.advance(4900);
    expect(outcome.failure).toBeNull();
    timers.advance(200);
    expect(outcome.failure?.code).toBe("UPSTREAM_HEAD_TIMEOUT");
  });

  test("a body that stops coming is a failure, one that the receiver holds up is not", async () => {
    const timers = new ManualTimers();
    const backend = await startBackend({ protocol: "h2" });
    const { upstream, pool } = await makeFetch(backend.address, { timers, timeouts });
    const held = begin(upstream, requestTo(pool, { path: "/hold-body?bytes=50" }));
    held.outcome.hasRoom = false;
    await held.outcome.received(50);
    timers.advance(600_000);
    expect(held.outcome.failure).toBeNull();
    held.call.resume();
    timers.advance(2900);
    expect(held.outcome.failure).toBeNull();
    timers.advance(200);
    expect(held.outcome.failure?.code).toBe("UPSTREAM_BODY_TIMEOUT");
  });

  test("a request body that stops coming is given up with 408 and not blamed on the backend", async () => {
    const timers = new ManualTimers();
    const backend = await startBackend({ protocol: "http1" });
    const patience = { ...timeouts, clientBodyIdleMs: 4000 };
    const { upstream, pool, counters } = await makeFetch(backend.address, { timers, timeouts: patience });
    const body = new PushBody();
    const slow = begin(upstream, requestTo(pool, { method: "GET", body }));
    timers.advance(patience.clientBodyIdleMs - 1);
    expect(slow.outcome.failure).toBeNull();
    timers.advance(101);
    expect([slow.outcome.failure?.code, slow.outcome.failure?.status]).toEqual(["REQUEST_TIMEOUT", 408]);
    expect(counters.clientDeadlines).toBe(1);
  });

  test("a request with a body is given up after the connect time when no connection asks for the body", async () => {
    const timers = new ManualTimers();
    const { upstream, pool } = await makeFetch("http://127.0.0.1:1", { timers, timeouts, lane: CONNECTING });
    const body = new PushBody().push("untouched").end();
    const { outcome } = begin(upstream, requestTo(pool, { method: "POST", body }));
    timers.advance(999);
    expect(outcome.failure).toBeNull();
    timers.advance(101);
    expect([outcome.failure?.code, outcome.failure?.processed]).toEqual(["UPSTREAM_CONNECT_TIMEOUT", "no"]);
    expect([body.pulled, body.stopped]).toEqual([0, false]);
  });

  test("a backend that takes no connection is given up after the connect time, at once for all that wait", async () => {
    const timers = new ManualTimers();
    const silent = await startRawBackend({ script: () => [] });
    const dials: number[] = [];
    const answer = Promise.withResolvers<void>();
    const dial: Dial = async (host, _port, timeoutMs) => {
      dials.push(timeoutMs);
      await answer.promise;
      return (await dialTcp(host, 1, 100)) ?? null;
    };
    const { upstream, pool } = await makeFetch(`http://${silent.bareAddress}`, { timers, timeouts, dial });
    const get = begin(upstream, requestTo(pool));
    const remove = begin(upstream, requestTo(pool, { method: "DELETE" }));
    timers.advance(450);
    expect(dials).toEqual([]);
    timers.advance(200);
    expect(dials).toEqual([500]);
    const later = begin(upstream, requestTo(pool));
    answer.resolve();
    await get.outcome.over;
    expect([get.outcome.failure?.code, get.outcome.failure?.processed]).toEqual(["UPSTREAM_REFUSED", "maybe"]);
    expect([remove.outcome.failure?.code, remove.outcome.failure?.processed]).toEqual(["UPSTREAM_REFUSED", "maybe"]);
    expect(later.outcome.failure).toBeNull();
    later.call.cancel();
  });

  test("a backend that takes connections and is only slow is not dialled again, nor given up", async () => {
    const timers = new ManualTimers();
    const backend = await startBackend({ protocol: "http1" });
    const { upstream, pool, counters } = await makeFetch(backend.address, { timers, timeouts });
    const { outcome } = begin(upstream, requestTo(pool, { path: "/hold" }));
    await backend.holding(1);
    const connections = backend.counts.connections;
    timers.advance(600);
    await waitUntil(() => backend.counts.connections === connections + 1);
    await waitUntil(async () => {
      timers.advance(50);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return timers.nowMs() > 2000;
    });
    expect(counters.upstreamDials).toBeLessThanOrEqual(2);
    backend.release();
    expect((await outcome.over).status).toBe(200);
  });
});

describe("fetch and malformed answers", () => {
  const OK = "HTTP/1.1 200 OK\r\n";

  test("a body that ends early against its Content-Length is a failure", async () => {
    for (const length of [10, 100_000]) {
      const address = await rawHttp1({ send: `${OK}Content-Length: ${length}\r\n\r\n12345` }, { end: "fin" });
      const { upstream, pool } = await makeFetch(address);
      const outcome = await exchange(upstream, requestTo(pool));
      expect([outcome.status, outcome.ended, outcome.failure?.code]).toEqual([200, false, "UPSTREAM_RESET"]);
    }
  });

  test("a body that the runtime ends early is still a failure", async () => {
    const shortened = (): Response => new Response("12345", { headers: { "content-length": "50000" } });
    const lane = { send: () => Promise.resolve(shortened()), close() {} };
    const { upstream, pool } = await makeFetch("http://127.0.0.1:1", { lane });
    const outcome = await exchange(upstream, requestTo(pool));
    expect([outcome.ended, outcome.failure?.code]).toEqual([false, "UPSTREAM_RESET"]);
    expect(outcome.failure?.message).toContain("5 of 50000 bytes");
  });

  test("a body that is longer than its Content-Length is a failure", async () => {
    const send = () => Promise.resolve(new Response("1234567890", { headers: { "content-length": "5" } }));
    const { upstream, pool } = await makeFetch("http://127.0.0.1:1", { lane: { send, close() {} } });
    const outcome = await exchange(upstream, requestTo(pool));
    expect([outcome.ended, outcome.lengthBytes, outcome.failure?.code]).toEqual([false, 0, "UPSTREAM_PROTOCOL"]);
  });

  test("a length beside a coding is refused: two readers could disagree about where the body ends", async () => {
    const address = await rawHttp1({
      send: `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n`,
    });
    const { upstream, pool } = await makeFetch(address);
    const outcome = await exchange(upstream, requestTo(pool));
    expect([outcome.status, outcome.failure?.code]).toEqual([0, "UPSTREAM_PROTOCOL"]);
  });

  test("interim responses are passed over", async () => {
    const address = await rawHttp1({
      send: `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`,
    });
    const { upstream, pool } = await makeFetch(address);
    expect((await exchange(upstream, requestTo(pool))).text).toBe("ok");
  });

  test("a head larger than a section may be is refused", async () => {
    const address = await rawHttp1({ send: `${OK}X: ${"a".repeat(900_000)}\r\nContent-Length: 0\r\n\r\n` });
    const { upstream, pool } = await makeFetch(address);
    const outcome = await exchange(upstream, requestTo(pool));
    expect([outcome.status, outcome.failure?.code]).toEqual([0, "UPSTREAM_PROTOCOL"]);
  });
});
