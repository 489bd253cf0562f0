/** Which pools are wanting, by what workers say of backends: for one worker, and for the whole program. */
import { describe, expect, test } from "bun:test";
import type { CrewStatus, SeatPhase, SeatStatus } from "../../../src/control/renewal.ts";
import { unusablePools, vitalsOf, withUnusablePools } from "../../../src/control/vitals.ts";
import { gaugeName } from "../../../src/core/labels.ts";
import { inFlightName, unhealthyName } from "../../../src/observe/metrics/scene-table.ts";

const [A, B] = [{ id: "a" }, { id: "b" }];
const POOLS = [
  { name: "needed", required: true, backends: [A, B] },
  { name: "spare", required: false, backends: [A] },
];
const gauges = (...names: string[]): ReadonlyMap<string, number> => new Map(names.map((name) => [name, 1]));
const [DOWN_A, DOWN_B, DOWN_SPARE] = [
  unhealthyName("needed", "a"),
  unhealthyName("needed", "b"),
  unhealthyName("spare", "a"),
];

describe("a pool is wanting", () => {
  test.each([
    ["when none of its backends is healthy", [DOWN_A, DOWN_B], ["needed"]],
    ["not while one is", [DOWN_A, inFlightName("needed", "b")], []],
    ["not when it is not needed", [DOWN_SPARE], []],
    ["not for a pool of another name", [unhealthyName("needed2", "a"), unhealthyName("needed2", "b")], []],
    ["not before anything was said", [gaugeName("heap_bytes")], []],
  ] as const)("%s", (_, names, wanting) => {
    expect(unusablePools(POOLS, gauges(...names))).toEqual([...wanting]);
  });
});

test("the program wants a pool when all that serve do, whatever others say", () => {
  const seat = (slot: number, phase: SeatPhase): SeatStatus => ({ slot, pid: slot + 1, phase, connections: 0 });
  const crews: CrewStatus<SeatStatus>[] = [
    { generation: 2, role: "active", workers: [seat(0, "serving"), seat(1, "serving"), seat(2, "starting")] },
    { generation: 1, role: "draining", workers: [seat(3, "serving")] },
  ];
  const said = new Map([[0, gauges(DOWN_A, DOWN_B)]]);
  const sums = { gaugesOf: (slot: number) => said.get(slot) ?? gauges() };
  const wanting = (): readonly string[] => {
    const all = withUnusablePools({ crews, sums }, { snapshot: { pools: POOLS } });
    expect(all[0]?.workers[0]?.unusablePools).toEqual(["needed"]);
    return vitalsOf(all, false).unusablePools;
  };
  expect(wanting()).toEqual([]);
  said.set(1, gauges(DOWN_A, DOWN_B));
  expect(wanting()).toEqual(["needed"]);
});
