import { describe, expect, test } from "bun:test";
import {
  type Handover,
  readHandover,
  readWayBack,
  type SeatHandover,
  writeHandover,
} from "../../../src/control/handover.ts";
import { must } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Supervisor } from "../../../src/control/supervisor.ts";
import { BANK, DRAIN_MS, FakeWorker, KILLED, servingBed, type SupervisorBed } from "../../support/supervisor-bed.ts";

const SEAT: SeatHandover = {
  ...{ slot: 0, phase: "serving", worker: { pid: 7, channelFd: 9, unread: '{"v"', unsent: "" } },
  ...{ aliveMs: 12.5, servingMs: 3, missed: 1, restartInMs: null, unread: false },
  ...{ nativeHandles: 4, connections: 2, failures: 0 },
};
const LEFT: Handover = {
  ...{ programVersion: "1.2.3", startedEpochMs: 5, startedPath: "/opt/ü/spooky", program: { name: "new", fd: 12 } },
  ...{ linkVersion: 2, configPath: "/etc/é.yaml", configText: "a: '€'\n", secrets: { any: "thing" }, steering: "{}" },
  ...{
    bankSlots: 1,
    socketFds: [3, 4],
    doors: [{ id: "127.0.0.1:8080", fd: 5, port: 8080 }],
    back: { programFd: 11, args: ["spooky", "--config", "é"], fds: [3, 4, 9, 11, 12] },
  },
  supervisor: {
    generation: 3,
    active: { generation: 3, firstSlot: 0, drainMs: 100, killsInMs: null, seats: [SEAT] },
    draining: { generation: 2, firstSlot: 1, drainMs: 100, killsInMs: 50, seats: [{ ...SEAT, slot: 1, worker: null }] },
    ...{ alive: { "0": { requests: 1 } }, gone: { requests: 2.5 }, own: { renewals: 2 }, nativeHandlesGone: 0 },
  },
};

/** The document with one place of it changed. */
function changed(path: string, value: unknown): string {
  const document: unknown = JSON.parse(writeHandover(LEFT));
  const keys = path.split(".");
  let at = document as Record<string, unknown>;
  for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>;
  const last = must(keys.at(-1), "a path has a last key");
  if (value === undefined) delete at[last];
  else at[last] = value;
  return JSON.stringify(document);
}

describe("a document", () => {
  test("is read as it was written, and is ASCII", () => {
    const document = writeHandover(LEFT);
    expect(readHandover(document)).toEqual(LEFT);
    expect(/^[\x20-\x7e]*$/.test(document)).toBeTrue();
    expect(readWayBack(document)).toEqual(LEFT.back);
  });

  test("may say more than this program knows", () => {
    expect(readHandover(changed("supervisor.later", 1))).toEqual(LEFT);
  });

  test("names the sockets of all listeners, each with one for every slot", () => {
    const listener = { name: "10.0.0.7:443", address: "10.0.0.7", port: 443, socketFds: [20, 21], banks: [1] };
    const left = { ...LEFT, listeners: [listener] };
    expect(readHandover(writeHandover(left))).toEqual(left);
    const wrong = writeHandover({ ...LEFT, listeners: [{ ...listener, socketFds: [20] }] });
    expect(() => readHandover(wrong)).toThrow("not as many sockets as slots");
  });

  test("of a program without doors says nothing of them", () => {
    expect(readHandover(changed("doors", undefined))).toEqual({ ...LEFT, doors: [] });
  });

  const paths = (value: unknown, before = ""): string[] =>
    typeof value !== "object" || value === null || before.endsWith(".secrets")
      ? []
      : Object.entries(value).flatMap(([key, inner]) => [`${before}.${key}`, ...paths(inner, `${before}.${key}`)]);
  const needed = paths(LEFT)
    .map((path) => path.slice(1))
    .filter((path) => !/^secrets|\.(alive|gone|own)\.|\.\d+$/.test(path));

  test.each(needed)("says where it is wrong: %s", (path) => {
    const place = path.replaceAll(/\.(\d+)/g, "[$1]");
    for (const value of [undefined, { no: "thing" }]) {
      if (value !== undefined && /\.(alive|gone|own)$/.test(path)) continue;
      if (value === undefined && /^doors$/.test(path)) continue;
      expect(() => readHandover(changed(path, value))).toThrow(place);
    }
  });

  test.each([
    ["another form", changed("v", 2), "its form has number 2, this program reads 1"],
    ["no form", changed("v", undefined), "handover.v: expected a whole number"],
    ["no JSON", "{", "cannot be taken over"],
    ["a socket too few", changed("socketFds", [3]), "not as many sockets as slots"],
    ["two workers in one slot", changed("supervisor.draining.firstSlot", 0), "slot 1 is out of order"],
    ["a slot without a socket", changed("bankSlots", 0), "not as many sockets"],
    ["a crew of nobody", changed("supervisor.active.seats", []), "a crew has no seats"],
    ["a slot where none is", changed("supervisor.active.seats.0.slot", 5), "slot 5 is out of order"],
  ])("with %s is refused", (_, document, words) => {
    expect(() => readHandover(document)).toThrow(words);
  });

  test("that does not read still says the way back", () => {
    expect(readWayBack(changed("v", 99))).toEqual(LEFT.back);
    expect(readWayBack(changed("back.args", null))).toBeNull();
    expect(readWayBack("{")).toBeNull();
  });
});

interface Successor {
  readonly supervisor: Supervisor;
  /** By slot. */
  readonly adopted: ReadonlyMap<number, FakeWorker>;
  readonly launched: FakeWorker[];
}

/** Another supervisor goes on from what the one of the bed leaves, on the same clock. */
function succeed(bed: SupervisorBed): Successor {
  const handover = must(bed.supervisor.handOver(), "all is settled");
  const adopted = new Map<number, FakeWorker>();
  const launched: FakeWorker[] = [];
  const { timers, log } = bed;
  const seats = [...handover.active.seats, ...(handover.draining?.seats ?? [])];
  const supervisor = new Supervisor(
    { bankSlots: BANK, timers, log, steer: (ways) => void bed.ways.push(ways) },
    {
      handover,
      adopt: (worker, events) => {
        const slot = seats.find((seat) => seat.worker?.pid === worker.pid)?.slot ?? -1;
        const fake = new FakeWorker(slot, worker.pid, events);
        adopted.set(slot, fake);
        return fake.port;
      },
      onDrainingGone: () => undefined,
      plan: {
        onGone: () => undefined,
        launch: (slot, events) => {
          const fake = new FakeWorker(slot, 900 + launched.length, events);
          launched.push(fake);
          return fake.port;
        },
      },
    },
  );
  return { supervisor, adopted, launched };
}

describe("a supervisor that goes on", () => {
  test("has the same crews, workers and counts, and steers as before", async () => {
    const bed = await servingBed(2);
    bed.worker(0).count(5);
    const [third] = await bed.renewed("second", 1);
    must(third, "there is a worker").count(7);
    const { supervisor } = succeed(bed);
    expect(supervisor.crews).toEqual(bed.supervisor.crews);
    expect(supervisor.counts).toEqual({ requests: 12, renewals: 1 });
    expect(supervisor.nativeHandles).toBe(bed.supervisor.nativeHandles);
    expect(supervisor.generation).toBe(2);
    expect(bed.ways.at(-1)).toEqual(must(bed.ways.at(-2), "the one before has steered"));
  });

  test("counts on from there, and those that end afterwards stay counted", async () => {
    const bed = await servingBed(2);
    bed.worker(0).count(5);
    bed.worker(1).count(1);
    const { supervisor, adopted, launched } = succeed(bed);
    adopted.get(0)?.events.onEnded(KILLED);
    launched[0]?.ready();
    launched[0]?.count(2);
    expect(supervisor.counts).toEqual({ requests: 8, worker_restarts: 1 });
    expect(launched.map(({ slot }) => slot)).toEqual([0]);
  });

  test("ends a retired crew when the one before would have", async () => {
    const bed = await servingBed(1);
    await bed.renewed("second", 1);
    bed.live(DRAIN_MS / 1000 - 1);
    const { adopted, supervisor } = succeed(bed);
    const old = must(adopted.get(0), "the old worker lives");
    bed.timers.advance(LIMITS.workerEndMsMax + 999);
    expect(old.killed).toBe(0);
    bed.timers.advance(1);
    expect(old.killed).toBe(1);
    old.events.onEnded(KILLED);
    expect(supervisor.crews.map(({ role }) => role)).toEqual(["active"]);
    expect(bed.ways.at(-1)?.draining).toBeNull();
  });

  test("starts again whom the one before was about to, after what is left of the wait, and waits longer the next time", async () => {
    const bed = await servingBed(1);
    bed.worker(0).events.onEnded(KILLED);
    bed.worker(1).ready();
    bed.worker(1).events.onEnded(KILLED);
    bed.timers.advance(60);
    const { launched } = succeed(bed);
    bed.timers.advance(39);
    expect(launched).toHaveLength(0);
    bed.timers.advance(1);
    expect(launched).toHaveLength(1);
    launched[0]?.events.onEnded(KILLED);
    bed.timers.advance(199);
    expect(launched).toHaveLength(1);
    bed.timers.advance(1);
    expect(launched).toHaveLength(2);
  });

  test("can be renewed, on the bank that is free", async () => {
    const bed = await servingBed(1);
    const { supervisor } = succeed(bed);
    const renewal = supervisor.renew(() => bed.plan("next", 1));
    bed.workers.at(-1)?.ready();
    expect(await renewal).toEqual({ ok: true, generation: 2 });
    expect(bed.ways.at(-1)?.active.first).toBe(BANK);
  });

  test("cannot begin while a crew is on its way, a worker is not steady, or all shall end", async () => {
    const bed = await servingBed(1);
    expect(bed.supervisor.handOver()).not.toBeNull();
    bed.worker(0).steady = false;
    expect(bed.supervisor.handOver()).toBeNull();
    bed.worker(0).steady = true;
    void bed.renew("second", 1);
    expect(bed.supervisor.handOver()).toBeNull();
    bed.worker(1).ready();
    await Promise.resolve();
    void bed.supervisor.drain();
    expect(bed.supervisor.handOver()).toBeNull();
    expect(bed.supervisor.isStopping).toBeTrue();
  });
});
