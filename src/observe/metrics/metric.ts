/** What a metric is: its name and words for people, and where its numbers come from. */
import type { CounterName, FamilyName, HistogramName } from "../../core/counters.ts";
import type { MetricsScene } from "./scene.ts";

/** Values of a metric's labels, in their order, and the number. */
export type Sample = readonly [labels: readonly string[], value: number];

/** Where the numbers come from. */
export type MetricSource =
  /** A counter, or several that are told apart by one label. */
  | { readonly kind: "counter"; readonly counter: CounterName }
  | { readonly kind: "counters"; readonly of: Readonly<Record<string, CounterName>> }
  /** A counter for each word. */
  | { readonly kind: "family"; readonly family: FamilyName }
  | { readonly kind: "histogram"; readonly histogram: HistogramName }
  /** Counts with labels by that name; histograms with labels. */
  | { readonly kind: "labelled"; readonly counts: string }
  | { readonly kind: "labelled-histogram"; readonly counts: string }
  /** Whatever else a process knows. */
  | { readonly kind: "scene"; readonly read: (scene: MetricsScene) => readonly Sample[] };

/** One metric. */
export interface Metric {
  /** As in the text form of Prometheus: a counter's ends in `_total`. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram" | "info";
  /** One sentence without a line break. */
  readonly help: string;
  /** A base unit, which the name says too; null for plain numbers. */
  readonly unit: "seconds" | "bytes" | null;
  readonly labels: readonly string[];
  readonly source: MetricSource;
}

/** A counter that is one of `Counters`. */
export function count(name: string, counter: CounterName, help: string): Metric {
  return make(name, "counter", help, [], { kind: "counter", counter });
}

/** A counter with one label, each value of which is one of `Counters`. */
export function counts(name: string, label: string, of: Readonly<Record<string, CounterName>>, help: string): Metric {
  return make(name, "counter", help, [label], { kind: "counters", of });
}

/** A counter whose label has the words of a family. */
export function family(name: string, label: string, of: FamilyName, help: string): Metric {
  return make(name, "counter", help, [label], { kind: "family", family: of });
}

/** Durations that are one of `Counters`. */
export function durations(name: string, histogram: HistogramName, help: string): Metric {
  return make(name, "histogram", help, [], { kind: "histogram", histogram });
}

/** What is otherwise known. */
export function known(
  type: "counter" | "gauge" | "info",
  name: string,
  labels: readonly string[],
  help: string,
  read: (scene: MetricsScene) => readonly Sample[],
): Metric {
  return make(name, type, help, labels, { kind: "scene", read });
}

/** Any. */
export function make(
  name: string,
  type: Metric["type"],
  help: string,
  labels: readonly string[],
  source: MetricSource,
): Metric {
  const stem = name.replace(/_total$/, "");
  const unit = (["seconds", "bytes"] as const).find((word) => stem.endsWith(`_${word}`)) ?? null;
  return { name, type, help, unit, labels, source };
}
