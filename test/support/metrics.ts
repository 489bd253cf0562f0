/** Metrics of a running proxy, asked for as Prometheus does. */
import { must } from "../../src/core/assert.ts";
import type { RunningProxy } from "./proxy.ts";

/** For `ProxyOptions.extra`: metrics at a port that the system chooses. */
export const SHOWS_METRICS = { observability: { metrics: { port: 0 }, health: { enabled: false } } } as const;

/** Where a proxy shows its metrics, once it has said so. */
export async function metricsUrl(proxy: RunningProxy): Promise<string> {
  const line = await proxy.process.waitForLine((text) => text.includes(`"paths":"/metrics"`));
  const fields: Record<string, unknown> = JSON.parse(line);
  return `http://${String(fields["address"])}/metrics`;
}

/** Values by their names with labels, as the text has them. */
export async function readMetrics(url: string): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(url);
  if (response.status !== 200) throw new Error(`metrics are answered ${response.status}`);
  return parseMetrics(await response.text());
}

/** From the text. */
export function parseMetrics(text: string): ReadonlyMap<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** Counts of all kinds that are less than they were, or gone: there may be none. */
export function wentBack(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string[] {
  const isCount = (name: string): boolean => /_(?:total|bucket|count|sum)(?:\{|$)/.test(name);
  return [...before].flatMap(([name, value]) => {
    const now = after.get(name);
    return isCount(name) && (now === undefined || now < value) ? [`${name}: ${value}, then ${now}`] : [];
  });
}

/** By how much each has grown. */
export function grown(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): Readonly<Record<string, number>> {
  const pairs = [...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const);
  return Object.fromEntries(pairs.filter(([, difference]) => difference !== 0));
}

/** The sum of all that begin so. */
export function sumOf(metrics: ReadonlyMap<string, number>, begin: string, contains = ""): number {
  const found = [...metrics].filter(([name]) => name.startsWith(begin) && name.includes(contains));
  return found.reduce((sum, [, value]) => sum + value, 0);
}

/** One of them. */
export function metric(metrics: ReadonlyMap<string, number>, name: string): number {
  return must(metrics.get(name), `there is ${name}`);
}
