/** The bounds that metrics show: all that the documentation lists, each with what the busiest process has of it. */
import { expect, test } from "bun:test";
import { LIMIT_BOUNDS } from "../../../scripts/docs.bounds.ts";
import { limitScenes } from "../../../src/control/limit-scenes.ts";
import { GAUGES, inFlightName } from "../../../src/observe/metrics/scene-table.ts";
import { metricsScene, workerScene } from "../../support/metrics-scene.ts";
import { LEAST, snapshotOf } from "../config/sample.ts";

const SNAPSHOT = snapshotOf(LEAST);
/** Pools may have their own; the least of all is shown under the key of all. */
const OF_POOLS = ["upstream.<pool>.max_request_body_bytes"];

test("all that are documented are there, once", () => {
  const shown = limitScenes(SNAPSHOT, []).map(({ name }) => name);
  const documented = LIMIT_BOUNDS.map(({ key }) => key).filter((key) => !OF_POOLS.includes(key));
  expect(shown.toSorted()).toEqual(documented.toSorted());
});

test("what is used is what the process has that has most of it", () => {
  const { name, backends } = metricsScene({ pools: SNAPSHOT.pools }).pools[0] ?? { name: "", backends: [] };
  const inFlight = inFlightName(name, backends[0]?.id ?? "");
  const workers = [
    workerScene({ connections: 5, gauges: new Map([[GAUGES.requests, 2]]) }),
    workerScene({ slot: 1, connections: 3, gauges: new Map([[inFlight, 7]]) }),
  ];
  const used = Object.fromEntries(limitScenes(SNAPSHOT, workers).map((limit) => [limit.name, limit.used]));
  expect(used["max_concurrent_connections"]).toBe(5);
  expect(used["performance.global_inflight_limit"]).toBe(2);
  expect(used["performance.per_upstream_inflight_limit"]).toBe(7);
  expect(used["performance.per_backend_inflight_limit"]).toBe(7);
  expect(used["performance.max_connections_per_ip"]).toBeNull();
});
