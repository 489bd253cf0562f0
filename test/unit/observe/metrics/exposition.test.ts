/** Metrics as text: both forms, every counter, and the rules that names and labels follow. */
import { describe, expect, test } from "bun:test";
import { Counters, countersSeen } from "../../../../src/core/counters.ts";
import { labelledName } from "../../../../src/core/labels.ts";
import { COUNTER_METRICS, NOT_EXPOSED } from "../../../../src/observe/metrics/counter-table.ts";
import { exposition, formFor, METRICS } from "../../../../src/observe/metrics/exposition.ts";
import type { Metric } from "../../../../src/observe/metrics/metric.ts";
import { GAUGES, inFlightName, unhealthyName } from "../../../../src/observe/metrics/scene-table.ts";
import { metricsScene as scene, workerScene } from "../../../support/metrics-scene.ts";

/** Fields of `Counters` that a metric shows. */
function fieldsOf({ source }: Metric): readonly string[] {
  if (source.kind === "counter") return [source.counter];
  if (source.kind === "counters") return Object.values(source.of);
  if (source.kind === "family") return [source.family];
  return source.kind === "histogram" ? [source.histogram] : [];
}

function linesOf(text: string, name: string): string[] {
  return text.split("\n").filter((line) => line.startsWith(name));
}

describe("the table", () => {
  test("has every counter once, or says why not", () => {
    const shown = COUNTER_METRICS.flatMap(fieldsOf);
    const all = [...shown, ...Object.keys(NOT_EXPOSED)].sort();
    expect(all).toEqual(Object.keys(new Counters()).sort());
  });

  test("has each name once, in the form of its type", () => {
    expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
    for (const { name, type, help } of METRICS) {
      expect(name).toMatch(/^[a-zA-Z_][a-zA-Z0-9_]*$/);
      expect(name.endsWith("_total")).toBe(type === "counter");
      expect(help).toMatch(/^[^\n\\]+\.$|^[^\n\\]+; always 1\.$/);
    }
  });
});

describe("the text", () => {
  test("of a counter, of a family and of what is told apart by a word", () => {
    const counters = new Counters();
    counters.bytesSent = 7;
    counters.requestErrors.add("UPSTREAM_REFUSED");
    counters.connectionsOverRate = 3;
    const text = exposition(scene({ counts: countersSeen(counters) }), "prometheus");
    expect(linesOf(text, "spooky_udp_sent_bytes_total")).toEqual(["spooky_udp_sent_bytes_total 7"]);
    expect(linesOf(text, "spooky_request_errors_total")).toEqual([
      'spooky_request_errors_total{code="UPSTREAM_REFUSED"} 1',
    ]);
    expect(text).toContain('spooky_connections_refused_total{reason="rate"} 3\n');
    expect(text).toContain('spooky_connections_refused_total{reason="total"} 0\n');
  });

  test("of a histogram is cumulative, in seconds", () => {
    const counters = new Counters();
    for (const ms of [0.7, 30, 1e6]) counters.handshakeMs.record(ms);
    const text = exposition(scene({ counts: countersSeen(counters) }), "prometheus");
    const lines = linesOf(text, "spooky_handshake_duration_seconds");
    expect(lines).toContain('spooky_handshake_duration_seconds_bucket{le="0.0005"} 0');
    expect(lines).toContain('spooky_handshake_duration_seconds_bucket{le="0.00075"} 1');
    expect(lines).toContain('spooky_handshake_duration_seconds_bucket{le="100"} 2');
    expect(lines.slice(-3)).toEqual([
      'spooky_handshake_duration_seconds_bucket{le="+Inf"} 3',
      "spooky_handshake_duration_seconds_sum 1000.0307",
      "spooky_handshake_duration_seconds_count 3",
    ]);
  });

  test("of a pool's durations has fewer borders and loses nobody between them", () => {
    const name = labelledName("request_ms", ["a|b:c"]);
    const counts = { [`${name}:1.5`]: 2, [`${name}:2.5`]: 1, [`${name}:sum`]: 5 };
    const lines = linesOf(exposition(scene({ counts }), "prometheus"), "http_request_duration_seconds");
    expect(lines).toContain('http_request_duration_seconds_bucket{upstream_pool="a|b:c",le="0.001"} 0');
    expect(lines).toContain('http_request_duration_seconds_bucket{upstream_pool="a|b:c",le="0.0025"} 3');
    expect(lines).toContain('http_request_duration_seconds_bucket{upstream_pool="a|b:c",le="1"} 3');
    expect(lines).toContain('http_request_duration_seconds_count{upstream_pool="a|b:c"} 3');
  });

  test("escapes values of labels", () => {
    const pools = [{ name: 'a"\\\n', backends: [{ id: "b" }] }];
    const lines = linesOf(exposition(scene({ pools }), "prometheus"), "backend_healthy");
    expect(lines).toEqual(['backend_healthy{upstream_pool="a\\"\\\\\\n",backend="b"} 1']);
  });

  test("in OpenMetrics names families without what their type adds, has units and an end", () => {
    const text = exposition(scene({}), "openmetrics");
    expect(text).toContain("# TYPE spooky_udp_sent_bytes counter\n# UNIT spooky_udp_sent_bytes bytes\n");
    expect(text).toContain("spooky_udp_sent_bytes_total 0\n");
    expect(text).toContain("# TYPE spooky_build info\n");
    expect(text).toContain('le="1.0"');
    expect(text.endsWith("\n# EOF\n")).toBe(true);
    expect(exposition(scene({}), "prometheus")).toContain("# TYPE spooky_build_info gauge\n");
  });
});

describe("what is now", () => {
  const pools = [{ name: "p", backends: [{ id: "a" }, { id: "b" }] }];

  test("a backend is as healthy as the worker says that finds it worst, of those that take new connections", () => {
    const finds = (slot: number, isActive: boolean, ...names: string[]) =>
      workerScene({ slot, isActive, gauges: new Map(names.map((name) => [name, 1])) });
    const workers = [
      finds(0, true),
      finds(1, true, unhealthyName("p", "a")),
      finds(2, false, unhealthyName("p", "b"), inFlightName("p", "b")),
    ];
    const text = exposition(scene({ pools, workers }), "prometheus");
    expect(linesOf(text, "backend_healthy")).toEqual([
      'backend_healthy{upstream_pool="p",backend="a"} 0',
      'backend_healthy{upstream_pool="p",backend="b"} 1',
    ]);
    expect(text).toContain('spooky_upstream_requests_in_flight{upstream_pool="p",backend="b"} 1\n');
  });

  test("descriptors are those of the worker that is nearest its limit", () => {
    const has = (slot: number, open: number, max: number) =>
      workerScene({
        slot,
        gauges: new Map([
          [GAUGES.openFds, open],
          [GAUGES.maxFds, max],
        ]),
      });
    const text = exposition(scene({ workers: [has(0, 50, 1000), has(1, 30, 100)] }), "prometheus");
    expect(linesOf(text, "process_open_fds")).toEqual(["process_open_fds 30"]);
    expect(linesOf(text, "process_max_fds")).toEqual(["process_max_fds 100"]);
  });
});

describe("the form", () => {
  const open = "application/openmetrics-text";
  test.each([
    [null, "prometheus"],
    ["*/*", "prometheus"],
    ["text/plain", "prometheus"],
    [open, "openmetrics"],
    [`${open};version=1.0.0,${open};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`, "openmetrics"],
    // Prometheus 3, without and with its own binary form (which is not had here).
    [
      `${open};version=1.0.0;escaping=allow-utf-8;q=0.6,${open};version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2`,
      "openmetrics",
    ],
    [
      `application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,${open};version=1.0.0;escaping=underscores;q=0.6,text/plain;version=0.0.4;q=0.4`,
      "openmetrics",
    ],
    [`text/plain;version=0.0.4;q=0.9,${open};version="1.0.0";q=0.5,*/*;q=0.1`, "prometheus"],
    [`${open}; version="1.0.0"; q=0.5`, "openmetrics"],
    [`${open};version=2.0.0,text/plain;version=0.0.4;q=0.1`, "prometheus"],
    [`${open};q=nonsense,*/*;q=nonsense`, "prometheus"],
    [`${open};version=0.0.1`, "prometheus"],
    [`${open};version=1.0.0;q=0.1,text/plain`, "prometheus"],
    [`${open};q=0`, "prometheus"],
  ])("for %p is %s", (accept, form) => {
    expect<string>(formFor(accept)).toBe(form);
  });
});
