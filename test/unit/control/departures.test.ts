import { expect, test } from "bun:test";
import { Departures } from "../../../src/control/departures.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { ManualTimers } from "../../support/manual-timers.ts";

/** Connections that a test counts down. */
class House {
  readonly timers = new ManualTimers();
  connectionCount = 2;
  openCount = 2;
  readonly departures = new Departures(this, this.timers);
  readonly over: string[] = [];

  wait(name: string, leastMs: number, mostMs: number): void {
    void this.departures.wait(leastMs, mostMs).then(() => this.over.push(name));
  }

  async leave(): Promise<void> {
    this.connectionCount -= 1;
    this.openCount -= 1;
    this.departures.check();
    await Promise.resolve().then(() => undefined);
  }

  async pass(ms: number): Promise<void> {
    this.timers.advance(ms);
    await Promise.resolve().then(() => undefined);
  }
}

test("whoever waits hears of the end of the last one", async () => {
  const house = new House();
  house.wait("drain", 0, 1000);
  await house.leave();
  expect(house.over).toEqual([]);
  await house.leave();
  expect([house.over, house.timers.waiting]).toEqual([["drain"], 0]);
});

test("an empty house is waited for no longer", async () => {
  const house = new House();
  house.connectionCount = house.openCount = 0;
  house.wait("drain", 0, 1000);
  await house.pass(0);
  expect(house.over).toEqual(["drain"]);
});

test("the least time is waited for, and so are those who come in it", async () => {
  const house = new House();
  house.connectionCount = house.openCount = 0;
  house.wait("retire", 500, 1000);
  await house.pass(400);
  house.connectionCount = house.openCount = 1;
  await house.pass(200);
  expect(house.over).toEqual([]);
  await house.leave();
  expect(house.over).toEqual(["retire"]);
  house.wait("again", 500, 1000);
  await house.pass(500);
  expect(house.over).toEqual(["retire", "again"]);
});

test("the most time is waited for and no longer, whoever is left", async () => {
  const house = new House();
  house.wait("retire", 500, 1000);
  await house.pass(900);
  house.wait("drain", 0, 50);
  await house.pass(50);
  expect(house.over).toEqual(["drain"]);
  await house.pass(50);
  expect([house.over, house.timers.waiting]).toEqual([["drain", "retire"], 0]);
});

test("connections that are closed are waited for a little while", async () => {
  const house = new House();
  house.wait("drain", 0, 10_000);
  house.openCount = 0;
  await house.pass(LIMITS.closingMsMax);
  expect(house.over).toEqual([]);
  await house.pass(50);
  expect(house.over).toEqual(["drain"]);
});

test("and another that is opened meanwhile is waited for to its own end", async () => {
  const house = new House();
  house.wait("retire", 0, 10_000);
  house.openCount = 0;
  await house.pass(100);
  house.openCount = 1;
  await house.pass(1000);
  expect(house.over).toEqual([]);
  house.openCount = 0;
  await house.pass(LIMITS.closingMsMax);
  expect(house.over).toEqual([]);
  await house.pass(50);
  expect(house.over).toEqual(["retire"]);
});
