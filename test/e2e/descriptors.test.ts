/** Programs that get no further descriptor: they say so, serve what they can, live, and go on as before once there are some again. Row 110. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { AIOQUIC_MISSING, aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";
import { type BackendProtocol, startBackend } from "../support/backends.ts";
import { giveDescriptors, LIMITS_MISSING, useUpDescriptors } from "../support/descriptor-limit.ts";
import { metricsUrl, readMetrics, SHOWS_METRICS, sumOf } from "../support/metrics.ts";
import { waitUntil } from "../support/net.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, type RunningProxy, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { servesAnew, startWorkers, workersOf } from "./worker-proxies.ts";

const LACK = LIMITS_MISSING ?? (aioquicPython === null ? AIOQUIC_MISSING : null);
const HANGS_AFTER_MS = 60_000;
const REQUESTS = 6;

/** Requests on one connection, by their status. */
async function ask({ port }: RunningProxy): Promise<Readonly<Record<string, number>>> {
  const steps = [{ do: "request", path: "/small", count: REQUESTS, concurrency: 2 }] as const;
  const { bulks } = await runAioquicOnce({ port, events: false, steps });
  return bulks[0]?.statuses ?? {};
}

describe.skipIf(LACK !== null)(LACK ?? "without a descriptor", () => {
  test.each(["http1", "h2c", "h2", "https1"] satisfies BackendProtocol[])(
    "backends (%s) are not reached, which is no fault of theirs, and are when there is one again",
    async (protocol) => {
      const backend = await startBackend({ protocol });
      const proxy = await startProxy({ pools: [{ prefix: "/", backends: [backend.address] }], supervisor: "off" });
      await useUpDescriptors(proxy.process.pid);
      expect(await ask(proxy)).toEqual({ 503: REQUESTS });
      const line = await logLine(proxy, { msg: "request", status: 503 });
      expect([line["error"], String(line["reason"])]).toEqual(["OVERLOADED", expect.stringContaining("no descriptor")]);
      await giveDescriptors(proxy.process.pid);
      expect(await ask(proxy)).toEqual({ 200: REQUESTS });
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
      const counted = await logLine(proxy, { msg: "counted" });
      expect(counted).toMatchObject({ "request_errors.OVERLOADED": REQUESTS, requests_failed: REQUESTS });
    },
    HANGS_AFTER_MS,
  );
});

describe.skipIf(LACK !== null)(LACK ?? "without a descriptor", () => {
  test(
    "workers live and are heard, and one that is killed comes back when its supervisor has one again",
    async () => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startWorkers(2, backend.address, { extra: { workers: 2, ...SHOWS_METRICS } });
      const url = await metricsUrl(proxy);
      const workers = Object.entries(workersOf(proxy));
      for (const [, pid] of workers) await useUpDescriptors(pid);
      expect(await ask(proxy)).toEqual({ 503: REQUESTS });
      // Known by what the worker says of itself each second, which it does with what it has.
      const failed = async (): Promise<number> =>
        sumOf(await readMetrics(url), "spooky_request_errors_total", "OVERLOADED");
      await waitUntil(async () => (await failed()) >= REQUESTS);
      for (const [, pid] of workers) await giveDescriptors(pid);
      await useUpDescriptors(proxy.process.pid);
      for (const [, pid] of workers.slice(0, 1)) process.kill(pid, "SIGKILL");
      await logLine(proxy, { msg: "worker cannot be started" });
      expect(await ask(proxy)).toEqual({ 200: REQUESTS });
      await giveDescriptors(proxy.process.pid);
      await servesAnew(proxy, 0, workers[0]?.[1] ?? 0);
      expect(await ask(proxy)).toEqual({ 200: REQUESTS });
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
      // As often as it was tried.
      expect((await logLine(proxy, { msg: "counted" }))["worker_restarts"]).toBeGreaterThan(0);
    },
    HANGS_AFTER_MS,
  );

  test(
    "whoever asks how the program is waits, and a reload that can read nothing changes nothing",
    async () => {
      const backend = await startBackend({ protocol: "http1" });
      const socket = join(tempFolder("control"), "control.sock");
      const proxy = await startProxy({
        pools: [{ prefix: "/", backends: [backend.address] }],
        supervisor: "off",
        extra: {
          control: { socket, watch: "certificates", watch_interval_ms: 50 },
          observability: { metrics: { enabled: false }, health: { address: "127.0.0.1", port: 0 } },
        },
      });
      const { address } = await logLine(proxy, { msg: "metrics or health listen" });
      await useUpDescriptors(proxy.process.pid);
      for (const name of ["SIGHUP", "SIGUSR1"] as const) proxy.process.signal(name);
      await logLine(proxy, { msg: "renewal failed: all stays as it is" });
      const status = runProcess({
        command: [...runnerCommand(defaultRunner()), "status", "--json", "--control", socket],
      });
      const health = fetch(`http://${String(address)}/health`);
      expect(await ask(proxy)).toEqual({ 503: REQUESTS });
      await giveDescriptors(proxy.process.pid);
      expect([(await health).status, (await status).code]).toEqual([200, 0]);
      expect(await ask(proxy)).toEqual({ 200: REQUESTS });
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    },
    HANGS_AFTER_MS,
  );
});
