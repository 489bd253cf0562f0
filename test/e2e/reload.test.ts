/**
 * Reloads where the workers are: no other process, no request that fails, nothing left behind. Row 102. SPOOKY_TEST_RELOADS=100 asks for so
 * many, one each 200 ms, and prints what was counted.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, startAioquic } from "../interop/aioquic.ts";
import { startAioquicLoad } from "../interop/aioquic-load.ts";
import { startBackend } from "../support/backends.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { expectNoLoss, TIMES, USERS } from "./renewal-loads.ts";
import { edit, get, linesOf, reload, reweigh } from "./reloads.ts";
import { startWorkers, workersOf } from "./worker-proxies.ts";

const RELOADS = Number(process.env["SPOOKY_TEST_RELOADS"] ?? 20);
const EVERY_MS = 200;

interface Held {
  readonly descriptors: number;
  readonly residentKib: number;
}

function heldBy(pids: readonly number[]): Held {
  const descriptors = pids.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
  const resident = pids.map((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]));
  return { descriptors, residentKib: resident.reduce((sum, kib) => sum + kib, 0) };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A load and reloads one after the other; the first of them come before anything is measured. */
async function reloadUnderLoad(proxy: RunningProxy, pids: () => readonly number[]): Promise<void> {
  const before = pids();
  const load = startAioquicLoad({ port: proxy.port, path: "/small", users: USERS, requests_per_connection: 40 });
  await load.more(200);
  const held = heldBy(before);
  for (let i = 0; i < RELOADS; i++) {
    reweigh(proxy, 1 + (i % 7));
    proxy.process.signal("SIGHUP");
    await pause(EVERY_MS);
  }
  // The last word counts, however many came at once.
  reweigh(proxy, 9);
  const last = await reload(proxy);
  expect(last).toMatchObject({ how: "in_place" });
  await load.more(200);
  expect(pids()).toEqual(before);
  const after = heldBy(before);
  const done = linesOf(proxy, "reload done");
  if (process.env["SPOOKY_TEST_RELOADS"] !== undefined)
    console.log(JSON.stringify({ reloads: done.length, generation: last["generation"], held, after }));
  expect(done.every(({ how }) => how === "in_place" || how === "unchanged")).toBe(true);
  expect(Number(last["generation"])).toBeGreaterThan(RELOADS / 2);
  // Connections of clients come and go meanwhile; what grew with each reload would be more than that.
  expect(after.descriptors - held.descriptors).toBeLessThan(RELOADS);
  const result = await load.stop();
  if (process.env["SPOOKY_TEST_RELOADS"] !== undefined) console.log(JSON.stringify(result));
  expect(result).toMatchObject({ failed: 0, ok: result.sent - result.moved, goaways: 0 });
  expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
}

const backendOf = () => startBackend({ protocol: "http1" });

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "reloads in place", () => {
  test("under load fail no request and leave nothing behind (two workers)", async () => {
    const backend = await backendOf();
    const proxy = await startWorkers(2, backend.address, { extra: { workers: 2, performance: TIMES } });
    await reloadUnderLoad(proxy, () => Object.values(workersOf(proxy)));
  });

  test("under load fail no request and leave nothing behind (one process)", async () => {
    const backend = await backendOf();
    const proxy = await startProxy({
      pools: [{ prefix: "/", backends: [backend.address] }],
      extra: { performance: TIMES },
    });
    await reloadUnderLoad(proxy, () => [proxy.process.pid]);
  });

  test("new requests go by the new configuration, and those that run keep the one that they began with", async () => {
    const [first, second] = [await backendOf(), await backendOf()];
    const proxy = await startWorkers(2, first.address, { extra: { workers: 2, performance: TIMES } });
    const run = startAioquic({
      port: proxy.port,
      steps: [
        { do: "start", id: "h", path: "/hold" },
        { do: "say", text: "asked" },
        { do: "cue" },
        { do: "request", id: "n", path: "/small" },
        { do: "release" },
        { do: "wait" },
      ],
    });
    await run.event("said", { text: "asked" });
    await first.holding(1);
    const workers = workersOf(proxy);
    writeFileSync(proxy.configFile, readFileSync(proxy.configFile, "utf8").replaceAll(first.address, second.address));
    expect(await reload(proxy)).toMatchObject({ how: "in_place", generation: 2 });
    expect(workersOf(proxy)).toEqual(workers);
    first.release();
    run.cue();
    const connection = must((await run.connections)[0], "there is one connection");
    expect(exchangeOf(connection, "h")).toMatchObject({ status: 200, ended: true });
    expect(exchangeOf(connection, "n")).toMatchObject({ status: 200, ended: true });
    const targets = ({ seen }: typeof first): string[] => seen.map(({ target }) => target);
    expect([targets(first), targets(second)]).toEqual([["/hold"], ["/small"]]);
    await proxy.process.stop();
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a reload", () => {
  test("a worker that is started again afterwards has the newest configuration", async () => {
    const backend = await backendOf();
    const proxy = await startWorkers(1, backend.address, {
      pools: [{ prefix: "/old", backends: [backend.address] }],
      extra: { workers: 1, performance: TIMES },
    });
    expect(await get(proxy, "/old/small")).toBe(200);
    writeFileSync(proxy.configFile, readFileSync(proxy.configFile, "utf8").replaceAll("/old", "/new"));
    await reload(proxy);
    expect([await get(proxy, "/old/small"), await get(proxy, "/new/small")]).toEqual([404, 200]);
    const pid = must(Object.values(workersOf(proxy))[0], "there is a worker");
    process.kill(pid, "SIGKILL");
    await proxy.process.waitForLine(
      (line) => line.includes('"msg":"worker serves"') && !line.includes(`"pid":${pid},`),
    );
    expect([await get(proxy, "/old/small"), await get(proxy, "/new/small")]).toEqual([404, 200]);
    await proxy.process.stop();
  });

  test("nothing has changed: nothing is done; a wrong file: all stays, and why is in the log", async () => {
    const backend = await backendOf();
    const proxy = await startWorkers(1, backend.address, { extra: { workers: 1, performance: TIMES } });
    expect(await reload(proxy)).toMatchObject({ how: "unchanged", generation: 1 });
    edit(proxy, (document) => Object.assign(document, { nonsense: 1 }));
    proxy.process.signal("SIGHUP");
    expect(String((await logLine(proxy, { msg: "renewal failed: all stays as it is" }))["reason"])).toContain(
      "nonsense",
    );
    expect(await get(proxy, "/small")).toBe(200);
    await proxy.process.stop();
  });

  test("what a worker cannot change is done by new ones, and requests are lost by neither", async () => {
    const backend = await backendOf();
    const proxy = await startWorkers(1, backend.address, { extra: { workers: 1, performance: TIMES } });
    const load = startAioquicLoad({ port: proxy.port, path: "/small", users: USERS });
    await load.more(100);
    edit(proxy, (document) => Object.assign(document["performance"] ?? {}, { quic_initial_window_packets: 32 }));
    expect(await reload(proxy)).toMatchObject({ how: "new_workers", generation: 2 });
    // And while the crew before drains, what can be changed in place is.
    reweigh(proxy, 5);
    expect(await reload(proxy)).toMatchObject({ how: "in_place", generation: 3 });
    await load.more(100);
    await expectNoLoss(load, proxy);
  });
});
