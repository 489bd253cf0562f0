/** The status of a running program as text for people. Pure. What a later release adds is passed over, what is missing left out. */
import { isRecord, type StatusDocument } from "../control/control-message.ts";

/** Several lines, each with its end. */
export function statusText(status: StatusDocument, nowEpochMs: number): string {
  const started = count(status["started_epoch_ms"]);
  const up = started === null ? "" : `, up ${durationText(nowEpochMs - started)}`;
  const lines = [
    `spooky ${text(status["version"])}, pid ${text(status["pid"])}, generation ${text(status["generation"])}${up}`,
    `configuration  ${text(status["config_path"])}`,
    ...listenerLines(list(status["listeners"])),
    ...(typeof status["notice"] === "string" ? [`notice         ${status["notice"]}`] : []),
    ...reloadLines(record(status["configuration"]), nowEpochMs),
    ...list(status["crews"]).flatMap(crewLines),
    ...counterLines(record(status["counters"])),
    ...Object.entries(record(status["histograms"])).map(([name, value]) => histogramLine(name, record(value))),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function listenerLines(listeners: readonly unknown[]): readonly string[] {
  return listeners.length === 0 ? [] : [`listening      ${listeners.map(text).join(", ")}`];
}

function reloadLines(configuration: Readonly<Record<string, unknown>>, nowEpochMs: number): readonly string[] {
  const since = count(configuration["at_work_since_epoch_ms"]);
  if (since === null) return [];
  const failed = configuration["last_successful"] === false ? ", the last reload failed" : "";
  const kept = count(configuration["kept"]) ?? 0;
  return [`at work        for ${durationText(nowEpochMs - since)}, ${kept} to roll back to${failed}`];
}

function crewLines(crew: unknown): readonly string[] {
  const { generation, role, workers } = record(crew);
  const rows = list(workers).map((worker) => {
    const { slot, pid, phase, connections } = record(worker);
    return `  slot ${text(slot).padEnd(3)} pid ${text(pid ?? "-").padEnd(8)} ${text(phase).padEnd(9)} ${text(connections)} connections`;
  });
  return [`generation ${text(generation)}, ${text(role)}`, ...rows];
}

/** What people look at first; all others are in the form for programs. */
const FIRST_COUNTERS = [
  ["requests", "requests_started"],
  ["  completed", "requests_completed"],
  ["  failed", "requests_failed"],
  ["connections", "connections_accepted"],
  ["worker restarts", "worker_restarts"],
] as const;
/** More than the longest name of a counter or a histogram. */
const NAME_WIDTH = 22;

function counterLines(counters: Readonly<Record<string, unknown>>): readonly string[] {
  return FIRST_COUNTERS.map(([name, key]) => `${name.padEnd(NAME_WIDTH)}${count(counters[key]) ?? 0}`);
}

const QUANTILES = [0.5, 0.9, 0.99] as const;

function histogramLine(name: string, { count: total, buckets }: Readonly<Record<string, unknown>>): string {
  const all = count(total) ?? 0;
  const shown = QUANTILES.map((share) => `p${share * 100} ${quantileText(list(buckets), all * share)}`);
  return `${name.padEnd(NAME_WIDTH)}${shown.join("  ")}  (${all})`;
}

/** A quantile is no longer than the border of the bucket that it falls into. */
function quantileText(buckets: readonly unknown[], rank: number): string {
  let passed = 0;
  for (const bucket of buckets) {
    const [border, inside] = list(bucket);
    passed += count(inside) ?? 0;
    if (passed >= rank) return border === null ? "> 100000 ms" : `<= ${text(border)} ms`;
  }
  return "-";
}

const UNITS = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
] as const;

function durationText(ms: number): string {
  let seconds = Math.max(0, Math.round(ms / 1000));
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    if (seconds >= size) parts.push(`${Math.floor(seconds / size)} ${unit}`);
    seconds %= size;
  }
  return parts.length === 0 ? `${seconds} s` : parts.slice(0, 2).join(" ");
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "?";
}

function count(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}
