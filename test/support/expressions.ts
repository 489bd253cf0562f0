/** What an expression in Prometheus' language asks for: its metrics, and the labels that it chooses and sums by. No parser: promtool is one. */
import type { Metric } from "../../src/observe/metrics/metric.ts";

/** Words of the language that stand where a metric might. */
const WORDS: ReadonlySet<string> = new Set(["and", "or", "unless", "bool", "group_left", "group_right", "offset"]);
/** Labels that a scrape adds. */
const ADDED = ["job", "instance"];
const GROUPING = /\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g;
/** A name that no bracket follows, which would make it a function, and what is chosen of it. */
const SELECTOR = /\b([a-zA-Z_]\w*)\b(?!\s*\()(?:\{([^}]*)\})?/g;

/** Names that are not there, and labels that their metrics do not have; labels of the outer expression may be those of any metric in it. */
export function expressionFaults(expr: string, metrics: readonly Metric[]): readonly string[] {
  const known = new Map(metrics.flatMap((metric) => seriesOf(metric).map((name) => [name, labelsOf(metric)] as const)));
  known.set("up", ADDED);
  const bare = expr.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""').replaceAll(/\[[^\]]*\]/g, "");
  const faults: string[] = [];
  const there = new Set<string>();
  let last = "";
  for (const [, name = "", matchers = ""] of bare.replaceAll(GROUPING, "").matchAll(SELECTOR)) {
    if (WORDS.has(name)) continue;
    const labels = known.get(name);
    if (labels === undefined) {
      faults.push(`${name}: no such metric`);
      continue;
    }
    last = name;
    for (const label of labels) there.add(label);
    const chosen = namesIn(matchers.replaceAll(/[!=~]+""/g, ""));
    faults.push(...chosen.filter((label) => !labels.includes(label)).map((label) => `${label}: no label of ${name}`));
  }
  const grouped = Array.from(bare.matchAll(GROUPING), ([, labels = ""]) => namesIn(labels)).flat();
  if (last === "") return faults;
  return [...faults, ...grouped.filter((label) => !there.has(label)).map((label) => `${label}: no label of ${last}`)];
}

function seriesOf({ name, type }: Metric): readonly string[] {
  return type === "histogram" ? ["_bucket", "_sum", "_count"].map((part) => `${name}${part}`) : [name];
}

function labelsOf({ type, labels }: Metric): readonly string[] {
  return [...labels, ...ADDED, ...(type === "histogram" ? ["le"] : [])];
}

function namesIn(text: string): string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}
