import { describe, expect, test } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { CUT_OFF_CODE } from "../../../src/control/worker-link.ts";
import {
  DRAIN_MS,
  type FakeWorker,
  KILLED,
  servingBed as serving,
  SupervisorBed as Bed,
} from "../../support/supervisor-bed.ts";

describe("the start", () => {
  test("is over when all serve", async () => {
    const bed = new Bed(2);
    expect(bed.workers.map(({ slot }) => slot)).toEqual([0, 1]);
    let over = false;
    void bed.started.then(() => (over = true));
    bed.worker(0).ready();
    await Promise.resolve();
    expect(over).toBe(false);
    bed.worker(1).ready();
    expect(await bed.started).toBe("started");
  });

  test("fails with the worker's own words, and the others end", async () => {
    const bed = new Bed(2);
    bed.worker(0).ready();
    bed.worker(1).say({ type: "failed", text: "no such file", isConfig: true });
    bed.worker(1).events.onEnded({ code: 2, signal: null });
    await Promise.resolve();
    await Promise.resolve();
    expect(bed.worker(0).orders).toEqual(["end"]);
    bed.worker(0).events.onEnded({ code: 0, signal: null });
    expect(await bed.started).toMatchObject({ code: "CONFIG_INVALID", message: "no such file" });
    expect(bed.workers).toHaveLength(2);
  });

  test.each([
    [{ code: 1, signal: null }, "worker 0 ended with exit code 1 before it served"],
    [KILLED, "worker 0 ended by SIGKILL before it served"],
  ])("fails when a worker ends before it serves: %p", async (end, message) => {
    const bed = new Bed(1);
    bed.worker(0).events.onEnded(end);
    expect(await bed.started).toMatchObject({ code: "WORKER_FAILED", message });
  });

  test("fails when a worker never serves", async () => {
    const bed = new Bed(1);
    bed.timers.advance(LIMITS.workerStartMsMax);
    expect(bed.worker(0).killed).toBe(0);
    bed.timers.advance(LIMITS.heartbeatMs);
    expect(bed.worker(0).killed).toBe(1);
    bed.worker(0).events.onEnded(KILLED);
    expect(await bed.started).toMatchObject({ code: "WORKER_FAILED" });
  });
});

describe("a worker that ends", () => {
  test("is started again at once, and its counts stay", async () => {
    const bed = await serving(2);
    bed.worker(0).count(5);
    bed.worker(1).count(7);
    bed.worker(0).events.onEnded(KILLED);
    expect(bed.workers.map(({ slot }) => slot)).toEqual([0, 1, 0]);
    expect(bed.supervisor.counts).toEqual({ requests: 12, worker_restarts: 1 });
    bed.worker(2).ready();
    bed.worker(2).count(1);
    expect(bed.supervisor.counts).toEqual({ requests: 13, worker_restarts: 1 });
    expect(bed.log.find("worker ended: started again")).toEqual({
      ...{ slot: 0, pid: 100, generation: 1, code: null, signal: "SIGKILL", after_ms: 0 },
    });
    expect(bed.ways).toHaveLength(1);
  });

  test("again and again waits longer each time, and has a stand-in meanwhile", async () => {
    const bed = await serving(3);
    const last = (): FakeWorker => must(bed.workers.at(-1), "there are workers");
    bed.worker(2).events.onEnded(KILLED);
    for (const delayMs of [100, 200, 400, 800]) {
      const before = bed.workers.length;
      last().events.onEnded(KILLED);
      bed.timers.advance(delayMs - 1);
      expect(bed.workers).toHaveLength(before);
      bed.timers.advance(1);
      expect(bed.workers).toHaveLength(before + 1);
    }
    const ways = { active: { first: 0, count: 3 }, draining: null };
    const withStandIn = [
      { ...ways, standIns: [] },
      { ...ways, standIns: [{ slot: 2, by: 0 }] },
    ];
    expect(bed.ways).toEqual(withStandIn);
    last().ready();
    expect(bed.ways).toEqual([...withStandIn, { ...ways, standIns: [] }]);
  });

  test("is tried again when the system had no process for it", async () => {
    const bed = await serving(1);
    bed.refusals = 2;
    bed.worker(0).events.onEnded(KILLED);
    expect(bed.workers).toHaveLength(1);
    bed.timers.advance(100);
    expect(bed.workers).toHaveLength(1 + 0);
    bed.timers.advance(200);
    expect(bed.workers).toHaveLength(2);
  });
});

describe("a worker that says nothing", () => {
  test("is killed after the heartbeats that it may leave out, and only it", async () => {
    const bed = await serving(2);
    const silent = bed.worker(0);
    bed.live(LIMITS.heartbeatsMissedMax, [silent]);
    expect(silent.killed).toBe(0);
    bed.live(1, [silent]);
    expect([silent.killed, bed.worker(1).killed]).toEqual([1, 0]);
    bed.live(1, [silent]);
    expect(silent.killed).toBe(1);
  });

  test("for less than that is left alone", async () => {
    const bed = await serving(1);
    for (let i = 0; i < 5; i++) {
      bed.live(LIMITS.heartbeatsMissedMax, [bed.worker(0)]);
      bed.worker(0).count(1);
    }
    expect(bed.worker(0).killed).toBe(0);
  });

  test("that anybody understands is killed at once", async () => {
    const bed = await serving(1);
    bed.worker(0).events.onGibberish();
    expect(bed.worker(0).killed).toBe(1);
  });
});

describe("the stop", () => {
  test("drains all and waits for them", async () => {
    const bed = await serving(2);
    const drained = bed.supervisor.drain();
    expect(bed.workers.map(({ orders }) => orders)).toEqual([["drain"], ["drain"]]);
    for (const worker of bed.workers) {
      worker.count(4);
      worker.events.onEnded({ code: 0, signal: null });
    }
    await drained;
    expect(bed.supervisor.ending).toBe("well");
    expect(bed.supervisor.counts).toEqual({ requests: 8 });
    expect(bed.workers).toHaveLength(2);
    expect(bed.timers.waiting).toBe(0);
  });

  test("kills who outlives the drain time, and does not end well", async () => {
    const bed = await serving(2);
    const drained = bed.supervisor.drain();
    bed.worker(0).events.onEnded({ code: 0, signal: null });
    bed.live((DRAIN_MS + LIMITS.workerEndMsMax) / LIMITS.heartbeatMs);
    expect([bed.worker(0).killed, bed.worker(1).killed]).toEqual([0, 1]);
    bed.worker(1).events.onEnded(KILLED);
    await drained;
    expect(bed.supervisor.ending).toBe("badly");
  });

  test("tells of what a worker had to break off, unless another one ended worse", async () => {
    for (const [end, ending] of [
      [{ code: 0, signal: null }, "cut-off"],
      [KILLED, "badly"],
    ] as const) {
      const bed = await serving(2);
      const drained = bed.supervisor.drain();
      bed.worker(0).events.onEnded({ code: CUT_OFF_CODE, signal: null });
      bed.worker(1).events.onEnded(end);
      await drained;
      expect(bed.supervisor.ending).toBe(ending);
    }
  });

  test("in a hurry ends a drain", async () => {
    const bed = await serving(1);
    const drained = bed.supervisor.drain();
    const ended = bed.supervisor.end();
    expect(bed.worker(0).orders).toEqual(["drain", "end"]);
    bed.live(LIMITS.workerEndMsMax / LIMITS.heartbeatMs);
    expect(bed.worker(0).killed).toBe(1);
    bed.worker(0).events.onEnded(KILLED);
    await Promise.all([drained, ended]);
    expect(bed.timers.waiting).toBe(0);
  });

  test("does not wait for a slot without a worker", async () => {
    const bed = await serving(1);
    bed.worker(0).events.onEnded(KILLED);
    bed.worker(1).events.onEnded(KILLED);
    await bed.supervisor.drain();
    bed.timers.advance(60_000);
    expect(bed.workers).toHaveLength(2);
  });

  test("does not let a worker that still starts drain", async () => {
    const bed = await serving(1);
    bed.worker(0).events.onEnded(KILLED);
    const drained = bed.supervisor.drain();
    expect(bed.worker(1).orders).toEqual(["end"]);
    bed.worker(1).events.onEnded({ code: 0, signal: null });
    await drained;
  });
});
