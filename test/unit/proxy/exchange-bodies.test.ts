/** Body bytes by pool, counted as they pass and not when a request is over. */
import { expect, test } from "bun:test";
import { FakeExchange } from "../../support/fake-exchange.ts";

test("bytes both ways are counted while the request goes on, each once", () => {
  const world = new FakeExchange({ method: "POST", hasBody: true });
  const { bodies } = world.pool;
  world.sendBody("abc");
  world.call.request.body?.pull();
  expect([bodies.requestBytes, bodies.responseBytes]).toEqual([3, 0]);
  world.sendBody("de");
  world.sendEnd();
  world.call.request.body?.pull();
  world.call.head(200);
  world.call.body("seven b");
  expect([bodies.requestBytes, bodies.responseBytes]).toEqual([5, 7]);
  world.call.end();
  expect(world.outcome).toMatchObject({ bytesIn: 5, bytesOut: 7 });
  expect([bodies.requestBytes, bodies.responseBytes]).toEqual([5, 7]);
});

test("what a client has not taken is not counted", () => {
  const world = new FakeExchange();
  world.call.head(200);
  world.client.room = 0;
  world.call.body("waits");
  expect(world.pool.bodies.responseBytes).toBe(0);
});

test("an answer to a request that came to no pool is counted apart", () => {
  const world = new FakeExchange({ path: "/elsewhere" });
  expect(world.counters.bodies.unrouted.responseBytes).toBe(world.outcome.bytesOut);
  expect(world.outcome.bytesOut).toBeGreaterThan(0);
  expect(world.pool.bodies.responseBytes).toBe(0);
});
