/** What a service manager hears (sd_notify): from the start over reloads and an upgrade to the stop, on a socket with a path and on an abstract one. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type RunningProcess, startProcess } from "../support/process.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { changeConfig, renewed, workersOf } from "./worker-proxies.ts";

const RECORDER = join(import.meta.dir, "..", "support", "notify_recorder.py");
const POOLS = [{ prefix: "/", backends: ["127.0.0.1:9"] }];
/** So that the program says every 100 ms that it lives. */
const WATCHDOG_US = 200_000;

async function recorderAt(address: string): Promise<RunningProcess> {
  const recorder = startProcess({ command: ["python3", RECORDER, address] });
  await recorder.waitForLine((line) => line === "listening");
  return recorder;
}

/** Told so far, without the signs of life. */
function told({ stdout }: RunningProcess): string[][] {
  const lines: string[][] = stdout.filter((line) => line.startsWith("[")).map((line) => JSON.parse(line));
  return lines.filter(([first]) => first !== "WATCHDOG=1");
}

/** Waits until the `count`th datagram that begins so. */
async function heard(recorder: RunningProcess, first: string, count = 1): Promise<void> {
  await recorder.waitForLine(() => recorder.stdout.filter((line) => line.startsWith(`["${first}"`)).length >= count);
}

function environmentOf(pid: number): string {
  return readFileSync(`/proc/${pid}/environ`, "utf8");
}

describe.skipIf(Bun.which("python3") === null)("a service manager", () => {
  const start = (address: string, extra: Readonly<Record<string, unknown>>): Promise<RunningProxy> =>
    startProxy({ pools: POOLS, extra, env: { NOTIFY_SOCKET: address, WATCHDOG_USEC: String(WATCHDOG_US) } });

  test("hears of the start, of reloads that work and that do not, of life, and of the stop", async () => {
    const address = join(tempFolder("notify"), "socket");
    const recorder = await recorderAt(address);
    const proxy = await start(address, { workers: 2 });
    await heard(recorder, "READY=1");
    expect(told(recorder)).toEqual([["READY=1", "STATUS=generation 1 serves, workers: 2"]]);
    await heard(recorder, "WATCHDOG=1", 3);
    for (const pid of Object.values(workersOf(proxy))) expect(environmentOf(pid)).not.toContain("NOTIFY_SOCKET");

    await renewed(proxy, "SIGHUP");
    await heard(recorder, "READY=1", 2);
    changeConfig(proxy, (text) => text.replace(/"version": ?1/, '"version": 99'));
    proxy.process.signal("SIGHUP");
    await heard(recorder, "READY=1", 3);
    proxy.process.signal("SIGTERM");
    expect((await proxy.process.ended).code).toBe(0);
    await heard(recorder, "STOPPING=1");
    const [, reloading, ready, again, failed, stopping] = told(recorder);
    expect(reloading).toEqual([
      "RELOADING=1",
      expect.stringMatching(/^MONOTONIC_USEC=\d+$/),
      "STATUS=reload under way",
    ]);
    expect(ready).toEqual(["READY=1", expect.stringMatching(/^STATUS=generation 2 serves, workers: [24]$/)]);
    expect(again?.[0]).toBe("RELOADING=1");
    expect(failed).toEqual([
      "READY=1",
      expect.stringMatching(/^STATUS=reload failed \(.*\); generation 2 serves, workers: \d$/),
    ]);
    expect(stopping?.[0]).toBe("STOPPING=1");
    // The clock of `systemctl reload`, which takes no answer from before it asked.
    const us = Number(/\d+/.exec(reloading?.[1] ?? "")?.[0]);
    const now = await startProcess({
      command: ["python3", "-c", "import time; print(time.clock_gettime(time.CLOCK_MONOTONIC))"],
    }).waitForLine(() => true);
    expect(us / 1e6).toBeLessThan(Number(now));
    expect(us / 1e6).toBeGreaterThan(Number(now) - 600);
  });

  test("on an abstract socket hears one process alone, too", async () => {
    const address = `@spooky-test-${process.pid}`;
    const recorder = await recorderAt(address);
    const proxy = await start(address, {});
    await heard(recorder, "READY=1");
    await heard(recorder, "WATCHDOG=1", 2);
    expect((await proxy.stop()).code).toBe(0);
    await heard(recorder, "STOPPING=1");
    expect(told(recorder).map(([first]) => first)).toEqual(["READY=1", "STOPPING=1"]);
  });
});
