/** What a connection has not finished when it ends. */
import { describe, expect, test } from "bun:test";
import type { Connection } from "../../../src/quic/connection.ts";
import type { FakeConnection } from "../../support/fake-engine.ts";
import { type FakeDriver, FakeServer } from "../../support/fake-server.ts";

function connected(): {
  readonly connection: Connection;
  readonly engine: FakeConnection;
  readonly driver: FakeDriver;
} {
  const server = new FakeServer();
  return { ...server.connect(), driver: server.driver };
}

describe("what the end of a connection breaks off", () => {
  test("is what its session has not finished, while neither side has closed it", () => {
    const { connection, driver } = connected();
    driver.unfinished = 3;
    expect([connection.isOpen, connection.unfinished]).toEqual([true, 3]);
    connection.close(true, 0x100, "");
    expect([connection.isOpen, connection.unfinished]).toEqual([false, 0]);
    connection.destroy();
    expect([connection.isOpen, connection.unfinished]).toEqual([false, 0]);
  });

  test("is nothing once its client has gone, nor before its handshake is done", () => {
    const { connection, engine, driver } = connected();
    driver.unfinished = 3;
    engine.draining = true;
    expect([connection.isOpen, connection.unfinished]).toEqual([false, 0]);
    const { connection: young } = new FakeServer().accept();
    expect([young.isOpen, young.unfinished]).toEqual([true, 0]);
  });
});
