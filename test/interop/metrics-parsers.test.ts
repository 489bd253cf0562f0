/** Both forms of the text, read by somebody else: prometheus_client, which knows the rules of OpenMetrics and insists on them. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { Counters, countersSeen } from "../../src/core/counters.ts";
import { labelledName } from "../../src/core/labels.ts";
import { exposition, METRICS, type MetricsForm } from "../../src/observe/metrics/exposition.ts";
import type { MetricsScene } from "../../src/observe/metrics/scene.ts";
import { metricsScene, workerScene } from "../support/metrics-scene.ts";
import { AIOQUIC_MISSING, aioquicPython } from "./aioquic.ts";

/** Whatever a configuration or a certificate may bring into a label. */
const HOSTILE = 'a"b\\c\nd{e="f"} 1 # EOF|%7c:ü\u2028,';

interface Family {
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  readonly help: string;
  readonly samples: readonly (readonly [name: string, labels: Readonly<Record<string, string>>, value: string])[];
}

function parse(text: string, form: MetricsForm): readonly Family[] {
  const script = join(import.meta.dirname, "metrics_parse.py");
  const done = Bun.spawnSync([must(aioquicPython, AIOQUIC_MISSING), script, form], { stdin: Buffer.from(text) });
  if (done.exitCode !== 0) throw new Error(done.stderr.toString());
  return JSON.parse(done.stdout.toString()) as readonly Family[];
}

/** Something of everything, with names that hurt. */
function everything(): MetricsScene {
  const counters = new Counters();
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value === "number") Object.assign(counters, { [name]: 12_345_678_901 });
    else if ("add" in value) value.add("SOME_CODE");
    else if ("record" in value) for (const ms of [0.05, 3, 1e9]) value.record(ms);
  }
  counters.bodies.of(HOSTILE).requestBytes = 2 ** 52;
  const counts = {
    ...countersSeen(counters),
    [labelledName("requests", [HOSTILE, HOSTILE, "h3", "other", "200"])]: 3,
    [`${labelledName("request_ms", [HOSTILE])}:2.5`]: 3,
    [`${labelledName("request_ms", [HOSTILE])}:sum`]: 7.5,
  };
  return metricsScene({
    counts,
    pools: [{ name: HOSTILE, backends: [{ id: HOSTILE }] }],
    workers: [workerScene({ residentBytes: 5 })],
    limits: [{ name: "performance.max_handshakes", max: Infinity, used: 3 }],
    certificates: [{ file: HOSTILE, serverName: HOSTILE, expiresEpochSeconds: 1.9e9 }],
  });
}

/** Name, labels and value of every sample, in one order. Borders of buckets are written as whole numbers in one form and not in the other. */
function samplesOf(families: readonly Family[]): string[] {
  const labelsOf = (labels: Readonly<Record<string, string>>): unknown =>
    Object.entries(labels).map(([name, value]) => (name === "le" ? [name, Number.parseFloat(value)] : [name, value]));
  const all = families.flatMap(({ samples }) => samples);
  return all.map(([name, labels, value]) => JSON.stringify([name, labelsOf(labels), Number(value)])).sort();
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "prometheus_client", () => {
  const scene = everything();
  const plain = (): readonly Family[] => parse(exposition(scene, "prometheus"), "prometheus");
  const open = (): readonly Family[] => parse(exposition(scene, "openmetrics"), "openmetrics");

  test("reads each metric by its name and type, and nothing else", () => {
    const stem = (name: string): string => name.replace(/_(total|info)$/, "");
    // Its reader of the older form leaves `_total` off counters as well.
    const shown = plain().map(({ name, type }) => `${stem(name)} ${type}`);
    expect(shown.sort()).toEqual(
      METRICS.map(({ name, type }) => `${stem(name)} ${type === "info" ? "gauge" : type}`).sort(),
    );
    expect(
      open()
        .map(({ name, type, unit }) => `${name} ${type} ${unit}`)
        .sort(),
    ).toEqual(METRICS.map(({ name, type, unit }) => `${stem(name)} ${type} ${unit ?? ""}`).sort());
  });

  test("reads the same from both forms, and hostile labels as they were", () => {
    expect(samplesOf(open())).toEqual(samplesOf(plain()));
    const requests = plain().find(({ name }) => name === "http_requests");
    expect(requests?.samples).toEqual([
      [
        "http_requests_total",
        { upstream_pool: HOSTILE, backend: HOSTILE, protocol: "h3", method: "other", status: "200" },
        "3.0",
      ],
    ]);
    const bytes = open().find(({ name }) => name === "spooky_request_body_bytes");
    expect(bytes?.samples).toEqual([
      ["spooky_request_body_bytes_total", { upstream_pool: HOSTILE }, "4503599627370496.0"],
    ]);
  });

  test("takes no text that is cut off or breaks a rule", () => {
    const text = exposition(scene, "openmetrics");
    expect(() => parse(text.replace("# EOF\n", ""), "openmetrics")).toThrow("# EOF");
    expect(() =>
      parse(text.replaceAll("# UNIT spooky_udp_sent_bytes bytes", "# UNIT spooky_udp_sent_bytes s"), "openmetrics"),
    ).toThrow();
  });
});
