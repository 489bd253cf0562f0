/** The bounds of a configuration by their keys, with what is used of them where that is known. Pure. */
import type { Snapshot } from "../config/snapshot.ts";
import type { LimitScene, WorkerScene } from "../observe/metrics/scene.ts";
import { GAUGES, inFlightName } from "../observe/metrics/scene-table.ts";

type Use = (worker: WorkerScene, snapshot: Snapshot) => number;

const gauge =
  (name: string): Use =>
  ({ gauges }) =>
    gauges.get(name) ?? 0;

/** Each bound holds for one process; `Use` is what that process has of it now. */
const LIMITS_BY_KEY: readonly (readonly [key: string, max: (snapshot: Snapshot) => number, use: Use | null])[] = [
  ["max_concurrent_connections", ({ connections }) => connections.connectionsMax, ({ connections }) => connections],
  ["performance.max_handshakes", ({ connections }) => connections.handshakesMax, gauge(GAUGES.handshakes)],
  ["performance.global_inflight_limit", ({ requests }) => requests.inFlightMax, gauge(GAUGES.requests)],
  ["performance.per_upstream_inflight_limit", ({ pools }) => leastOf(pools, (pool) => pool.inFlightMax), fullestPool],
  [
    "performance.per_backend_inflight_limit",
    ({ pools }) => leastOf(pools, (pool) => pool.backendInFlightMax),
    fullestBackend,
  ],
  [
    "performance.response_buffer_global_cap_bytes",
    ({ requests }) => requests.bufferBytesMax,
    gauge(GAUGES.bufferBytes),
  ],
  ["performance.connection_buffer_max_bytes", ({ requests }) => requests.connectionBufferBytesMax, null],
  ["performance.max_connections_per_ip", ({ connections }) => connections.connectionsPerAddressMax, null],
  ["performance.new_connections_per_sec", ({ connections }) => connections.newConnectionsPerSecond, null],
  ["performance.new_connections_burst", ({ connections }) => connections.newConnectionsBurst, null],
  ["performance.retry_from_handshakes", ({ connections }) => connections.retryFromHandshakes, gauge(GAUGES.handshakes)],
  ["performance.max_requests_per_connection", ({ connections }) => connections.requestsPerConnectionMax, null],
  ["performance.max_request_body_bytes", ({ pools }) => leastOf(pools, (pool) => pool.requestBodyBytesMax), null],
  ["performance.quic_initial_max_streams_bidi", ({ connections }) => connections.streamsPerConnectionMax, null],
  ["performance.quic_initial_max_stream_data", ({ connections }) => connections.streamWindowBytes, null],
  ["performance.quic_initial_max_data", ({ connections }) => connections.connectionWindowBytes, null],
  ["resilience.protocol.max_headers_bytes", ({ connections }) => connections.headerBytesMax, null],
  ["resilience.protocol.max_headers_count", ({ connections }) => connections.headerCountMax, null],
  ["resilience.protocol.max_uri_bytes", ({ connections }) => connections.uriBytesMax, null],
  ["resilience.protocol.reset_burst", ({ connections }) => connections.resetBurst, null],
  ["resilience.protocol.resets_per_sec", ({ connections }) => connections.resetsPerSecond, null],
  ["resilience.protocol.glitch_burst", ({ connections }) => connections.glitchBurst, null],
  ["resilience.protocol.glitches_per_sec", ({ connections }) => connections.glitchesPerSecond, null],
];

/** All of them. */
export function limitScenes(snapshot: Snapshot, workers: readonly WorkerScene[]): readonly LimitScene[] {
  return LIMITS_BY_KEY.map(([name, max, use]) => ({
    name,
    max: max(snapshot),
    used: use === null ? null : Math.max(0, ...workers.map((worker) => use(worker, snapshot))),
  }));
}

/** Where pools have bounds of their own, the one that is reached first. */
function leastOf(pools: Snapshot["pools"], read: (pool: Snapshot["pools"][number]) => number): number {
  return pools.reduce((least, pool) => Math.min(least, read(pool)), Infinity);
}

function fullestPool({ gauges }: WorkerScene, { pools }: Snapshot): number {
  return pools.reduce((most, { name, backends }) => {
    const sum = backends.reduce((count, { id }) => count + (gauges.get(inFlightName(name, id)) ?? 0), 0);
    return Math.max(most, sum);
  }, 0);
}

function fullestBackend({ gauges }: WorkerScene, { pools }: Snapshot): number {
  return pools.reduce((most, { name, backends }) => {
    const counts = backends.map(({ id }) => gauges.get(inFlightName(name, id)) ?? 0);
    return Math.max(most, ...counts);
  }, 0);
}
