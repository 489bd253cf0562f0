/** What a running program shows of itself, changed by a reload; and what it shows of reloads. */
import { describe, expect, test } from "bun:test";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { metric, metricsUrl, readMetrics, SHOWS_METRICS } from "../support/metrics.ts";
import { freePort, waitUntil } from "../support/net.ts";
import { startProxy } from "../support/proxy.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { edit, get, reload, reweigh } from "./reloads.ts";

const LAST_SUCCESSFUL = "spooky_config_last_reload_successful";
const LAST_SUCCESS_TIME = "spooky_config_last_reload_success_timestamp_seconds";

const KINDS = [
  ["two workers", { workers: 2 }],
  ["one process", { supervisor: "off" }],
] as const;

type Answer = number | "refused";

async function answer(port: number): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
  return response?.status ?? "refused";
}

function health(port: number | null): object {
  const shown = port === null ? { enabled: false } : { address: "127.0.0.1", port };
  return { observability: { metrics: { enabled: false }, health: shown } };
}

describe.each(KINDS)("doors, by a reload of %s", (_, extra) => {
  test("are opened, moved and closed; where a port is taken all stays as it was", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const pools = [{ prefix: "/", backends: [backend.address] }];
    const proxy = await startProxy({ pools, extra: { ...extra, ...health(null) } });
    const [first, second] = [await freePort(), await freePort()];
    const become = async (port: number | null): Promise<readonly Answer[]> => {
      edit(proxy, (document) => Object.assign(document, health(port)));
      expect(await reload(proxy)).toMatchObject({ how: "in_place" });
      return [await answer(first), await answer(second)];
    };
    expect(await become(first)).toEqual([200, "refused"]);
    expect(await become(second)).toEqual(["refused", 200]);
    using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    edit(proxy, (document) => Object.assign(document, health(taken.port)));
    reweigh(proxy, 3);
    proxy.process.signal("SIGHUP");
    const { reason } = await logLine(proxy, { msg: "renewal failed: all stays as it is" });
    expect(reason).toBe(`observability.health.port: 127.0.0.1:${taken.port} is taken by another process`);
    expect([await answer(first), await answer(second)]).toEqual(["refused", 200]);
    expect(await become(null)).toEqual(["refused", "refused"]);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });
});

describe.skipIf(aioquicPython === null).each(KINDS)(
  aioquicPython === null ? AIOQUIC_MISSING : "the log, by a reload of %s",
  (_, extra) => {
    test("has another form and other rules for requests, in the same place", async () => {
      const backend = await startBackend({ protocol: "http1" });
      const pools = [{ prefix: "/", backends: [backend.address] }];
      const proxy = await startProxy({ pools, extra });
      const log = (settings: object): void =>
        edit(proxy, (document) => Object.assign(document, { log: { level: "info", format: "json", ...settings } }));
      log({ format: "plain", access: { query: "drop" } });
      proxy.process.signal("SIGHUP");
      await proxy.process.waitForLine((line) => / INFO {2}reload done .*how=in_place/.test(line));
      expect(await get(proxy, "/small?a=1")).toBe(200);
      const line = await proxy.process.waitForLine((text) => / INFO {2}request /.test(text));
      expect(line).toContain(" path=/small ");
      log({ access: { query: "redact" } });
      expect(await reload(proxy)).toMatchObject({ how: "in_place", generation: 3 });
      expect(await get(proxy, "/small?b=2")).toBe(200);
      await proxy.process.waitForLine((text) => text.includes('"path":"/small?[redacted]"'));
      log({ access: { enabled: false } });
      expect(await reload(proxy)).toMatchObject({ how: "in_place" });
      expect(await get(proxy, "/small?c=3")).toBe(200);
      await stoppedLine(proxy.process);
      const requests = proxy.process.stdout.filter((text) => text.includes('"msg":"request"'));
      expect(requests.length).toBe(1);
    });
  },
);

describe("a reload", () => {
  test("is in the metrics with what became of it", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const pools = [{ prefix: "/", backends: [backend.address] }];
    const proxy = await startProxy({ pools, extra: SHOWS_METRICS });
    const url = await metricsUrl(proxy);
    const successful = async (value: number): Promise<ReadonlyMap<string, number>> => {
      await waitUntil(async () => metric(await readMetrics(url), LAST_SUCCESSFUL) === value);
      return await readMetrics(url);
    };
    const started = await successful(1);
    expect(metric(started, LAST_SUCCESS_TIME)).toBe(metric(started, "process_start_time_seconds"));
    edit(proxy, (document) => Object.assign(document, { nonsense: 1 }));
    proxy.process.signal("SIGHUP");
    const failed = await successful(0);
    expect(metric(failed, 'spooky_config_reloads_total{result="failed"}')).toBe(1);
    expect(metric(failed, LAST_SUCCESS_TIME)).toBe(metric(started, LAST_SUCCESS_TIME));
    edit(proxy, (document) => Reflect.deleteProperty(document, "nonsense"));
    reweigh(proxy, 2);
    proxy.process.signal("SIGHUP");
    const done = await successful(1);
    expect(metric(done, 'spooky_config_reloads_total{result="in_place"}')).toBe(1);
    expect(metric(done, LAST_SUCCESS_TIME)).toBeGreaterThan(metric(started, LAST_SUCCESS_TIME));
    await proxy.process.stop();
  });
});
