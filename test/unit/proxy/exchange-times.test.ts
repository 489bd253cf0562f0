/** What of an exchange is timed, and from when: the client's whole wait, and each backend's time to the head of its response. */
import { expect, test } from "bun:test";
import { countersSeen } from "../../../src/core/counters.ts";
import { readHistograms } from "../../../src/core/histogram.ts";
import { FakeExchange } from "../../support/fake-exchange.ts";

/** Sums in milliseconds with how many they are of. */
function times({ counters }: FakeExchange): Record<string, readonly [number, number]> {
  const { histograms } = readHistograms(countersSeen(counters));
  return Object.fromEntries(Object.entries(histograms).map(([name, { sumMs, count }]) => [name, [sumMs, count]]));
}

test("a backend is timed to its head and to its end, a request to its end", () => {
  const world = new FakeExchange();
  world.timers.advance(20);
  world.call.head(200);
  world.timers.advance(300);
  world.call.end();
  expect(times(world)).toEqual({
    ...{ upstream_head_ms: [20, 1], upstream_ms: [320, 1] },
    ...{ first_byte_ms: [20, 1], request_ms: [320, 1] },
  });
});

test("a backend is not charged with the time of the one before it", () => {
  const world = new FakeExchange();
  world.timers.advance(1000);
  world.call.fail("UPSTREAM_REFUSED");
  world.timers.advance(3);
  world.call.head(200);
  world.call.end();
  expect(times(world)).toEqual({
    ...{ upstream_head_ms: [3, 1], upstream_ms: [1003, 2] },
    ...{ first_byte_ms: [1003, 1], request_ms: [1003, 1] },
  });
  expect([...world.counters.upstreamFailures.entries()]).toEqual([["UPSTREAM_REFUSED", 1]]);
});

test("nor with the time that a request waits for its handshake", () => {
  const early = { established: false, mayBeEarly: true, doubted: false };
  const world = new FakeExchange({ method: "POST", early });
  world.timers.advance(40);
  early.established = true;
  early.mayBeEarly = false;
  world.early?.release();
  world.timers.advance(5);
  world.call.head(200);
  world.call.end();
  expect(times(world)).toEqual({
    ...{ upstream_head_ms: [5, 1], upstream_ms: [5, 1] },
    ...{ first_byte_ms: [45, 1], request_ms: [45, 1] },
  });
});

test("an answer of our own has no backend's time", () => {
  const world = new FakeExchange({ path: "/elsewhere" });
  expect(times(world)).toEqual({ request_ms: [0, 1] });
});
