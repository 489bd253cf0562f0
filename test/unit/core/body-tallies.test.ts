/** Body bytes by pool: what is told apart, and where that ends. */
import { expect, test } from "bun:test";
import { Counters, countersSeen } from "../../../src/core/counters.ts";
import { LIMITS } from "../../../src/core/limits.ts";

test("a pool that comes back goes on with its tally, and what is zero is not told", () => {
  const counters = new Counters();
  counters.bodies.of("a|b").requestBytes += 3;
  counters.bodies.of("a|b").requestBytes += 4;
  counters.bodies.of("c").responseBytes += 5;
  counters.bodies.unrouted.responseBytes += 6;
  expect(countersSeen(counters)).toEqual({
    "request_body_bytes|a%7cb": 7,
    "response_body_bytes|c": 5,
    "response_body_bytes|": 6,
  });
});

test("more pools than are told apart are one", () => {
  const counters = new Counters();
  for (let i = 0; i < LIMITS.countedBackendsMax + 10; i++) counters.bodies.of(`p${i}`).responseBytes += 1;
  const seen = countersSeen(counters);
  expect(seen["response_body_bytes|(other)"]).toBe(11);
  expect(Object.keys(seen)).toHaveLength(LIMITS.countedBackendsMax);
});
