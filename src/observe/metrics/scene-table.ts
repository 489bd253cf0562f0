/** Metrics that are no plain counters: what people's rules ask for by name, and how things are now. */
import { REQUEST_BYTES_NAME, RESPONSE_BYTES_NAME } from "../../core/body-tallies.ts";
import { gaugeName } from "../../core/labels.ts";
import { known, make, type Metric, type Sample } from "./metric.ts";
import { REQUEST_MS_NAME, REQUESTS_NAME } from "./request-counts.ts";
import type { MetricsScene, WorkerScene } from "./scene.ts";

/** Names that workers use of what is now, without labels. */
export const GAUGES = {
  handshakes: gaugeName("handshakes"),
  requests: gaugeName("requests"),
  bufferBytes: gaugeName("buffer_bytes"),
  upstreamConnections: gaugeName("upstream_connections"),
  openFds: gaugeName("open_fds"),
  maxFds: gaugeName("max_fds"),
  heapBytes: gaugeName("heap_bytes"),
} as const;

/** `1` where a backend is not healthy. */
export function unhealthyName(pool: string, backend: string): string {
  return gaugeName("unhealthy", [pool, backend]);
}

/** Requests under way at a backend. */
export function inFlightName(pool: string, backend: string): string {
  return gaugeName("in_flight", [pool, backend]);
}

const BACKEND_LABELS = ["upstream_pool", "backend"];

/** What the rules of the deployment guide, and those of everybody, ask for. */
const COMMON: readonly Metric[] = [
  make(
    "http_requests_total",
    "counter",
    "Requests that are over, by status and by who answered; 499: the client went away.",
    [...[...BACKEND_LABELS, "protocol", "method", "status"]],
    { kind: "labelled", counts: REQUESTS_NAME },
  ),
  make(
    "http_request_duration_seconds",
    "histogram",
    "From a request's head to the last byte that the client took.",
    ["upstream_pool"],
    { kind: "labelled-histogram", counts: REQUEST_MS_NAME },
  ),
  make(
    "spooky_request_body_bytes_total",
    "counter",
    "Bytes of requests' bodies that were read from clients, counted as they come.",
    ["upstream_pool"],
    { kind: "labelled", counts: REQUEST_BYTES_NAME },
  ),
  make(
    "spooky_response_body_bytes_total",
    "counter",
    "Bytes of responses' bodies that clients' connections have taken, counted as they go.",
    ["upstream_pool"],
    { kind: "labelled", counts: RESPONSE_BYTES_NAME },
  ),
  known(
    "gauge",
    "backend_healthy",
    BACKEND_LABELS,
    "1 while every worker that takes new connections finds the backend healthy.",
    backendsHealthy,
  ),
  known("gauge", "process_open_fds", [], "Open descriptors of the worker that is nearest its limit.", (scene) =>
    one(nearestFds(scene)?.open),
  ),
  known("gauge", "process_max_fds", [], "Descriptors that this worker may have.", (scene) =>
    one(nearestFds(scene)?.max),
  ),
  known("counter", "process_cpu_seconds_total", [], "Processor time of all processes.", ({ cpuSeconds }) =>
    one(cpuSeconds),
  ),
  known(
    "gauge",
    "process_resident_memory_bytes",
    [],
    "Memory of all processes; what they share counts in each.",
    (scene) => one(scene.residentBytes),
  ),
  known("gauge", "process_start_time_seconds", [], "When the program was started, since 1970.", (scene) =>
    one(scene.startedEpochSeconds),
  ),
  known("gauge", "node_memory_MemTotal_bytes", [], "Memory of the machine.", (scene) => one(scene.machineMemoryBytes)),
];

const BACKENDS: readonly Metric[] = [
  known("gauge", "spooky_upstream_requests_in_flight", BACKEND_LABELS, "Requests under way at a backend.", (scene) =>
    ofBackends(scene, (pool, backend) => sumOf(scene.workers, inFlightName(pool, backend))),
  ),
  known(
    "gauge",
    "spooky_upstream_open_connections",
    [],
    "Connections to backends over clients of its own.",
    ({ workers }) => one(sumOf(workers, GAUGES.upstreamConnections)),
  ),
];

const NOW: readonly Metric[] = [
  known("gauge", "spooky_connections_active", [], "Connections of clients, closing ones included.", ({ workers }) =>
    one(workers.reduce((sum, { connections }) => sum + connections, 0)),
  ),
  known("gauge", "spooky_handshakes_active", [], "Connections whose handshake is not done.", ({ workers }) =>
    one(sumOf(workers, GAUGES.handshakes)),
  ),
  known("gauge", "spooky_requests_active", [], "Requests under way.", ({ workers }) =>
    one(sumOf(workers, GAUGES.requests)),
  ),
  known("gauge", "spooky_response_buffer_bytes", [], "Response bytes that wait for clients.", ({ workers }) =>
    one(sumOf(workers, GAUGES.bufferBytes)),
  ),
  known("gauge", "spooky_native_handles", [], "Objects of the QUIC library that are held.", (scene) =>
    one(scene.nativeHandles),
  ),
  known(
    "gauge",
    "spooky_workers",
    ["role"],
    "Processes that serve, by whether they take new connections.",
    ({ workers }) => {
      const active = workers.filter(({ isActive }) => isActive).length;
      return [
        [["active"], active],
        [["draining"], workers.length - active],
      ];
    },
  ),
  known(
    "gauge",
    "spooky_limit",
    ["limit"],
    "What a process that serves may have at most, by key of the configuration.",
    ({ limits }) => limits.map(({ name, max }) => [[name], max]),
  ),
  known("gauge", "spooky_limit_used", ["limit"], "The most of it that any process that serves has now.", ({ limits }) =>
    limits.flatMap(({ name, used }): Sample[] => (used === null ? [] : [[[name], used]])),
  ),
];

const WORKERS: readonly Metric[] = [
  perWorker("spooky_worker_resident_memory_bytes", "Memory of a worker.", ({ residentBytes }) => residentBytes),
  perWorker("spooky_worker_heap_bytes", "Memory of a worker that its JavaScript uses.", ({ gauges }) =>
    gauges.get(GAUGES.heapBytes),
  ),
  perWorker("spooky_worker_open_fds", "Open descriptors of a worker.", ({ gauges }) => gauges.get(GAUGES.openFds)),
  perWorker("spooky_worker_connections", "Connections of a worker's clients.", ({ connections }) => connections),
];

const PROGRAM: readonly Metric[] = [
  known(
    "gauge",
    "spooky_glitches_highest",
    [],
    "The most that any connection has used of its glitch budget.",
    (scene) => one(scene.counts["glitches_highest"] ?? 0),
  ),
  known("counter", "spooky_worker_restarts_total", [], "Workers that ended and were started again.", ({ counts }) =>
    one(counts["worker_restarts"] ?? 0),
  ),
  known(
    "counter",
    "spooky_renewals_total",
    ["result"],
    "Other workers that were to take over, in a reload or an upgrade, by what became of them.",
    ({ counts }) => [
      [["done"], counts["renewals"] ?? 0],
      [["failed"], counts["renewals_failed"] ?? 0],
    ],
  ),
  known("gauge", "spooky_config_generation", [], "Goes up with each change of configuration or program.", (scene) =>
    one(scene.generation),
  ),
  known(
    "counter",
    "spooky_config_reloads_total",
    ["result"],
    "Reloads and rollbacks: put to work `in_place` or by `new_workers`, `unchanged` for want of a difference, `failed`.",
    ({ reloads }) => Object.entries(reloads.results).map(([result, count]) => [[result], count]),
  ),
  known("gauge", "spooky_config_last_reload_successful", [], "0 after a reload or rollback that failed.", (scene) =>
    one(scene.reloads.isLastSuccessful ? 1 : 0),
  ),
  known(
    "gauge",
    "spooky_config_last_reload_success_timestamp_seconds",
    [],
    "When the configuration was last read without fault, at the start or by a reload, since 1970.",
    ({ reloads }) => one(reloads.lastSuccessEpochSeconds),
  ),
  known(
    "gauge",
    "spooky_certificate_expiry_timestamp_seconds",
    ["file", "server_name"],
    "When a certificate that clients are shown expires, since 1970.",
    ({ certificates }) =>
      certificates.map(({ file, serverName, expiresEpochSeconds }) => [[file, serverName], expiresEpochSeconds]),
  ),
  known(
    "info",
    "spooky_build_info",
    ["version", "commit", "quiche", "runtime"],
    "What this program is; always 1.",
    ({ build }) => [[[build.version, build.commit, build.quiche, build.runtime], 1]],
  ),
];

/** All of them. */
export const SCENE_METRICS: readonly Metric[] = [...COMMON, ...NOW, ...BACKENDS, ...WORKERS, ...PROGRAM];

function perWorker(name: string, help: string, read: (worker: WorkerScene) => number | null | undefined): Metric {
  return known("gauge", name, ["worker"], help, ({ workers }) =>
    workers.flatMap((worker): Sample[] => {
      const value = read(worker) ?? null;
      return value === null ? [] : [[[String(worker.slot)], value]];
    }),
  );
}

function one(value: number | null | undefined): readonly Sample[] {
  return value === null || value === undefined ? [] : [[[], value]];
}

function sumOf(workers: readonly WorkerScene[], gauge: string): number {
  return workers.reduce((sum, { gauges }) => sum + (gauges.get(gauge) ?? 0), 0);
}

/** Workers that finish what they have are not asked: nobody is sent where they think. */
function backendsHealthy(scene: MetricsScene): readonly Sample[] {
  const active = scene.workers.filter(({ isActive }) => isActive);
  return ofBackends(scene, (pool, backend) => (sumOf(active, unhealthyName(pool, backend)) > 0 ? 0 : 1));
}

function ofBackends(scene: MetricsScene, read: (pool: string, backend: string) => number): readonly Sample[] {
  return scene.pools.flatMap(({ name, backends }) => backends.map(({ id }): Sample => [[name, id], read(name, id)]));
}

function nearestFds({ workers }: MetricsScene): { readonly open: number; readonly max: number } | null {
  let nearest: { open: number; max: number } | null = null;
  for (const { gauges } of workers) {
    const [open, max] = [gauges.get(GAUGES.openFds), gauges.get(GAUGES.maxFds)];
    if (open === undefined || max === undefined) continue;
    if (nearest === null || open / max > nearest.open / nearest.max) nearest = { open, max };
  }
  return nearest;
}
