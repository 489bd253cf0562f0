/** Clocks that jump, processes that stand still, and memory that is used up: the program lives, and serves as before once it is over. Row 110. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { MEMORY_GROUPS_MISSING, makeMemoryGroup } from "../support/memory-group.ts";
import { MOVED_CLOCK_MISSING, makeMovedClock } from "../support/moved-clock.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { askAll, servesAnew, startWorkers, workersOf } from "./worker-proxies.ts";

const LACK = aioquicPython === null ? AIOQUIC_MISSING : null;
const HANGS_AFTER_MS = 90_000;
const REQUESTS = 40;
const DAY_SECONDS = 86_400;
const GROUP_BYTES = 512 * 1024 * 1024;

async function statuses(port: number, path = "/small", count = REQUESTS): Promise<Readonly<Record<string, number>>> {
  const steps = [{ do: "request", path, count, concurrency: 4 }] as const;
  const { bulks } = await runAioquicOnce({ port, events: false, steps });
  return bulks[0]?.statuses ?? {};
}

async function expectStops(proxy: RunningProxy): Promise<void> {
  expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
}

describe.skipIf((LACK ?? MOVED_CLOCK_MISSING) !== null)(LACK ?? MOVED_CLOCK_MISSING ?? "a clock", () => {
  test.each([DAY_SECONDS, -DAY_SECONDS])(
    "that jumps by %d s ends nothing and keeps nobody out",
    async (seconds) => {
      const clock = makeMovedClock();
      const backend = await startBackend({ protocol: "http1" });
      const health_check = { path: "/health", interval: 100, timeout_ms: 1000 };
      const proxy = await startWorkers(2, backend.address, {
        pools: [{ prefix: "/", backends: [{ address: backend.address, health_check }] }],
        env: clock.env,
        extra: { workers: 2, performance: { retry: "always" } },
      });
      const steps = [
        { do: "start", id: "held", path: "/hold" },
        { do: "say", text: "asked" },
        { do: "cue" },
        { do: "wait" },
        { do: "request", id: "after", path: "/small" },
      ] as const;
      const run = startAioquic({ port: proxy.port, steps });
      await run.event("said", { text: "asked" });
      await backend.holding(1);
      clock.move(seconds);
      const checks = backend.seen.length;
      expect(await statuses(proxy.port)).toEqual({ 200: REQUESTS });
      backend.release();
      run.cue();
      const connection = must((await run.connections)[0], "there is one connection");
      for (const id of ["held", "after"])
        expect(exchangeOf(connection, id)).toMatchObject({ status: 200, ended: true });
      const line = await logLine(proxy, { msg: "request", path: "/hold" });
      expect(Number(line["duration"])).toBeWithin(0, HANGS_AFTER_MS / 1000);
      expect(Math.abs(Date.parse(String(line["time"])) - Date.now() - seconds * 1000)).toBeLessThan(HANGS_AFTER_MS);
      expect(backend.seen.length).toBeGreaterThan(checks);
      await expectStops(proxy);
      expect((await logLine(proxy, { msg: "counted" }))["worker_restarts"] ?? 0).toBe(0);
    },
    HANGS_AFTER_MS,
  );
});

describe.skipIf(LACK !== null)(LACK ?? "processes that stand still", () => {
  const standing = { do: "sleep", ms: 3000 } as const;

  test(
    "all for some seconds: nobody is killed for it, and what ran goes on",
    async () => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startWorkers(2, backend.address, { extra: { workers: 2 } });
      const before = workersOf(proxy);
      const pids = [proxy.process.pid, ...Object.values(before)];
      const run = startAioquic({
        port: proxy.port,
        steps: [
          { do: "request", id: "before", path: "/small" },
          { do: "say", text: "asked" },
          { do: "cue" },
          { do: "start", id: "during", path: "/small" },
          standing,
          { do: "say", text: "waited" },
          { do: "wait" },
        ],
      });
      await run.event("said", { text: "asked" });
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      run.cue();
      await run.event("said", { text: "waited" });
      for (const pid of pids) process.kill(pid, "SIGCONT");
      const connection = must((await run.connections)[0], "there is one connection");
      expect(exchangeOf(connection, "during")).toMatchObject({ status: 200, ended: true });
      await askAll(proxy, 2);
      expect(workersOf(proxy)).toEqual(before);
      await expectStops(proxy);
    },
    HANGS_AFTER_MS,
  );

  test(
    "one worker, until it is taken for dead: another one takes its place",
    async () => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startWorkers(2, backend.address, { extra: { workers: 2 } });
      const pid = must(workersOf(proxy)["h3-worker-0"], "there is a worker");
      process.kill(pid, "SIGSTOP");
      await servesAnew(proxy, 0, pid);
      await askAll(proxy, 2);
      await expectStops(proxy);
      expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ worker_restarts: 1 });
    },
    HANGS_AFTER_MS,
  );

  test(
    "the supervisor: workers serve meanwhile, and are the same afterwards",
    async () => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startWorkers(2, backend.address, { extra: { workers: 2 } });
      const before = workersOf(proxy);
      process.kill(proxy.process.pid, "SIGSTOP");
      await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", path: "/small" }, standing] });
      process.kill(proxy.process.pid, "SIGCONT");
      await askAll(proxy, 2);
      expect(workersOf(proxy)).toEqual(before);
      await expectStops(proxy);
    },
    HANGS_AFTER_MS,
  );
});

describe.skipIf((LACK ?? MEMORY_GROUPS_MISSING) !== null)(LACK ?? MEMORY_GROUPS_MISSING ?? "memory", () => {
  test(
    "that is used up: the kernel ends a worker, and another one takes its place",
    async () => {
      const backend = await startBackend({ protocol: "http1" });
      const group = makeMemoryGroup(GROUP_BYTES);
      const proxy = await startWorkers(2, backend.address, { place: group, extra: { workers: 2 } });
      const pid = must(workersOf(proxy)["h3-worker-0"], "there is a worker");
      await group.endByMemory(pid);
      await servesAnew(proxy, 0, pid);
      await askAll(proxy, 2);
      expect(await logLine(proxy, { msg: "worker ended: started again", pid })).toMatchObject({ signal: "SIGKILL" });
      await expectStops(proxy);
    },
    HANGS_AFTER_MS,
  );
});
