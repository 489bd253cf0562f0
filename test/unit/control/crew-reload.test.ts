import { describe, expect, test } from "bun:test";
import { CrewReloads } from "../../../src/control/crew-reload.ts";
import { makeSeats, type Seat, type WorkerPort } from "../../../src/control/seat.ts";
import type { Order, PrepareOrder, ReloadReport } from "../../../src/control/worker-link.ts";
import { must } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { settled } from "../../support/desk-bed.ts";
import { ManualTimers } from "../../support/manual-timers.ts";

/** Seats whose workers do what the test says. */
class Bed {
  readonly timers = new ManualTimers();
  readonly reloads = new CrewReloads(this.timers);
  readonly seats: readonly Seat[];
  readonly orders: Order[][] = [];
  readonly killed: number[] = [];
  committed = 0;
  #attempts = 0;

  constructor(workers: number) {
    this.seats = makeSeats({ first: 0, count: workers }, null, 0);
    for (const seat of this.seats) {
      this.orders.push([]);
      this.employ(seat, 1);
    }
  }

  /** A worker is started with the configuration of that number. */
  employ(seat: Seat, generation: number): void {
    const worker: WorkerPort = {
      pid: 100 + seat.slot,
      send: (order) => void this.orders[seat.slot]?.push(order),
      kill: () => void this.killed.push(seat.slot),
      handOver: () => null,
    };
    seat.worker = worker;
    this.reloads.onLaunch(seat, generation);
  }

  seat(slot: number): Seat {
    return must(this.seats[slot], "there is that slot");
  }

  /** Gives what becomes of it: `done`, or the error's words. */
  reload(
    generation: number,
    slots = this.seats.map(({ slot }) => slot),
  ): { attempt: number; outcome: Promise<string> } {
    const attempt = (this.#attempts += 1);
    const order: PrepareOrder = { type: "prepare", attempt, generation, configPath: "", configText: "" };
    const seats = slots.map((slot) => this.seat(slot));
    const run = this.reloads.run(order, seats, () => void (this.committed = generation));
    const outcome = run.then(
      () => "done",
      (thrown: unknown) => String(thrown),
    );
    return { attempt, outcome };
  }

  say(slot: number, type: "prepared" | "committed", attempt: number): void {
    this.reloads.onReport(this.seat(slot), { type, attempt });
  }

  refuse(slot: number, attempt: number, text: string): void {
    const report: ReloadReport = { type: "unprepared", attempt, text };
    this.reloads.onReport(this.seat(slot), report);
  }

  end(slot: number): void {
    const seat = this.seat(slot);
    seat.worker = null;
    this.reloads.onEnded(seat);
  }

  types(slot: number): readonly string[] {
    return must(this.orders[slot], "there is that slot").map(({ type }) => type);
  }
}

describe("a reload of a crew", () => {
  test("is decided when all have it ready, and done when all have it at work", async () => {
    const bed = new Bed(2);
    const { attempt, outcome } = bed.reload(2);
    bed.say(0, "prepared", attempt);
    expect([bed.types(0), bed.types(1), bed.committed]).toEqual([["prepare"], ["prepare"], 0]);
    bed.say(1, "prepared", attempt);
    expect([bed.types(0), bed.types(1), bed.committed]).toEqual([["prepare", "commit"], ["prepare", "commit"], 2]);
    bed.say(0, "committed", attempt);
    expect(bed.reloads.isOpen).toBe(true);
    bed.say(1, "committed", attempt);
    expect(await outcome).toBe("done");
    expect([bed.reloads.isOpen, bed.timers.waiting]).toEqual([false, 0]);
  });

  test("is dropped by all when one cannot have it, in its words", async () => {
    const bed = new Bed(3);
    const { attempt, outcome } = bed.reload(2);
    bed.say(0, "prepared", attempt);
    bed.refuse(1, attempt, "cert.pem: no");
    expect(await outcome).toContain("cert.pem: no");
    // The one that has refused has nothing to drop.
    expect([bed.types(0), bed.types(1), bed.types(2)]).toEqual([
      ["prepare", "abandon"],
      ["prepare"],
      ["prepare", "abandon"],
    ]);
    bed.say(2, "prepared", attempt);
    expect([bed.committed, bed.reloads.isOpen, bed.timers.waiting]).toEqual([0, false, 0]);
  });

  test("is dropped when a worker ends while it makes it ready; not when one ends that has", async () => {
    const bed = new Bed(2);
    const first = bed.reload(2);
    bed.end(0);
    expect(await first.outcome).toContain("worker 0 ended while it made it ready");
    bed.employ(bed.seat(0), 1);
    const second = bed.reload(3);
    bed.say(0, "prepared", second.attempt);
    bed.end(0);
    bed.say(1, "prepared", second.attempt);
    bed.say(1, "committed", second.attempt);
    expect(await second.outcome).toBe("done");
  });

  test("is dropped when a worker is slow to make it ready; one that is slow to put it to work is killed", async () => {
    const bed = new Bed(2);
    const first = bed.reload(2);
    bed.say(1, "prepared", first.attempt);
    bed.timers.advance(LIMITS.reloadStepMsMax);
    expect(await first.outcome).toContain("worker 0 has not made it ready within 10 s");
    expect(bed.killed).toEqual([]);
    const second = bed.reload(3);
    for (const slot of [0, 1]) bed.say(slot, "prepared", second.attempt);
    bed.say(0, "committed", second.attempt);
    bed.timers.advance(LIMITS.reloadStepMsMax);
    expect([bed.killed, bed.committed]).toEqual([[1], 3]);
    bed.end(1);
    expect(await second.outcome).toBe("done");
  });

  test("hears nothing of other attempts and of words that come twice or too early", async () => {
    const bed = new Bed(2);
    const { attempt, outcome } = bed.reload(2);
    bed.say(0, "prepared", attempt + 1);
    bed.refuse(1, attempt - 1, "an old no");
    bed.say(0, "committed", attempt);
    for (let i = 0; i < 3; i++) bed.say(0, "prepared", attempt);
    expect(bed.committed).toBe(0);
    bed.say(1, "prepared", attempt);
    // Said too late: it is decided.
    bed.refuse(1, attempt, "after all no");
    bed.say(0, "prepared", attempt);
    expect(bed.reloads.isOpen).toBe(true);
    for (const slot of [0, 1]) bed.say(slot, "committed", attempt);
    expect(await outcome).toBe("done");
  });

  test("of nobody is done at once", async () => {
    const bed = new Bed(0);
    const { outcome } = bed.reload(2);
    expect(await outcome).toBe("done");
    expect(bed.committed).toBe(2);
  });

  test("is dropped when all shall end, unless it is decided", async () => {
    const bed = new Bed(1);
    const first = bed.reload(2);
    bed.reloads.stop();
    expect(await first.outcome).toContain("the program stops");
    expect(bed.types(0)).toEqual(["prepare", "abandon"]);
    const second = bed.reload(3);
    bed.say(0, "prepared", second.attempt);
    bed.reloads.stop();
    expect(await second.outcome).toBe("done");
    expect([bed.committed, bed.reloads.isOpen]).toEqual([3, false]);
  });
});

describe("a worker that serves after a reload has begun", () => {
  test("is asked, too, before it is decided", async () => {
    const bed = new Bed(2);
    const { attempt, outcome } = bed.reload(2, [0]);
    bed.reloads.onReady(bed.seat(1));
    bed.say(0, "prepared", attempt);
    expect(bed.committed).toBe(0);
    bed.say(1, "prepared", attempt);
    for (const slot of [0, 1]) bed.say(slot, "committed", attempt);
    expect(await outcome).toBe("done");
  });

  test("gets it afterwards when it was started with the one before; one that was started with it is let alone", async () => {
    const bed = new Bed(2);
    const { attempt } = bed.reload(2, [0]);
    bed.say(0, "prepared", attempt);
    bed.say(0, "committed", attempt);
    bed.reloads.onReady(bed.seat(1));
    expect(bed.types(1)).toEqual(["prepare"]);
    bed.say(1, "prepared", attempt);
    bed.say(1, "committed", attempt);
    expect(bed.types(1)).toEqual(["prepare", "commit"]);
    bed.reloads.onReady(bed.seat(1));
    expect(bed.types(1)).toEqual(["prepare", "commit"]);
    await settled();
    bed.employ(bed.seat(1), 2);
    bed.reloads.onReady(bed.seat(1));
    expect([bed.types(1), bed.killed, bed.reloads.isOpen]).toEqual([["prepare", "commit"], [], false]);
  });

  test("and cannot have what all others have ends", async () => {
    const bed = new Bed(2);
    const { attempt } = bed.reload(2, [0]);
    bed.say(0, "prepared", attempt);
    bed.say(0, "committed", attempt);
    bed.reloads.onReady(bed.seat(1));
    bed.refuse(1, attempt, "no");
    await settled();
    expect(bed.killed).toEqual([1]);
  });

  test("and ends while it is given that leaves its successor alone", async () => {
    const bed = new Bed(2);
    const { attempt } = bed.reload(2, [0]);
    bed.say(0, "prepared", attempt);
    bed.say(0, "committed", attempt);
    bed.reloads.onReady(bed.seat(1));
    bed.end(1);
    bed.employ(bed.seat(1), 2);
    await settled();
    expect(bed.killed).toEqual([]);
  });

  test("has the newest in the end, however many are decided while it is given the one before", async () => {
    const bed = new Bed(2);
    const first = bed.reload(2, [0]);
    bed.say(0, "prepared", first.attempt);
    bed.say(0, "committed", first.attempt);
    expect(await first.outcome).toBe("done");
    const second = bed.reload(3, [0]);
    bed.reloads.onReady(bed.seat(1));
    bed.say(0, "prepared", second.attempt);
    expect(bed.committed).toBe(3);
    bed.say(1, "prepared", first.attempt);
    bed.say(1, "committed", first.attempt);
    bed.say(0, "committed", second.attempt);
    expect(await second.outcome).toBe("done");
    await settled();
    expect(bed.orders[1]?.at(-1)).toMatchObject({ type: "prepare", generation: 3 });
    bed.say(1, "prepared", second.attempt);
    bed.say(1, "committed", second.attempt);
    await settled();
    expect(bed.types(1)).toEqual(["prepare", "commit", "prepare", "commit"]);
    expect([bed.killed, bed.reloads.isOpen]).toEqual([[], false]);
  });

  test("is asked for what is being made ready once it has what is at work", async () => {
    const bed = new Bed(2);
    const first = bed.reload(2, [0]);
    bed.say(0, "prepared", first.attempt);
    bed.say(0, "committed", first.attempt);
    await first.outcome;
    const second = bed.reload(3, [0]);
    bed.reloads.onReady(bed.seat(1));
    bed.say(1, "prepared", first.attempt);
    bed.say(1, "committed", first.attempt);
    await settled();
    bed.say(0, "prepared", second.attempt);
    expect(bed.committed).toBe(2);
    bed.say(1, "prepared", second.attempt);
    expect(bed.committed).toBe(3);
    for (const slot of [0, 1]) bed.say(slot, "committed", second.attempt);
    expect(await second.outcome).toBe("done");
  });
});
