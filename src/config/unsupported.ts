/**
 * Keys that the original Spooky has and this one does not have yet. Whoever brings its file gets told so, and not that the key is
 * a typing mistake. A key that gains a meaning leaves this list.
 */
import { schemaPathText } from "./shape.ts";

const PERFORMANCE = [
  ...["control_plane_threads", "packet_shards_per_worker", "packet_shard_queue_capacity"],
  ...["packet_shard_queue_max_bytes", "reuseport"],
  ...["inflight_acquire_wait_ms", "backend_body_total_timeout_ms"],
  ...["h2_pool_idle_timeout_ms", "backend_dns_refresh_enabled"],
  ...["backend_dns_refresh_interval_ms", "quic_initial_max_streams_uni"],
  ...["max_response_body_bytes", "request_buffer_global_cap_bytes"],
  ...["unknown_length_response_prebuffer_bytes"],
];

const RESILIENCE = [
  ...[
    "adaptive_admission",
    "circuit_breaker",
    "retry_budget",
    "hedging",
    "brownout",
    "route_queue",
    "scoped_rate_limits",
  ],
  ...["quota", "watchdog"],
];

const PROTOCOL = [
  ...["enforce_authority_host_match", "allowed_methods"],
  ...["denied_path_prefixes", "allow_connect", "connect_allowed_ports", "connect_allowed_authorities"],
];

const UPSTREAM_TLS = ["strict_sni", "client_certificate_ref", "client_key_ref"];

const UNSUPPORTED: ReadonlySet<string> = new Set([
  ...["security", "secrets"],
  ...["control_api", "tracing", "routing"].map((key) => `observability.${key}`),
  "observability.metrics.allow_non_loopback",
  ...["auth"].map((key) => `upstream.<pool>.${key}`),
  ...UPSTREAM_TLS.flatMap((key) => [`upstream_tls.${key}`, `upstream.<pool>.tls.${key}`]),
  ...PERFORMANCE.map((key) => `performance.${key}`),
  ...RESILIENCE.map((key) => `resilience.${key}`),
  ...PROTOCOL.map((key) => `resilience.protocol.${key}`),
]);

/** Is this a key of the original without a meaning here? `path` is a path of the schema, `<pool>` for any pool. */
export function isUnsupportedKey(path: readonly string[]): boolean {
  return UNSUPPORTED.has(schemaPathText(path));
}
