/**
 * What happens when a bound of the configuration is reached: the answer, and the counter that tells. `docs/limits.md` is generated from
 * this table and the schema; a test sees to it that every key of it and every counter exists.
 */
import { AssertionFault } from "../src/core/assert.ts";
import type { Counters } from "../src/core/counters.ts";
import { COUNTER_METRICS } from "../src/observe/metrics/counter-table.ts";

/** One bound. */
export interface Bound {
  /** Path of the key in the schema. */
  readonly key: string;
  /** What the client sees. */
  readonly answer: string;
  /** What counts it; for a family of counters with the word that stands for this bound. */
  readonly counter: readonly [counter: keyof Counters, word?: string];
}

/** Sizes and numbers. */
export const LIMIT_BOUNDS: readonly Bound[] = [
  bound(
    "resilience.protocol.max_headers_bytes",
    "431; 0x107 for the connection above 4 times the limit",
    "malformedReasons",
    "section-too-large",
  ),
  bound("resilience.protocol.max_headers_count", "431", "malformedReasons", "too-many-fields"),
  bound("resilience.protocol.max_uri_bytes", "414", "malformedReasons", "uri-too-long"),
  bound("performance.max_request_body_bytes", "413, or a reset once the response has begun", "requestsBodyTooLarge"),
  bound(
    "upstream.<pool>.max_request_body_bytes",
    "413, or a reset once the response has begun",
    "requestsBodyTooLarge",
  ),
  bound(
    "performance.quic_initial_max_streams_bidi",
    "the client waits; 0x04 for the connection if it does not",
    "connectionsClosed",
  ),
  bound(
    "performance.quic_initial_max_stream_data",
    "the client waits; 0x03 for the connection if it does not",
    "connectionsClosed",
  ),
  bound(
    "performance.quic_initial_max_data",
    "the client waits; 0x03 for the connection if it does not",
    "connectionsClosed",
  ),
  bound(
    "performance.max_requests_per_connection",
    "GOAWAY; later requests are rejected with 0x10b",
    "connectionsOverRequests",
  ),
  bound("performance.global_inflight_limit", "503 with Retry-After", "requestsShed", "process"),
  bound("performance.per_upstream_inflight_limit", "503 with Retry-After", "requestsShed", "pool"),
  bound(
    "performance.per_backend_inflight_limit",
    "another backend, else 503 with Retry-After",
    "requestsShed",
    "backend",
  ),
  bound("performance.connection_buffer_max_bytes", "503 with Retry-After", "requestsShed", "connection-buffers"),
  bound("performance.response_buffer_global_cap_bytes", "503 with Retry-After", "requestsShed", "buffers"),
  bound("max_concurrent_connections", "CONNECTION_REFUSED (0x02)", "connectionsOverTotal"),
  bound("performance.max_connections_per_ip", "CONNECTION_REFUSED (0x02)", "connectionsOverAddress"),
  bound(
    "performance.new_connections_per_sec",
    "first packets are dropped; clients send them again",
    "connectionsOverRate",
  ),
  bound(
    "performance.new_connections_burst",
    "first packets are dropped; clients send them again",
    "connectionsOverRate",
  ),
  bound(
    "performance.max_handshakes",
    "first packets are dropped; clients send them again",
    "connectionsOverHandshakes",
  ),
  bound("performance.retry_from_handshakes", "a Retry; clients come back with a token", "retriesSent"),
  bound("resilience.protocol.reset_burst", "0x107 for the connection", "connectionsOverResets"),
  bound("resilience.protocol.resets_per_sec", "0x107 for the connection", "connectionsOverResets"),
  bound("resilience.protocol.glitch_burst", "0x107 for the connection", "connectionsOverGlitches"),
  bound("resilience.protocol.glitches_per_sec", "0x107 for the connection", "connectionsOverGlitches"),
];

/** Time-outs: the same names and meanings on every listener. */
export const TIMEOUT_BOUNDS: readonly Bound[] = [
  bound("performance.handshake_timeout_ms", "the connection is closed", "handshakesTimedOut"),
  bound("performance.client_header_timeout_ms", "408, or a reset", "requestHeadsLate"),
  bound(
    "performance.client_body_idle_timeout_ms",
    "408; once the response has begun `backend_body_idle_timeout_ms` counts for both, and with `fetch` the shorter of the two",
    "clientDeadlines",
  ),
  bound("performance.client_send_timeout_ms", "a reset (0x102)", "clientDeadlines"),
  bound("performance.client_idle_timeout_ms", "GOAWAY, then H3_NO_ERROR (0x100)", "connectionsIdle"),
  bound("performance.quic_max_idle_timeout_ms", "the connection is given up without a word", "connectionsTimedOut"),
  bound("performance.backend_connect_timeout_ms", "another backend, else 504", "upstreamDeadlines"),
  bound("performance.backend_timeout_ms", "504", "upstreamDeadlines"),
  bound("performance.backend_body_idle_timeout_ms", "a reset (0x102)", "upstreamDeadlines"),
  bound(
    "performance.backend_total_request_timeout_ms",
    "504, or a reset once the response has begun",
    "requestsTimedOut",
  ),
];

function bound(key: string, answer: string, counter: keyof Counters, word?: string): Bound {
  return { key, answer, counter: word === undefined ? [counter] : [counter, word] };
}

/** What an operator asks Prometheus for: the metric of a bound's counter, with the label's value where the metric has others as well. */
export function boundMetric({ key, counter: [name, word] }: Bound): string {
  for (const { name: metric, labels, source } of COUNTER_METRICS) {
    const label = labels[0] ?? "";
    if (source.kind === "counter" && source.counter === name) return metric;
    if (source.kind === "family" && source.family === name) {
      return word === undefined ? metric : `${metric}{${label}="${word}"}`;
    }
    if (source.kind !== "counters") continue;
    const value = Object.entries(source.of).find(([, counter]) => counter === name)?.[0];
    if (value !== undefined) return `${metric}{${label}="${value}"}`;
  }
  throw new AssertionFault(`the counter ${name} of ${key} has a metric`);
}
