/** A real Prometheus: takes our metrics, our rules and our configuration, scrapes a running proxy, and fires an alert. */
import { describe, expect, test } from "bun:test";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { startBackend } from "../support/backends.ts";
import { metricsUrl, SHOWS_METRICS } from "../support/metrics.ts";
import { waitUntil } from "../support/net.ts";
import { startProcess } from "../support/process.ts";
import { startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";

const SHIPPED = join(import.meta.dirname, "..", "..", "packaging");
const RULES = join(SHIPPED, "prometheus", "spooky-alerts.yml");
const PROMETHEUS = process.env["SPOOKY_TEST_PROMETHEUS"] || null;
const PROMTOOL = process.env["SPOOKY_TEST_PROMTOOL"] || null;
const LACKING =
  "Prometheus: SPOOKY_TEST_PROMETHEUS and SPOOKY_TEST_PROMTOOL name no program (./scripts/test sets it up)";
const isLacking = PROMETHEUS === null || PROMTOOL === null;

/** What the dashboard asks, as Grafana would for all instances of the job and the last seconds. */
function panels(): readonly string[] {
  const text = readFileSync(join(SHIPPED, "grafana", "spooky.json"), "utf8");
  const { panels } = JSON.parse(text) as {
    readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
  };
  return panels.flatMap(({ targets }) =>
    targets.map(({ expr }) =>
      expr.replaceAll("$job", "spooky").replaceAll("$instance", ".*").replaceAll("$__rate_interval", "1m"),
    ),
  );
}

const CHECK = { path: "/health", interval: 100, timeout_ms: 200, failure_threshold: 1, success_threshold: 1 };

function promtool(args: readonly string[], input = ""): { readonly code: number; readonly text: string } {
  const done = Bun.spawnSync([must(PROMTOOL, LACKING), ...args], { stdin: Buffer.from(input) });
  return { code: done.exitCode, text: `${done.stdout.toString()}${done.stderr.toString()}`.trim() };
}

/** Looks and evaluates five times a second; alerts fire as soon as their condition is true. */
async function startPrometheus(target: string): Promise<string> {
  const folder = tempFolder("prometheus");
  writeTemp(folder, "rules.yml", readFileSync(RULES, "utf8").replaceAll(/^ *for: .*\n/gm, ""));
  const jobs = [{ job_name: "spooky", scrape_timeout: "200ms", static_configs: [{ targets: [target] }] }];
  const global = { scrape_interval: "200ms", evaluation_interval: "200ms" };
  const config = { global, scrape_configs: jobs, rule_files: ["rules.yml"] };
  const file = writeTemp(folder, "prometheus.yml", JSON.stringify(config));
  const options = [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, "data")}`];
  const child = startProcess({ command: [must(PROMETHEUS, LACKING), ...options, "--web.listen-address=127.0.0.1:0"] });
  const line = await child.waitForLine((text) => /address=127\.0\.0\.1:[1-9]/.test(text));
  return `http://${must(/address=(127\.0\.0\.1:\d+)/.exec(line)?.[1], "it says where it listens")}`;
}

async function ask(prometheus: string, path: string): Promise<string> {
  return await fetch(`${prometheus}/api/v1/${path}`).then((response) => response.text());
}

describe.skipIf(isLacking)(isLacking ? LACKING : "Prometheus", () => {
  test("takes the rules and the configuration that are shipped", () => {
    const folder = tempFolder("shipped");
    for (const name of ["prometheus.yml", "spooky-alerts.yml"])
      copyFileSync(join(SHIPPED, "prometheus", name), join(folder, name));
    expect(promtool(["check", "rules", RULES])).toMatchObject({ code: 0 });
    expect(promtool(["check", "config", join(folder, "prometheus.yml")])).toMatchObject({ code: 0 });
  });

  test("takes each expression of the dashboard", () => {
    const rules = panels().map((expr, i) => ({ record: `panel:${i}`, expr }));
    expect(rules.length).toBeGreaterThan(25);
    const file = (exprs: typeof rules): string =>
      writeTemp(tempFolder("panels"), "panels.yml", JSON.stringify({ groups: [{ name: "panels", rules: exprs }] }));
    expect(promtool(["check", "rules", file(rules)])).toMatchObject({ code: 0 });
    expect(promtool(["check", "rules", file([{ record: "panel:x", expr: "sum by (rate(" }])]).code).toBe(1);
  });

  test("scrapes a running proxy, and the alert for a pool without a backend fires", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const backends = [{ address: backend.address, health_check: CHECK }];
    const proxy = await startProxy({ pools: [{ prefix: "/", name: "api", backends }], extra: SHOWS_METRICS });
    const url = await metricsUrl(proxy);
    const text = await fetch(url).then((response) => response.text());
    // Its name is the one that the rule for memory asks for.
    const camel = "node_memory_MemTotal_bytes metric names should be written in 'snake_case' not 'camelCase'";
    expect(promtool(["check", "metrics"], text).text).toBe(camel);
    const prometheus = await startPrometheus(new URL(url).host);
    await waitUntil(async () =>
      (await ask(prometheus, "query?query=backend_healthy")).includes('"upstream_pool":"api"'),
    );
    expect(await ask(prometheus, "alerts")).toContain('"alerts":[]');
    await backend.stop();
    let alerts = "";
    await waitUntil(async () => {
      alerts = await ask(prometheus, "alerts");
      return alerts.includes('"alertname":"SpookyBackendAllDown"');
    });
    expect(alerts).toContain('"upstream_pool":"api"');
    expect(alerts).toContain('"state":"firing"');
    expect(await ask(prometheus, "targets")).toContain('"health":"up"');
    for (const expr of panels())
      expect(await ask(prometheus, `query?query=${encodeURIComponent(expr)}`)).toStartWith('{"status":"success"');
  });
});
