/** `docs/operations/metrics.md`: what is said of metrics in general, and the table that they are made from. */
import { LIMITS } from "../src/core/limits.ts";
import { METRICS } from "../src/observe/metrics/exposition.ts";
import type { Metric } from "../src/observe/metrics/metric.ts";

/** The page without its first line. */
export function metricsPage(table: (head: readonly string[], rows: readonly (readonly string[])[]) => string): string {
  return `${INTRODUCTION}\n\n## All metrics\n\n${table(["Name", "Type", "Labels", "Meaning"], METRICS.map(metricRow))}`;
}

function metricRow({ name, type, labels, help }: Metric): readonly string[] {
  return [code(name), type, labels.map(code).join(", "), help];
}

function code(text: string): string {
  return `\`${text}\``;
}

const INTRODUCTION = `# Metrics

The supervisor serves the metrics of all workers at \`observability.metrics\`, which is \`http://127.0.0.1:9090/metrics\` unless configured otherwise. Requests for
\`application/openmetrics-text\` get OpenMetrics 1.0, all others the text format of Prometheus (0.0.4). Units are seconds and bytes.
Alert rules and a configuration for Prometheus are in \`packaging/prometheus\`, and a dashboard for Grafana is in \`packaging/grafana\`.

If Prometheus runs on another machine, choose an address that it can reach and nobody else can: there is no password. \`enabled: false\` turns the metrics off. A port that is taken ends the
start with a message that names the key, unless \`required: false\` is set.

\`\`\`yaml
observability:
  metrics:
    address: 10.0.0.5 # left out: 127.0.0.1
    port: 9090
    path: /metrics
\`\`\`

\`\`\`sh
curl --silent http://127.0.0.1:9090/metrics | grep '^http_requests_total'
\`\`\`

A series begins with its first request: before that there is no \`http_requests_total\`.

## Common questions

| Question | Expression | nginx (\`stub_status\`), HAProxy (statistics) |
| --- | --- | --- |
| Requests a second | \`sum(rate(http_requests_total[5m]))\` | \`requests\`; \`req_tot\` |
| Share of 5xx | \`sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))\` | \`hrsp_5xx\` |
| 95 % are faster than | \`histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))\` | \`rtime\` |
| Whose fault is it? | \`sum by (code) (rate(spooky_request_errors_total[5m]))\`; the codes are in [errors](../errors.md) | termination states |
| Which backends are down? | \`backend_healthy == 0\` | \`status\` |
| Connections of clients | \`spooky_connections_active\` | \`Active connections\`; \`scur\` |
| Bytes to clients | \`sum by (upstream_pool) (rate(spooky_response_body_bytes_total[5m]))\` | \`bout\` |
| Failed tries that a retry made good | \`rate(spooky_request_retries_total[5m])\` | \`wretr\` |
| Which bound is near? | \`spooky_limit_used / spooky_limit\` | \`slim\` |
| Does the network lose packets? | \`rate(spooky_quic_packets_lost_total[5m]) / rate(spooky_quic_packets_sent_total[5m])\` | |
| Is the receive buffer too small? | \`rate(spooky_udp_kernel_drops_total[5m])\` | |

## What to know

- **One scrape covers all workers**, and is at most a second old: each worker reports once a second. Counters never go back while the
  program runs: restarts of workers, reloads and upgrades keep them. A worker that is killed outright loses what it had counted
  since its last report.
- **Requests** are counted in \`http_requests_total\` when they are over. \`upstream_pool\` and \`backend\` are names from the configuration, and empty if the request
  reached none; \`method\` is one of HTTP's own, or \`other\`; \`status\` is 499 if the client went away first, and 0 if the stream was reset before any head. After ${LIMITS.countedStatusesMax} series of
  one backend, further statuses are counted by class, such as \`5xx\`. Requests whose head broke a rule have no pool, the method \`other\`, and the
  status of their answer, or 0 without one; \`spooky_requests_malformed_total\` says which rule it was.
- **Removed backends** keep their counters until the program is restarted, so that sums do not fall. Gauges, such as \`backend_healthy\`, end with
  the configuration that had the backend.
- **\`backend_healthy\`** is 1 while every worker that accepts new connections finds the backend healthy. Workers that only finish what they have do not count. A
  backend without a health check is always 1.
- **Processes**: \`process_cpu_seconds_total\` and \`process_resident_memory_bytes\` are sums over the supervisor and all workers. With several workers the processor time can grow by more than 1 a
  second. \`process_open_fds\` and \`process_max_fds\` are those of the worker that is nearest to its limit. \`node_memory_MemTotal_bytes\` is here too, so that rules can divide by it without
  the labels of another exporter.
- **Labels add up**: a metric may be summed over each of its labels, except for labels named \`event\`. A count that is a part of another one has a name of its own.
- **Kernel drops** are reported by the kernel with the next datagram, so they may show up later than they happened.
- **Health checks and transitions** are counted by each worker for itself: with two workers a backend that falls ill counts twice.
- **Limits** (\`spooky_limit\`) hold for each process that serves; \`spooky_limit_used\` is the most that any of them uses.
- **QUIC packets and round trips** are counted as they go, at most 10 s late with up to 40,000 connections a worker. A round trip is counted each time that its
  connection is looked at (four times a second with up to 1,000 connections) and has sent something since, and at its end: the histogram says what clients that are served now live with.`;
