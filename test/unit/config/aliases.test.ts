import { describe, expect, test } from "bun:test";
import { LEAST, poolOf, printed, snapshotOf } from "./sample.ts";

describe("the original's name of a key", () => {
  test("works in place of ours", () => {
    const text = `${LEAST}performance: { max_active_connections: 5, h2_pool_max_idle_per_backend: 6 }\n`;
    expect(snapshotOf(text).connections.connectionsMax).toBe(5);
    expect(poolOf(text).backendConnectionsMax).toBe(6);
  });

  test("leaves the other keys of its section alone", () => {
    const text = `${LEAST}performance: { max_active_connections: 5, backend_timeout_ms: 7 }\n`;
    expect(snapshotOf(text).timeouts.backendResponseHeadMs).toBe(7);
  });

  test("is the one that a mistake names", () => {
    expect(printed(`${LEAST}performance: { max_active_connections: 0 }\n`)).toEqual([
      "c.yaml:12:40: performance.max_active_connections: is 0; expected an integer from 1 to 1000000 (connections)",
    ]);
  });

  test("together with ours is a mistake that names both places", () => {
    const text = `${LEAST}max_concurrent_connections: 5\nperformance:\n  max_active_connections: 5\n`;
    expect(printed(text)).toEqual([
      "c.yaml:14:3: performance.max_active_connections: is given together with max_concurrent_connections " +
        "(line 12, column 1), the same setting; expected one of the two",
    ]);
  });

  test("before ours is blamed on ours, which comes later", () => {
    const text = `performance: { h2_pool_max_idle_per_backend: 5 }\n${LEAST}backend_connection_pool_size: 6\n`;
    expect(printed(text)).toEqual([
      "c.yaml:13:1: backend_connection_pool_size: is given together with performance.h2_pool_max_idle_per_backend " +
        "(line 1, column 16), the same setting; expected one of the two",
    ]);
  });
});

describe("another spelling of a balancing type", () => {
  const spellings: readonly (readonly [string, string])[] = [
    ["rr", "round-robin"],
    ["round_robin", "round-robin"],
    ["round-robin", "round-robin"],
    ["ch", "consistent-hash"],
    ["consistent_hash", "consistent-hash"],
    ["consistent-hash", "consistent-hash"],
    ["random", "random"],
  ];
  test.each(spellings)("%s means %s", (spelling, type) => {
    expect<string>(poolOf(`${LEAST}load_balancing: { type: ${spelling} }\n`).balancing).toBe(type);
  });
});

test("peer_ip means client_ip", () => {
  expect(poolOf(`${LEAST}load_balancing: { type: ch, key: peer_ip }\n`).hashKey).toEqual({ kind: "client_ip" });
});
