import { expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { RestartBackoff } from "../../../src/control/backoff.ts";

test("the first end costs no wait, those that follow soon double it up to its bound", () => {
  const backoff = new RestartBackoff();
  const delays = Array.from({ length: 10 }, () => backoff.delayAfter(0));
  expect(delays).toEqual([0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
});

test("a life of some length is a new beginning", () => {
  const backoff = new RestartBackoff();
  for (let i = 0; i < 5; i++) backoff.delayAfter(0);
  expect(backoff.delayAfter(LIMITS.workerSteadyMs - 1)).toBe(1600);
  expect(backoff.delayAfter(LIMITS.workerSteadyMs)).toBe(0);
  expect(backoff.delayAfter(1)).toBe(100);
});
