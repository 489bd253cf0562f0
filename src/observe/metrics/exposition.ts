/**
 * Metrics as text: that of Prometheus (version 0.0.4) and that of OpenMetrics 1.0. Pure. 100 pools of 10 backends take 5 ms and 0.7 MB
 * (`bench/micro/metrics.ts`), in the supervisor, where they hold up no request.
 */
import { seenName } from "../../core/counters.ts";
import { BORDERS_MS } from "../../core/histogram.ts";
import { isGauge, readLabels } from "../../core/labels.ts";
import { COUNTER_METRICS } from "./counter-table.ts";
import type { Metric, Sample } from "./metric.ts";
import type { MetricsScene } from "./scene.ts";
import { SCENE_METRICS } from "./scene-table.ts";

/** All metrics, in the order in which they are shown. */
export const METRICS: readonly Metric[] = [...SCENE_METRICS, ...COUNTER_METRICS];

/** A form of the text. */
export type MetricsForm = "prometheus" | "openmetrics";

/** What goes with each form. */
export const MEDIA_TYPES: Readonly<Record<MetricsForm, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

const MS_PER_SECOND = 1000;
/** Finer than any clock here: so that sums are no longer than they need be. */
const NS_PER_MS = 1_000_000;
const NS_PER_SECOND = 1_000_000_000;

/** The form that somebody with this Accept field likes best (RFC 9110 12.5.1); without one, Prometheus' own. */
export function formFor(accept: string | null): MetricsForm {
  let [open, plain] = [0, 0];
  for (const range of (accept ?? "").toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    const version = parameters
      .find((parameter) => parameter.startsWith("version="))
      ?.slice("version=".length)
      .replaceAll('"', "");
    const quality = Number(parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? 1);
    if (type === "application/openmetrics-text" && (version === undefined || version === "1.0.0"))
      open = Math.max(open, quality);
    if (type === "text/plain" || type === "text/*" || type === "*/*") plain = Math.max(plain, quality);
  }
  return open > 0 && open >= plain ? "openmetrics" : "prometheus";
}

/** The whole text. */
export function exposition(scene: MetricsScene, form: MetricsForm): string {
  const seen = new Seen(scene.counts);
  const writer = new MetricWriter(form);
  for (const metric of METRICS) {
    writer.begin(metric);
    const { source } = metric;
    if (source.kind === "histogram") writer.histogram(seen.histogram(seenName(source.histogram)), [], BORDERS_MS);
    else if (source.kind === "labelled-histogram")
      for (const { values, buckets } of seen.labelledHistograms(source.counts))
        writer.histogram(buckets, values, POOL_BORDERS_MS);
    else for (const [values, value] of samplesOf(metric, scene, seen)) writer.sample(values, value);
  }
  return writer.end();
}

/** Fewer where each pool has them all. */
const POOL_BORDERS_MS = BORDERS_MS.filter((border) => /^[0.]*(1|25|2\.5|5)0*$/.test(String(border)));

function samplesOf({ source }: Metric, scene: MetricsScene, seen: Seen): Iterable<Sample> {
  const { counts } = scene;
  switch (source.kind) {
    case "counter":
      return [[[], counts[seenName(source.counter)] ?? 0]];
    case "counters":
      return Object.entries(source.of).map(([word, counter]) => [[word], counts[seenName(counter)] ?? 0]);
    case "family":
      return seen.family(seenName(source.family));
    case "labelled":
      return seen.labelled(source.counts);
    case "scene":
      return source.read(scene);
    case "histogram":
    case "labelled-histogram":
      return [];
  }
}

/** Upper border in milliseconds, `Infinity` for the last, to how many; and the sum in milliseconds. */
interface Buckets {
  readonly counts: Map<number, number>;
  sumMs: number;
}

/** Counts found again by their names without words, borders and labels. */
class Seen {
  readonly #families = new Map<string, Sample[]>();
  readonly #labelled = new Map<string, Sample[]>();
  readonly #histograms = new Map<string, Buckets>();

  constructor(counts: Readonly<Record<string, number>>) {
    for (const [name, value] of Object.entries(counts)) {
      if (isGauge(name)) continue;
      const colon = name.indexOf(":");
      if (colon >= 0) this.#addBucket(name.slice(0, colon), name.slice(colon + 1), value);
      else if (name.includes("|")) this.#addLabelled(name, value);
      else this.#addWord(name, value);
    }
  }

  family(name: string): readonly Sample[] {
    return this.#families.get(name) ?? [];
  }

  labelled(name: string): readonly Sample[] {
    return this.#labelled.get(name) ?? [];
  }

  histogram(name: string): Buckets {
    return this.#histograms.get(name) ?? { counts: new Map(), sumMs: 0 };
  }

  *labelledHistograms(name: string): Iterable<{ readonly values: readonly string[]; readonly buckets: Buckets }> {
    for (const [key, buckets] of this.#histograms) {
      const labels = readLabels(key);
      if (labels.name === name && labels.values.length > 0) yield { values: labels.values, buckets };
    }
  }

  #addBucket(name: string, what: string, value: number): void {
    const buckets = this.#histograms.get(name) ?? { counts: new Map<number, number>(), sumMs: 0 };
    this.#histograms.set(name, buckets);
    if (what === "sum") buckets.sumMs = value;
    else buckets.counts.set(what === "inf" ? Infinity : Number(what), value);
  }

  #addLabelled(key: string, value: number): void {
    const { name, values } = readLabels(key);
    const samples = this.#labelled.get(name) ?? [];
    this.#labelled.set(name, samples);
    samples.push([values, value]);
  }

  #addWord(key: string, value: number): void {
    const point = key.indexOf(".");
    if (point < 0) return;
    const name = key.slice(0, point);
    const samples = this.#families.get(name) ?? [];
    this.#families.set(name, samples);
    samples.push([[key.slice(point + 1)], value]);
  }
}

/** Writes one metric after the other. */
class MetricWriter {
  readonly #isOpen: boolean;
  readonly #lines: string[] = [];
  #metric: Metric | null = null;

  constructor(form: MetricsForm) {
    this.#isOpen = form === "openmetrics";
  }

  begin(metric: Metric): void {
    this.#metric = metric;
    const { name, type, help, unit } = metric;
    const stem = this.#isOpen ? name.replace(/_(total|info)$/, "") : name;
    const shown = type === "info" && !this.#isOpen ? "gauge" : type;
    this.#lines.push(`# HELP ${stem} ${help}`, `# TYPE ${stem} ${shown}`);
    if (this.#isOpen && unit !== null) this.#lines.push(`# UNIT ${stem} ${unit}`);
  }

  sample(values: readonly string[], value: number): void {
    this.#lines.push(`${this.#metric?.name ?? ""}${this.#labels(values)} ${numberText(value)}`);
  }

  /** Buckets with fewer borders than were counted with: each border must be among those. */
  histogram({ counts, sumMs }: Buckets, values: readonly string[], bordersMs: readonly number[]): void {
    const name = this.#metric?.name ?? "";
    const labels = this.#labelText(values);
    const begin = `${name}_bucket{${labels === "" ? "" : `${labels},`}le="`;
    const found = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
    let [sum, next] = [0, 0];
    for (const border of bordersMs) {
      for (let bucket = found[next]; bucket !== undefined && bucket[0] <= border; bucket = found[++next])
        sum += bucket[1];
      this.#lines.push(`${begin}${secondsText(border, this.#isOpen)}"} ${numberText(sum)}`);
    }
    for (const [, count] of found.slice(next)) sum += count;
    this.#lines.push(`${begin}+Inf"} ${numberText(sum)}`);
    const plain = labels === "" ? "" : `{${labels}}`;
    this.#lines.push(
      `${name}_sum${plain} ${numberText(Math.round(sumMs * NS_PER_MS) / NS_PER_SECOND)}`,
      `${name}_count${plain} ${numberText(sum)}`,
    );
  }

  end(): string {
    if (this.#isOpen) this.#lines.push("# EOF");
    return `${this.#lines.join("\n")}\n`;
  }

  #labels(values: readonly string[]): string {
    const text = this.#labelText(values);
    return text === "" ? "" : `{${text}}`;
  }

  #labelText(values: readonly string[]): string {
    const names = this.#metric?.labels ?? [];
    let text = "";
    for (const [i, name] of names.entries()) text += `${i === 0 ? "" : ","}${name}="${escaped(values[i] ?? "")}"`;
    return text;
  }
}

function escaped(value: string): string {
  if (!/["\\\n]/.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** OpenMetrics wants borders as floating point numbers, so that both forms of one border are the same series in Prometheus 3 too. */
function secondsText(ms: number, isOpen: boolean): string {
  const text = String(ms / MS_PER_SECOND);
  return isOpen && !text.includes(".") ? `${text}.0` : text;
}

function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  return Number.isNaN(value) ? "NaN" : String(value);
}
