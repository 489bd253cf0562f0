import { describe, expect, test } from "bun:test";
import { must } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { DeskBed, settled } from "../../support/desk-bed.ts";

describe("a reload", () => {
  test("goes over in place, and is unchanged when asked for again", async () => {
    const bed = await DeskBed.open();
    bed.reweigh(2);
    expect(await bed.ask()).toMatchObject({ ok: true, generation: 2, how: "in_place" });
    expect(await bed.ask()).toMatchObject({ ok: true, generation: 2, how: "unchanged" });
    expect(bed.done).toEqual(["in place: 2"]);
    expect(bed.desk.status.reloads).toEqual({ in_place: 1, new_workers: 0, unchanged: 1, failed: 0 });
  });

  test("that fails says why, counts, and leaves the next one to the file", async () => {
    const bed = await DeskBed.open();
    bed.change((text) => text.replace('"version"', '"nonsense"'));
    expect(await bed.ask()).toMatchObject({ ok: false });
    expect(bed.desk.status).toMatchObject({ lastSuccessful: false, lastSuccessEpochMs: null, kept: 0 });
    expect(bed.desk.status.lastFailureEpochMs).toBe(bed.timers.epochMs());
    bed.change((text) => text.replace('"nonsense"', '"version"'));
    bed.reweigh(3);
    bed.failure = "worker 0 ended while it made it ready";
    expect(await bed.ask()).toEqual({ ok: false, reason: bed.failure, remedy: null });
    bed.failure = null;
    expect(await bed.ask()).toMatchObject({ ok: true, generation: 2 });
    expect(bed.desk.status).toMatchObject({ lastSuccessful: true, kept: 1 });
  });

  test("of a file that is gone by the time that it is weighed fails, and harms nobody", async () => {
    const bed = await DeskBed.open();
    bed.change((text) => text.replace(/"key": "[^"]*"/, '"key": "/nowhere/key.pem"'));
    const outcome = await bed.ask();
    expect(outcome).toMatchObject({ ok: false, reason: expect.stringContaining("/nowhere/key.pem cannot be read") });
    expect(bed.done).toEqual([]);
  });

  test("while another runs is the next one, with the file as it is by then, and all that ask for it share it", async () => {
    const bed = await DeskBed.open();
    const slow = Promise.withResolvers<void>();
    bed.slowly = slow.promise;
    bed.reweigh(2);
    const first = bed.ask();
    const others = [bed.ask(), bed.ask(), bed.ask()];
    bed.reweigh(5);
    slow.resolve();
    expect(await first).toMatchObject({ generation: 2 });
    expect(await Promise.all(others)).toMatchObject([{ generation: 3 }, { generation: 3 }, { generation: 3 }]);
    expect(bed.done).toEqual(["in place: 2", "in place: 5"]);
    expect(bed.desk.status.reloads).toMatchObject({ in_place: 2, unchanged: 0 });
  });

  test("has its turn after something else, and so has something else after it", async () => {
    const bed = await DeskBed.open();
    const order: string[] = [];
    const upgrade = Promise.withResolvers<void>();
    const job = bed.desk.alone(async () => {
      await upgrade.promise;
      order.push("upgrade");
      return { ok: true, generation: 1 };
    });
    bed.reweigh(2);
    const reload = bed.ask().then(() => order.push("reload"));
    expect(bed.desk.ledger.isReloadPending).toBe(true);
    upgrade.resolve();
    await Promise.all([job, reload]);
    expect(order).toEqual(["upgrade", "reload"]);
    expect(bed.desk.ledger.isReloadPending).toBe(false);
  });

  test("is refused when too many others of all kinds wait", async () => {
    const bed = await DeskBed.open();
    const slow = Promise.withResolvers<void>();
    bed.slowly = slow.promise;
    bed.reweigh(2);
    const first = bed.ask();
    const kinds = ["rollback", "reload"] as const;
    const waiting = Array.from({ length: LIMITS.renewalsWaitingMax }, (_, i) => bed.ask(must(kinds[i % 2], "one")));
    expect(await bed.ask("rollback")).toMatchObject({ ok: false, reason: "8 others wait for their turn" });
    slow.resolve();
    await Promise.all([first, ...waiting]);
  });
});

describe("a reload that needs new workers while others leave", () => {
  test("waits for them, says for how long, and takes the file as it is then", async () => {
    const bed = await DeskBed.open();
    bed.retire(1, 30_000);
    bed.employ(2);
    const waiting = bed.ask();
    await settled();
    expect(bed.heard).toEqual(["it waits: generation 1 still finishes what it has, for 30 s at most"]);
    expect(bed.log.find("reload waits for workers that finish what they have")).toEqual({
      ...{ waits_for: 1, most_ms: 30_000 },
    });
    bed.timers.advance(LIMITS.renewalWordMs);
    expect(bed.heard.at(-1)).toContain("for 20 s at most");
    bed.reweigh(4);
    bed.leaver?.finish();
    expect(await waiting).toMatchObject({ ok: true, generation: 2, how: "new_workers" });
    expect(bed.done).toEqual(["by new workers: 4"]);
    const words = bed.heard.length;
    bed.timers.advance(10 * LIMITS.renewalWordMs);
    expect([bed.heard.length, bed.timers.waiting]).toEqual([words, 0]);
  });

  test("is one with all later ones that need the same", async () => {
    const bed = await DeskBed.open();
    bed.retire(1, 30_000);
    const all = [];
    for (let workers = 2; workers < 6; workers++) {
      bed.employ(workers);
      all.push(bed.ask());
      await settled();
    }
    bed.leaver?.finish();
    expect(new Set(await Promise.all(all)).size).toBe(1);
    expect(bed.done).toEqual(["by new workers: 1"]);
    expect(bed.desk.status.reloads).toMatchObject({ new_workers: 1, failed: 0 });
  });

  test("lets pass what can be done in place, and is done by it when that is the newest file", async () => {
    const bed = await DeskBed.open();
    bed.retire(1, 30_000);
    bed.employ(2);
    const waiting = bed.ask();
    await settled();
    bed.employ(1);
    bed.reweigh(7);
    expect(await bed.ask()).toMatchObject({ ok: true, how: "in_place", generation: 2 });
    expect(await waiting).toMatchObject({ ok: true, how: "in_place", generation: 2 });
    bed.leaver?.finish();
    await settled();
    expect(bed.done).toEqual(["in place: 7"]);
  });

  test("goes on waiting when a later one fails, and gives way to a rollback", async () => {
    const bed = await DeskBed.open();
    bed.reweigh(2);
    await bed.ask();
    bed.retire(1, 30_000);
    bed.employ(2);
    const waiting = bed.ask();
    await settled();
    bed.change((text) => text.replace('"version"', '"nonsense"'));
    expect(await bed.ask()).toMatchObject({ ok: false });
    expect(bed.desk.ledger.isReloadPending).toBe(true);
    expect(await bed.ask("rollback")).toMatchObject({ ok: true, how: "in_place", generation: 3 });
    expect(await waiting).toEqual({
      ok: false,
      reason: "it waited for workers that finish what they have, and rollback was asked for after it",
      remedy: null,
    });
    bed.leaver?.finish();
    await settled();
    expect(bed.done).toEqual(["in place: 2", "in place: 1"]);
  });

  test("waits again when others leave by then", async () => {
    const bed = await DeskBed.open();
    bed.retire(1, 30_000);
    bed.employ(2);
    const waiting = bed.ask();
    await settled();
    const { leaver } = bed;
    bed.retire(2, 10_000);
    must(leaver, "somebody leaves").finish();
    bed.retire(2, 10_000);
    await settled();
    expect(bed.heard.at(-1)).toContain("generation 2 still finishes what it has, for 10 s at most");
    expect(bed.done).toEqual([]);
    bed.leaver?.finish();
    expect(await waiting).toMatchObject({ ok: true });
  });
});

describe("a rollback", () => {
  test("goes back one configuration at a time, as far as they are kept, and forgets what it came from", async () => {
    const bed = await DeskBed.open();
    expect(await bed.ask("rollback")).toMatchObject({ reason: "no configuration before this one is known" });
    for (let weight = 2; weight <= LIMITS.configurationsKeptMax + 3; weight++) {
      bed.reweigh(weight);
      await bed.ask();
    }
    expect(bed.desk.status.kept).toBe(LIMITS.configurationsKeptMax);
    bed.done.length = 0;
    for (let i = 0; i < LIMITS.configurationsKeptMax; i++)
      expect(await bed.ask("rollback")).toMatchObject({ ok: true, how: "in_place" });
    expect(bed.done).toEqual([10, 9, 8, 7, 6, 5, 4, 3].map((weight) => `in place: ${weight}`));
    expect(await bed.ask("rollback")).toMatchObject({ reason: "no configuration before this one is known" });
    // The file is as it was written last.
    expect(await bed.ask()).toMatchObject({ ok: true, how: "in_place" });
    expect(bed.done.at(-1)).toBe("in place: 11");
  });

  test("that fails can be asked for again", async () => {
    const bed = await DeskBed.open();
    bed.reweigh(2);
    await bed.ask();
    bed.failure = "worker 1 has not made it ready within 10 s";
    expect(await bed.ask("rollback")).toMatchObject({ ok: false });
    bed.failure = null;
    expect(await bed.ask("rollback")).toMatchObject({ ok: true });
    expect(bed.done).toEqual(["in place: 2", "in place: 1"]);
  });

  test("goes on in another program that has the ledger", async () => {
    const bed = await DeskBed.open();
    bed.reweigh(2);
    await bed.ask();
    const next = await DeskBed.open(JSON.parse(JSON.stringify(bed.desk.ledger)));
    expect(next.desk.status).toEqual(bed.desk.status);
    expect(await next.ask("rollback")).toMatchObject({ ok: true });
    expect(next.done).toEqual(["in place: 1"]);
  });
});
