/** What a running proxy shows of itself: the truth for all its workers, whatever becomes of them. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { metric, metricsUrl, readMetrics, SHOWS_METRICS, sumOf, wentBack } from "../support/metrics.ts";
import { waitUntil } from "../support/net.ts";
import { startProxy } from "../support/proxy.ts";
import { logLine } from "./log-lines.ts";
import { askAll, CONNECTIONS, renewed, servesAnew, startWorkers, workersOf } from "./worker-proxies.ts";

const REQUESTS = "http_requests_total{";
const EACH = 2;
const ALL = CONNECTIONS * EACH;

/** All requests and processes so far, from a proxy of two workers. */
function expectWhole(first: ReadonlyMap<string, number>): void {
  const labels = 'upstream_pool="pool_0",backend="backend-0",protocol="h3",method="GET",status="200"';
  expect(metric(first, `${REQUESTS}${labels}}`)).toBe(ALL);
  expect(metric(first, 'http_request_duration_seconds_count{upstream_pool="pool_0"}')).toBe(ALL);
  expect(metric(first, 'http_request_duration_seconds_bucket{upstream_pool="pool_0",le="+Inf"}')).toBe(ALL);
  expect(metric(first, "spooky_connections_established_total")).toBe(CONNECTIONS);
  expect(metric(first, "spooky_handshake_duration_seconds_count")).toBe(CONNECTIONS);
  expect(metric(first, 'spooky_workers{role="active"}')).toBe(2);
  expect(metric(first, 'backend_healthy{upstream_pool="pool_0",backend="backend-0"}')).toBe(1);
  expect(metric(first, "process_open_fds")).toBeLessThan(metric(first, "process_max_fds"));
  expect(metric(first, "process_resident_memory_bytes")).toBeGreaterThan(sumOf(first, "spooky_worker_resident_memory"));
  expect(metric(first, "process_resident_memory_bytes")).toBeLessThan(metric(first, "node_memory_MemTotal_bytes"));
  expect(sumOf(first, "spooky_certificate_expiry_timestamp_seconds")).toBeGreaterThan(Date.now() / 1000);
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "metrics", () => {
  test("are the sums of all workers, and never go back: neither with a death, a reload nor an upgrade", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address, { extra: SHOWS_METRICS });
    const url = await metricsUrl(proxy);
    let highest = 0;
    let last: ReadonlyMap<string, number> = new Map();
    /** Asks until so many requests are counted, and sees to it that no answer has fewer than one before it. */
    const counted = async (count: number): Promise<ReadonlyMap<string, number>> => {
      let metrics: ReadonlyMap<string, number> = new Map();
      await waitUntil(async () => {
        metrics = await readMetrics(url);
        expect(wentBack(last, metrics)).toEqual([]);
        last = metrics;
        const now = sumOf(metrics, REQUESTS);
        expect(now).toBeGreaterThanOrEqual(highest);
        highest = now;
        return now >= count;
      });
      expect(highest).toBe(count);
      return metrics;
    };
    await askAll(proxy, EACH);
    const first = await counted(ALL);
    expectWhole(first);
    const victim = must(workersOf(proxy)["h3-worker-0"], "there is a first worker");
    process.kill(victim, "SIGKILL");
    await servesAnew(proxy, 0, victim);
    const second = await counted(ALL);
    expect(metric(second, "spooky_worker_restarts_total")).toBe(1);
    await askAll(proxy, EACH);
    await counted(2 * ALL);
    await renewed(proxy, "SIGHUP");
    await askAll(proxy, EACH);
    const third = await counted(3 * ALL);
    expect(metric(third, "spooky_config_generation")).toBe(2);
    expect(metric(third, 'spooky_renewals_total{result="done"}')).toBe(1);
    // There are at most two crews.
    await logLine(proxy, { msg: "crew is gone", generation: 1 });
    await renewed(proxy, "SIGUSR2");
    await logLine(proxy, { msg: "the supervisor goes on as another program" });
    await askAll(proxy, EACH);
    const fourth = await counted(4 * ALL);
    expect(metric(fourth, "spooky_config_generation")).toBe(3);
    expect(metric(fourth, 'spooky_config_reloads_total{result="new_workers"}')).toBe(1);
    expect(metric(fourth, "process_cpu_seconds_total")).toBeGreaterThan(metric(third, "process_cpu_seconds_total"));
    const cpu = "process_cpu_seconds_total";
    expect(metric(second, cpu)).toBeGreaterThanOrEqual(metric(first, cpu));
    expect(metric(third, cpu)).toBeGreaterThanOrEqual(metric(second, cpu));
    // The packets of connections that have ended.
    expect(metric(third, "spooky_quic_packets_sent_total")).toBeGreaterThan(CONNECTIONS);
  });

  test("of one process alone are of the same form", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startProxy({
      pools: [{ prefix: "/", backends: [backend.address] }],
      extra: SHOWS_METRICS,
    });
    const url = await metricsUrl(proxy);
    await askAll(proxy, EACH);
    const metrics = await readMetrics(url);
    expect(sumOf(metrics, REQUESTS, 'status="200"')).toBe(ALL);
    expect(metric(metrics, 'spooky_workers{role="active"}')).toBe(1);
    expect(metric(metrics, "process_cpu_seconds_total")).toBeGreaterThan(0);
    const open = await fetch(url, { headers: { accept: "application/openmetrics-text" } });
    expect(open.headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect((await open.text()).endsWith("# EOF\n")).toBe(true);
  });
});
