/** Which doors a configuration asks for. */
import { expect, test } from "bun:test";
import type { DoorSettings } from "../../../src/config/snapshot.ts";
import { planDoors } from "../../../src/control/door-plan.ts";

const handler = () => ({ status: 200, type: "text/plain", body: "" });
const ALL = { metrics: handler, health: handler, ready: handler };
const door = (address: string, port: number, extra: Partial<DoorSettings> = {}): DoorSettings => ({
  ...{ address, port, required: true, connectionsMax: 8, connectionTimeoutMs: 100 },
  ...extra,
});
const metricsAt = (settings: DoorSettings) => ({ ...settings, path: "/metrics" });
const healthAt = (settings: DoorSettings) => ({ ...settings, healthPath: "/health", readyPath: "/ready" });
const shown = (plans: ReturnType<typeof planDoors>) =>
  plans.map(({ id, key, handlers }) => [id, key, [...handlers.keys()].join()]);

test("each address is a door", () => {
  const settings = { metrics: metricsAt(door("127.0.0.1", 9)), health: healthAt(door("0.0.0.0", 8)) };
  expect(shown(planDoors(settings, ALL))).toEqual([
    ["127.0.0.1:9", "observability.metrics", "/metrics"],
    ["0.0.0.0:8", "observability.health", "/health,/ready"],
  ]);
});

test("what stands at one address is one door, with the wider of its bounds", () => {
  const wide = door("::1", 9, { connectionsMax: 64, required: false });
  const settings = { metrics: metricsAt(wide), health: healthAt(door("::1", 9, { connectionTimeoutMs: 200 })) };
  const plans = planDoors(settings, ALL);
  expect(shown(plans)).toEqual([["::1:9", "observability.metrics", "/metrics,/health,/ready"]]);
  expect(plans[0]).toMatchObject({ connectionsMax: 64, connectionTimeoutMs: 200, required: true });
});

test("those whose port the system chooses are apart", () => {
  const settings = { metrics: metricsAt(door("::1", 0)), health: healthAt(door("::1", 0)) };
  expect(shown(planDoors(settings, ALL)).map(([id]) => id)).toEqual(["metrics@::1:0", "health@::1:0"]);
});

test("where nobody answers is no door", () => {
  expect(planDoors({ metrics: metricsAt(door("::1", 1)), health: null }, { ...ALL, metrics: null })).toEqual([]);
});
