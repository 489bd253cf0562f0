/** What waits for clients is summed for each connection and for all, and both bounds are told apart. */
import { expect, test } from "bun:test";
import { BufferAccount } from "../../../src/guard/buffer-account.ts";

test("a connection is full at its own bound, whatever others hold", () => {
  const all = new BufferAccount(1000);
  const [one, other] = [new BufferAccount(100, all), new BufferAccount(100, all)];
  one.add(99);
  expect(one.full).toBeNull();
  one.add(1);
  expect([one.full, other.full, all.full]).toEqual(["own", null, null]);
  one.remove(1);
  expect(one.full).toBeNull();
});

test("every connection is full when all together hold too much", () => {
  const all = new BufferAccount(150);
  const [one, other] = [new BufferAccount(100, all), new BufferAccount(100, all)];
  one.add(80);
  other.add(70);
  expect([all.bytes, one.full, other.full, all.full]).toEqual([150, "whole", "whole", "own"]);
  other.remove(1);
  expect([one.full, other.full]).toEqual([null, null]);
});

test("the highest level is kept, and taking more than waited is a wrong program", () => {
  const all = new BufferAccount(1000);
  const one = new BufferAccount(100, all);
  one.add(30);
  one.remove(30);
  one.add(10);
  expect([one.bytes, one.highestBytes, all.highestBytes]).toEqual([10, 30, 30]);
  expect(() => one.remove(11)).toThrow("no more is taken than has waited");
});
