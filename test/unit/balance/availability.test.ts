import { describe, expect, test } from "bun:test";
import { Availability } from "../../../src/balance/availability.ts";

describe("a pool's backends", () => {
  test("may be used while they are healthy and have room, and the same bytes say so each time", () => {
    const backends = new Availability(2, 2);
    const { usable } = backends;
    const seen = (): number[] => [...usable];
    expect(seen()).toEqual([1, 1]);
    backends.take(0);
    expect(seen()).toEqual([1, 1]);
    backends.take(0);
    expect(seen()).toEqual([0, 1]);
    backends.setHealthy(1, false);
    expect(seen()).toEqual([0, 0]);
    backends.give(0);
    expect(seen()).toEqual([1, 0]);
    backends.setHealthy(1, true);
    expect(seen()).toEqual([1, 1]);
    expect([backends.inFlight(0), backends.inFlight(1)]).toEqual([1, 0]);
  });

  test("that recover while they are full stay out, and those that fall ill while full stay out when there is room", () => {
    const backends = new Availability(1, 1);
    backends.take(0);
    backends.setHealthy(0, false);
    backends.setHealthy(0, true);
    expect(backends.usable[0]).toBe(0);
    backends.setHealthy(0, false);
    backends.give(0);
    expect(backends.usable[0]).toBe(0);
    backends.setHealthy(0, true);
    expect(backends.usable[0]).toBe(1);
  });

  test("are full when one of the healthy lacks room", () => {
    const backends = new Availability(2, 1);
    expect(backends.isFull()).toBe(false);
    backends.take(0);
    expect(backends.isFull()).toBe(true);
    backends.setHealthy(0, false);
    expect(backends.isFull()).toBe(false);
  });

  test("have any number of requests where there is no bound", () => {
    const backends = new Availability(1);
    for (let i = 0; i < 10_000; i++) backends.take(0);
    expect([backends.usable[0], backends.inFlight(0), backends.isFull()]).toEqual([1, 10_000, false]);
  });

  test("are entered only with room and left only when entered", () => {
    const backends = new Availability(1, 1);
    expect(() => backends.give(0)).toThrow("ends once");
    backends.take(0);
    expect(() => backends.take(0)).toThrow("with room");
  });
});
