import { describe, expect, test } from "bun:test";
import { ProxyError } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { BANK, DRAIN_MS, KILLED, servingBed, SupervisorBed, WELL } from "../../support/supervisor-bed.ts";

const FIRST = { first: 0, count: 2 };
const SECOND = { first: BANK, count: 2 };

function ordersOf(bed: SupervisorBed): string[][] {
  return bed.workers.map(({ orders }) => orders);
}

describe("another crew", () => {
  test("takes over once all its workers serve, and the one before is retired", async () => {
    const bed = await servingBed(2);
    bed.listenersGone = ["10.0.0.7:443"];
    const outcome = bed.renew("second", 2);
    expect(bed.workers.map(({ slot }) => slot)).toEqual([0, 1, BANK, BANK + 1]);
    expect(bed.told).toEqual([`second has ${BANK}+2`]);
    bed.worker(2).ready();
    await Promise.resolve();
    expect(bed.ways).toEqual([{ active: FIRST, draining: null, standIns: [] }]);
    expect(ordersOf(bed)).toEqual([[], [], [], []]);
    bed.worker(3).ready();
    expect(await outcome).toEqual({ ok: true, generation: 2 });
    expect(bed.lastWays).toEqual({ active: SECOND, draining: FIRST, standIns: [] });
    expect(ordersOf(bed)).toEqual([["retire"], ["retire"], [], []]);
    expect(bed.workers.map(({ listenersGone }) => listenersGone)).toEqual([["10.0.0.7:443"], ["10.0.0.7:443"], [], []]);
    expect(bed.told).toEqual([`second has ${BANK}+2`, "second took over"]);
    expect(bed.supervisor.generation).toBe(2);
    expect(bed.supervisor.crews).toMatchObject([
      { generation: 1, role: "draining" },
      { generation: 2, role: "active" },
    ]);
  });

  test("has the ways for itself once the one before is gone, and the next one gets the first slots again", async () => {
    const bed = await servingBed(2);
    await bed.renewed("second", 1);
    bed.worker(0).finish();
    expect(bed.told).not.toContain("first is gone");
    bed.worker(1).finish();
    expect(bed.told.at(-1)).toBe("first is gone");
    expect(bed.lastWays).toEqual({ active: { first: BANK, count: 1 }, draining: null, standIns: [] });
    const third = await bed.renewed("third", 3);
    expect(third.map(({ slot }) => slot)).toEqual([0, 1, 2]);
    expect(bed.supervisor.generation).toBe(3);
  });

  test("leaves no sum of counters behind", async () => {
    const bed = await servingBed(1);
    let before = 0;
    for (let generation = 2; generation < 12; generation++) {
      const [old] = bed.workers.slice(-1);
      old?.count(10);
      const [worker] = await bed.renewed(`crew ${generation}`, 1);
      worker?.count(1);
      old?.say({ type: "beat", counts: { requests: 12 }, nativeHandles: 0 });
      old?.events.onEnded(WELL);
      const requests = bed.supervisor.counts["requests"] ?? 0;
      expect(requests).toBe(before + 12 + 1);
      before += 12;
    }
    expect(bed.supervisor.counts["renewals"]).toBe(10);
    expect(bed.supervisor.nativeHandles).toBe(1);
  });
});

describe("a renewal that fails", () => {
  test("for a reason that is found before anything starts leaves all as it is", async () => {
    const bed = await servingBed(2);
    const outcome = await bed.supervisor.renew(() => {
      throw new ProxyError("CONFIG_INVALID", "c.yaml:1:1: wrong", { remedy: "write it right" });
    });
    expect(outcome).toEqual({ ok: false, reason: "c.yaml:1:1: wrong", remedy: "write it right" });
    expect([bed.workers.length, bed.ways.length, bed.supervisor.generation]).toEqual([2, 1, 1]);
  });

  test.each([
    ["says why it cannot serve", { type: "failed", text: "no such file", isConfig: true } as const, "no such file"],
    ["ends", null, "worker 5 ended by SIGKILL before it served"],
  ])("since one worker %s ends the new crew alone", async (_, report, reason) => {
    const bed = await servingBed(2);
    const outcome = bed.renew("second", 2);
    bed.worker(2).ready();
    if (report !== null) bed.worker(3).say(report);
    bed.worker(3).events.onEnded(KILLED);
    expect(ordersOf(bed).slice(0, 3)).toEqual([[], [], ["end"]]);
    // Whoever asks meanwhile is told so: there is no room for another crew yet.
    expect(await bed.renew("third", 2)).toMatchObject({ ok: false, reason: "generation 2 is being started" });
    bed.worker(2).finish();
    expect(await outcome).toEqual({ ok: false, reason, remedy: null });
    expect(bed.told.at(-1)).toBe("second is gone");
    expect(bed.ways).toHaveLength(1);
    expect(bed.supervisor.crews).toMatchObject([{ generation: 1, role: "active" }]);
    expect((await bed.renewed("third", 2)).map(({ slot }) => slot)).toEqual([BANK, BANK + 1]);
    expect(bed.supervisor.counts).toMatchObject({ renewals: 1, renewals_failed: 2 });
  });

  test("since a worker never says anything is over after its time", async () => {
    const bed = await servingBed(1);
    const outcome = bed.renew("second", 1);
    const silent = bed.worker(1);
    bed.live(LIMITS.workerStartMsMax / LIMITS.heartbeatMs, [silent]);
    expect(silent.killed).toBe(0);
    bed.live(1, [silent]);
    expect(silent.killed).toBe(1);
    silent.events.onEnded(KILLED);
    expect(await outcome).toMatchObject({ ok: false, reason: `worker ${BANK} says nothing: killed` });
    expect(bed.worker(0)).toMatchObject({ killed: 0, orders: [] });
  });

  test("since the new workers do not even end when told to kills them", async () => {
    const bed = await servingBed(1);
    const outcome = bed.renew("second", 2);
    bed.worker(1).events.onGibberish();
    expect(bed.worker(2).orders).toEqual(["end"]);
    bed.live(LIMITS.workerEndMsMax / LIMITS.heartbeatMs);
    expect(bed.worker(2).killed).toBe(1);
    bed.worker(1).events.onEnded(KILLED);
    bed.worker(2).events.onEnded(KILLED);
    expect(await outcome).toMatchObject({ ok: false, reason: `worker ${BANK} says what nobody understands: killed` });
  });

  test("since the system has no process ends what was started", async () => {
    const bed = await servingBed(1);
    bed.refusals = 1;
    const outcome = await bed.renew("second", 3);
    expect(outcome).toMatchObject({ ok: false, reason: `worker ${BANK} cannot be started: Error: no process` });
    expect(bed.workers).toHaveLength(1);
  });

  test("since the kernel refuses other ways ends the new crew", async () => {
    const bed = await servingBed(1);
    bed.isUnsteerable = true;
    const outcome = bed.renew("second", 1);
    bed.worker(1).ready();
    await Bun.sleep(0);
    expect(ordersOf(bed)).toEqual([[], ["end"]]);
    bed.worker(1).finish();
    expect(await outcome).toEqual({ ok: false, reason: "no", remedy: null });
    bed.isUnsteerable = false;
    await bed.renewed("third", 1);
    expect(bed.worker(0).orders).toEqual(["retire"]);
  });
});

describe("a renewal is refused", () => {
  test("while the first crew starts", async () => {
    const bed = new SupervisorBed(1);
    expect(await bed.renew("second", 1)).toMatchObject({ ok: false, reason: "generation 1 is being started" });
    bed.worker(0).ready();
    expect(await bed.started).toBe("started");
    await bed.renewed("second", 1);
  });

  test("while another one is under way, also one that was asked for at the same time", async () => {
    const bed = await servingBed(1);
    const outcomes = [bed.renew("second", 1), bed.renew("third", 1)];
    bed.worker(1).ready();
    expect(await Promise.all(outcomes)).toMatchObject([
      { ok: true, generation: 2 },
      { ok: false, reason: "generation 2 is being started" },
    ]);
    expect(bed.workers).toHaveLength(2);
  });

  test("while a crew finishes what it has, with the time that it may still take", async () => {
    const bed = await servingBed(1);
    await bed.renewed("second", 1);
    bed.live(10);
    expect(await bed.renew("third", 1)).toMatchObject({
      ok: false,
      reason: "generation 1 still finishes what it has, for 22 s at most",
    });
    expect(bed.workers).toHaveLength(2);
    bed.worker(0).finish();
    await bed.renewed("third", 1);
  });

  test("once the program stops", async () => {
    const bed = await servingBed(1);
    const drained = bed.supervisor.drain();
    expect(await bed.renew("second", 1)).toMatchObject({ ok: false, reason: "the program stops" });
    bed.worker(0).finish();
    await drained;
  });
});

describe("a retired crew", () => {
  test("is not filled up again: slots of those that have ended get stand-ins", async () => {
    const bed = await servingBed(2);
    await bed.renewed("second", 2);
    bed.worker(1).events.onEnded(KILLED);
    expect(bed.workers).toHaveLength(4);
    const standIns = [{ slot: 1, by: BANK + 1 }];
    expect(bed.lastWays).toEqual({ active: SECOND, draining: FIRST, standIns });
    bed.worker(0).finish();
    expect(bed.lastWays).toEqual({ active: SECOND, draining: null, standIns: [] });
  });

  test("is killed some time after its drain time, and its end is no bad end of the program", async () => {
    const bed = await servingBed(1);
    await bed.renewed("second", 1);
    bed.live(DRAIN_MS / LIMITS.heartbeatMs);
    expect(bed.worker(0).killed).toBe(0);
    bed.live(LIMITS.workerEndMsMax / LIMITS.heartbeatMs);
    expect(bed.worker(0).killed).toBe(1);
    bed.worker(0).events.onEnded(KILLED);
    expect(bed.lastWays.draining).toBeNull();
    const drained = bed.supervisor.drain();
    bed.worker(1).finish();
    await drained;
    expect([bed.supervisor.ending, bed.supervisor.nativeHandles, bed.timers.waiting]).toEqual(["well", 0, 0]);
  });

  test("keeps a worker that is being started, for what lies in its socket, and gives up one that waits", async () => {
    const bed = await servingBed(2);
    bed.worker(0).events.onEnded(KILLED);
    bed.worker(1).events.onEnded(KILLED);
    bed.worker(3).events.onEnded(KILLED);
    bed.listenersGone = ["10.0.0.7:443"];
    // Slot 0 starts once more, slot 1 waits.
    const crew = await bed.renewed("second", 2);
    expect(crew).toHaveLength(2);
    expect(bed.worker(2).orders).toEqual([]);
    expect(bed.lastWays.standIns).toEqual([{ slot: 1, by: BANK + 1 }]);
    bed.worker(2).ready();
    expect(bed.worker(2).orders).toEqual(["retire"]);
    // Whoever was only being started hears it late, with all of it.
    expect(bed.worker(2).listenersGone).toEqual(["10.0.0.7:443"]);
    bed.timers.advance(60_000);
    expect(bed.workers).toHaveLength(6);
    bed.worker(2).finish();
    expect(bed.lastWays.draining).toBeNull();
  });

  test("stands in for the new one where that has nobody", async () => {
    const bed = await servingBed(1);
    await bed.renewed("second", 1);
    for (let death = 0; death < 5; death++) {
      bed.workers.at(-1)?.events.onEnded(KILLED);
      bed.timers.advance(death === 4 ? 0 : 1000);
    }
    expect(bed.lastWays.standIns).toEqual([{ slot: BANK, by: 0 }]);
    expect(bed.worker(0).orders).toEqual(["retire"]);
  });
});

test("a worker of the serving crew that dies while another one starts is started again, and retired with the rest", async () => {
  const bed = await servingBed(2);
  const outcome = bed.renew("second", 2);
  bed.worker(0).events.onEnded(KILLED);
  expect(bed.workers.map(({ slot }) => slot)).toEqual([0, 1, BANK, BANK + 1, 0]);
  bed.worker(4).ready();
  bed.worker(2).ready();
  bed.worker(3).ready();
  expect(await outcome).toMatchObject({ ok: true });
  expect(ordersOf(bed)).toEqual([[], ["retire"], [], [], ["retire"]]);
});

test("a worker of the new crew that dies as its crew takes over is started again", async () => {
  const bed = await servingBed(1);
  const outcome = bed.renew("second", 1);
  bed.worker(1).ready();
  bed.worker(1).events.onEnded(KILLED);
  expect(await outcome).toMatchObject({ ok: true });
  expect(bed.workers.map(({ slot }) => slot)).toEqual([0, BANK, BANK]);
});

describe("the stop", () => {
  test("during a renewal ends the new crew, drains the serving one, and answers who asked", async () => {
    const bed = await servingBed(1);
    const outcome = bed.renew("second", 2);
    bed.worker(1).ready();
    const drained = bed.supervisor.drain();
    expect(ordersOf(bed)).toEqual([["drain"], ["end"], ["end"]]);
    for (const worker of bed.workers) worker.finish();
    await drained;
    expect(await outcome).toMatchObject({ ok: false });
    expect([bed.ways.length, bed.timers.waiting, bed.supervisor.ending]).toEqual([1, 0, "well"]);
  });

  test("does not wait for the drain time of a crew that hangs in its start, whose end is no bad end of the program", async () => {
    const bed = await servingBed(1);
    void bed.renew("second", 1);
    const drained = bed.supervisor.drain();
    bed.worker(0).finish();
    bed.timers.advance(LIMITS.workerEndMsMax);
    expect(bed.worker(1).killed).toBe(1);
    bed.worker(1).events.onEnded(KILLED);
    await drained;
    expect([bed.timers.waiting, bed.supervisor.ending]).toEqual([0, "well"]);
  });

  test("between the last worker's word and the change of ways keeps the ways", async () => {
    const bed = await servingBed(1);
    const outcome = bed.renew("second", 1);
    bed.worker(1).ready();
    const drained = bed.supervisor.drain();
    expect(bed.worker(0).orders).toEqual(["drain"]);
    for (const worker of bed.workers) worker.finish();
    await drained;
    expect(await outcome).toMatchObject({ ok: false, reason: "the program stops" });
    expect(bed.ways).toHaveLength(1);
  });

  test("drains a retired crew, too, and waits for both", async () => {
    const bed = await servingBed(1);
    await bed.renewed("second", 1);
    const drained = bed.supervisor.drain();
    expect(ordersOf(bed)).toEqual([["retire", "drain"], ["drain"]]);
    let isOver = false;
    void drained.then(() => (isOver = true));
    bed.worker(1).finish();
    await Bun.sleep(0);
    expect(isOver).toBe(false);
    bed.worker(0).finish();
    await drained;
    expect(bed.timers.waiting).toBe(0);
  });
});

test("ways that the kernel refuses are tried again", async () => {
  const bed = await servingBed(2);
  await bed.renewed("second", 2);
  bed.isUnsteerable = true;
  bed.worker(0).finish();
  bed.live(3);
  expect(bed.log.find("datagrams go as before")).toEqual({ reason: "no" });
  bed.isUnsteerable = false;
  bed.live(1);
  expect(bed.lastWays.standIns).toEqual([{ slot: 0, by: BANK }]);
  const said = bed.ways.length;
  bed.live(1);
  expect(bed.ways).toHaveLength(said);
});
