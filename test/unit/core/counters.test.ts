/** Counters as people are told of them. */
import { expect, test } from "bun:test";
import { Counters, countersSeen } from "../../../src/core/counters.ts";

test("what has happened is told in snake case, by reason where there are reasons, and nothing else", () => {
  const counters = new Counters();
  expect(countersSeen(counters)).toEqual({});
  counters.upstreamH1Refused = 2;
  counters.malformedReasons.add("name-empty");
  counters.malformedReasons.add("name-empty");
  expect(countersSeen(counters)).toEqual({ upstream_h1_refused: 2, "malformed_reasons.name-empty": 2 });
});
