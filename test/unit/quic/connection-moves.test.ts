/** What a connection does for a client that moves, on the fake engine. */
import { expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import type { FakeConnection } from "../../support/fake-engine.ts";
import { type FakeDriver, FakeServer, short } from "../../support/fake-server.ts";

interface Connected {
  readonly server: FakeServer;
  readonly engine: FakeConnection;
  readonly driver: FakeDriver;
}

function connected(): Connected {
  const server = new FakeServer();
  const { engine } = server.connect();
  return { server, engine, driver: server.driver };
}

function arrive({ server, engine }: Connected): void {
  server.socket.arrive(short(engine.scid));
}

test("spare ids that could not be made are made later, with the next datagrams", () => {
  const server = new FakeServer();
  server.engine.onAccept = (engine) => void (engine.wanted = 3);
  const { endpoint } = server;
  const issue = endpoint.issueId.bind(endpoint);
  endpoint.issueId = () => null;
  const { connection, engine } = server.connect();
  expect(connection.ids.length).toBe(1);
  endpoint.issueId = issue;
  server.socket.arrive(short(engine.scid));
  server.turn();
  expect([connection.ids.length, engine.offered.length]).toEqual([4, 3]);
});

test("a client that came from too many addresses is told once to go on elsewhere", () => {
  const world = connected();
  world.engine.pathCount = LIMITS.pathsBeforeDrainMax;
  arrive(world);
  world.server.turn();
  expect([world.driver.leaves.length, world.server.counters.connectionsOverPaths]).toEqual([0, 0]);
  world.engine.pathCount += 1;
  for (let i = 0; i < 2; i++) {
    arrive(world);
    world.server.turn();
  }
  expect([world.driver.leaves.length, world.server.counters.connectionsOverPaths]).toEqual([1, 1]);
});

test("moves of the peer are counted", () => {
  const world = connected();
  world.engine.migrations = 2;
  arrive(world);
  world.server.turn();
  expect(world.server.counters.migrations).toBe(2);
});
