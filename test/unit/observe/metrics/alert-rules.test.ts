/** The rules that are shipped: those of the deployment guide as they stand there, and none that asks for what is not shown. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { METRICS } from "../../../../src/observe/metrics/exposition.ts";
import { expressionFaults } from "../../../support/expressions.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..", "..");
const SHIPPED = join(ROOT, "packaging", "prometheus", "spooky-alerts.yml");
const GUIDE = join(ROOT, "test", "golden", "guide-alerts.yml");

interface Rule {
  readonly alert: string;
  readonly expr: string;
}

interface Rules {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

function groupsOf(path: string): ReadonlyMap<string, readonly Rule[]> {
  const { groups } = Bun.YAML.parse(readFileSync(path, "utf8")) as Rules;
  return new Map(groups.map(({ name, rules }) => [name, rules]));
}

test("the guide's seven rules are shipped as they stand there, in their groups and in their order", () => {
  const [guide, shipped] = [groupsOf(GUIDE), groupsOf(SHIPPED)];
  expect([...guide.values()].flat()).toHaveLength(7);
  for (const [group, rules] of guide) expect(shipped.get(group)).toEqual(rules);
});

test("each rule has a name of its own", () => {
  const names = [...groupsOf(SHIPPED).values()].flatMap((rules) => rules.map(({ alert }) => alert));
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThan(7);
});

test("every rule and every panel of the dashboard asks for metrics and labels that there are", () => {
  const rules = [...groupsOf(SHIPPED).values()].flatMap((all) => all.map(({ expr }) => expr));
  const dashboard = readFileSync(join(ROOT, "packaging", "grafana", "spooky.json"), "utf8");
  const panels = Array.from(dashboard.matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g), ([, text = '""']) =>
    String(JSON.parse(text)),
  );
  expect(panels.length).toBeGreaterThan(20);
  expect([...rules, ...panels].flatMap((expr) => expressionFaults(expr, METRICS))).toEqual([]);
});

test("what is not there is found", () => {
  const faults = (expr: string): readonly string[] => expressionFaults(expr, METRICS);
  expect(faults('sum by (le) (rate(no_such_total{job="x"}[5m]))')).toEqual(["no_such_total: no such metric"]);
  expect(faults('http_requests_total{code="200"}')).toEqual(["code: no label of http_requests_total"]);
  expect(faults("sum by (pool) (rate(http_requests_total[5m]))")).toEqual(["pool: no label of http_requests_total"]);
  expect(faults("http_request_duration_seconds")).toEqual(["http_request_duration_seconds: no such metric"]);
});
