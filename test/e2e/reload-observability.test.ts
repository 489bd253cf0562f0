/** What a running program shows of itself, changed by a reload; and what it shows of reloads. */
import { describe, expect, test } from "bun:test";
import { startBackend } from "../support/backends.ts";
import { metric, metricsUrl, readMetrics, SHOWS_METRICS } from "../support/metrics.ts";
import { waitUntil } from "../support/net.ts";
import { startProxy } from "../support/proxy.ts";
import { edit, reweigh } from "./reloads.ts";

const LAST_SUCCESSFUL = "spooky_config_last_reload_successful";
const LAST_SUCCESS_TIME = "spooky_config_last_reload_success_timestamp_seconds";

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
