/**
 * The keys of a configuration: types, ranges, defaults, units, meanings, other names. Checker, snapshot, reference and the JSON
 * Schema for editors all follow from this one value.
 * A key with a `default` may be left out; one without must be there. A section with the default `{}` may also stand empty.
 */
import { LIMITS } from "../core/limits.ts";
import { BALANCING, FORWARDING, PoolSchema } from "./schema-upstream.ts";
import type { Shape } from "./shape.ts";
import {
  type Checked,
  choice,
  eitherOrNull,
  flag,
  integer,
  integerOr,
  isChecked,
  list,
  map,
  milliseconds,
  named,
  optionalInteger,
  optionalMilliseconds,
  only,
  optionalText,
  socketBuffer,
  standardText,
  text,
  window,
} from "./words.ts";

/** Default of `backend_connection_pool_size`. */
export const BACKEND_CONNECTIONS_STANDARD = 100;
/** The hard limit of the library must lie above ours for a 431 to be answered, so half of what one section may fill. */
const HEADER_BYTES_CONFIGURED_MAX = LIMITS.fieldSectionBytesMax / 2;

const CertificateSchema = map(
  {
    server_name: optionalText(
      "server-name",
      "Name that clients ask for (SNI): a name, or `*.suffix` for every name one level below it. Left out: the certificate's names.",
    ),
    cert: text("file", "PEM file with the certificate and its chain."),
    key: text("file", "PEM file with the private key."),
  },
  { expected: "a map with server_name, cert, key" },
);

const ListenSchema = map(
  {
    protocol: choice(["http3"], { default: "http3", description: "Protocol of the listener." }),
    address: standardText("ip", "0.0.0.0", "Address to listen on. `::` takes IPv6 and IPv4."),
    port: integer([0, 65535], 9889, { description: "UDP port. With 0 the system chooses one." }),
    tls: map(
      {
        cert: optionalText("file", "PEM file with the certificate and its chain. Given together with `key`."),
        key: optionalText("file", "PEM file with the private key."),
        certificates: list(CertificateSchema, {
          default: [],
          expected: "a list of certificates",
          description:
            "Certificates by server name. `cert` above, else the first of the list, answers all other names.",
        }),
      },
      { description: "At least one certificate: `cert` with `key`, or `certificates`, or both." },
    ),
  },
  { description: "Where clients reach the proxy." },
);

const UpstreamTlsSchema = map(
  {
    verify_certificates: flag(true, "Are certificates of backends verified?"),
    ca_file: optionalText("file", "PEM bundle that is trusted instead of the system's."),
    ca_dir: optionalText("folder", "Folder whose PEM files are trusted too."),
    client_certificate: optionalText("file", "PEM file with the certificate shown to backends, with `client_key`."),
    client_key: optionalText("file", "PEM file with its private key."),
  },
  { default: {}, description: "Trust towards `https://` and `h3://` backends." },
);

const LogFileSchema = map({
  enabled: flag(false, "The original's form: are lines written to `path`?"),
  path: standardText("file", "/var/log/spooky/spooky.log", "The original's form: the file."),
});

const LogSchema = map(
  {
    level: choice(["off", "error", "warn", "info", "debug", "trace"], {
      default: "info",
      description: "Least level that is written.",
    }),
    format: choice(["plain", "json"], {
      default: "plain",
      description: "`plain` for people, `json` for one JSON object a line.",
    }),
    file: eitherOrNull(
      text("file"),
      LogFileSchema,
      "File that lines are added to. Left out: standard output and standard error.",
    ),
  },
  { default: {}, description: "Logging." },
);

const PerformanceSchema = map(
  {
    backend_connect_timeout_ms: milliseconds(5000, "A connection to a backend is given up after this."),
    backend_timeout_ms: milliseconds(60_000, "From sending a request to a backend to the head of its response."),
    backend_body_idle_timeout_ms: milliseconds(60_000, "Between two pieces of a response body."),
    backend_total_request_timeout_ms: optionalMilliseconds(
      "From a request's head to the end of its response, whatever moves meanwhile. Left out: no such bound. Streams of events and gRPC are exempt.",
    ),
    handshake_timeout_ms: milliseconds(10_000, "From a client's first packet to the end of its handshake."),
    client_header_timeout_ms: milliseconds(10_000, "From the first byte of a request to the end of its header."),
    client_body_idle_timeout_ms: milliseconds(30_000, "Between two pieces of a request body."),
    client_send_timeout_ms: milliseconds(60_000, "How long a client may take nothing of a response that waits for it."),
    client_idle_timeout_ms: milliseconds(
      300_000,
      "A connection without a request under way is closed after this, even if its client keeps it alive.",
    ),
    shutdown_drain_timeout_ms: milliseconds(30_000, "From the stop signal to the forced end of what still runs."),
    pin_workers: flag(false, "Does each worker stay on one core? Only with more than one."),
    udp_recv_buffer_bytes: socketBuffer(
      "Wanted receive buffer (SO_RCVBUF) of a socket; what the system grants is logged.",
    ),
    udp_send_buffer_bytes: socketBuffer(
      "Wanted send buffer (SO_SNDBUF) of a socket; what the system grants is logged.",
    ),
    quic_max_idle_timeout_ms: milliseconds(30_000, "A connection on which nothing arrives is closed after this."),
    quic_initial_max_data: window(10_000_000, "Bytes a client may have in flight on one connection."),
    quic_initial_max_stream_data: window(
      1_000_000,
      "Bytes a client may have in flight on one request; at most `quic_initial_max_data`.",
    ),
    quic_initial_max_streams_bidi: integer([1, 65_535], 100, {
      unit: "streams",
      description: "Requests a client may have in flight on one connection.",
    }),
    quic_congestion_control: choice(["cubic", "reno", "bbr2"], {
      default: "cubic",
      description: "How fast clients are sent to: by losses (`cubic`, `reno`) or by measured rate (`bbr2`).",
    }),
    quic_initial_window_packets: integer([16, 512], 16, {
      unit: "packets",
      description:
        "What a client is sent before its first acknowledgement. Less than 16 would not hold the largest response head.",
    }),
    max_requests_per_connection: optionalInteger([1, 1_000_000_000], {
      unit: "requests",
      description:
        "After so many requests a connection gets GOAWAY and its client opens another. Left out: no such bound.",
    }),
    max_request_body_bytes: optionalInteger([0, Number.MAX_SAFE_INTEGER], {
      unit: "bytes",
      description: "Largest body of a request; larger ones are answered 413. Left out: no such bound.",
    }),
    max_connections_per_ip: optionalInteger([1, 1_000_000], {
      unit: "connections",
      scope: "worker",
      description:
        "Connections of one client address (IPv6: one /64) at once; further ones are refused. Left out: no such bound, since clients " +
        "behind one translator share an address.",
    }),
    new_connections_per_sec: integer([1, 1_000_000], 2000, {
      unit: "connections",
      scope: "worker",
      description:
        "New connections a second; the first packets of further ones are dropped, and clients send them again.",
    }),
    new_connections_burst: integer([1, 1_000_000], 4000, {
      unit: "connections",
      scope: "worker",
      description: "New connections at once before that rate counts.",
    }),
    max_handshakes: integer([1, 1_000_000], 2000, {
      unit: "connections",
      scope: "worker",
      description: "Unfinished handshakes at once; the first packets of further ones are dropped.",
    }),
    retry: choice(["off", "auto", "always"], {
      default: "auto",
      description:
        "Must clients show that they get what is sent to their address before anything is kept of them (QUIC Retry; it costs them a round " +
        "trip)? `auto`: only while `retry_from_handshakes` handshakes or more are under way.",
    }),
    retry_from_handshakes: integer([1, 1_000_000], 200, {
      unit: "connections",
      scope: "worker",
      description: "Unfinished handshakes from which on `retry: auto` asks clients to show their address.",
    }),
    global_inflight_limit: integer([1, 10_000_000], 65_536, {
      unit: "requests",
      scope: "worker",
      description: "Requests under way at once; further ones are answered 503.",
    }),
    per_upstream_inflight_limit: integer([1, 10_000_000], 65_536, {
      unit: "requests",
      scope: "worker",
      description: "Requests under way at once in one pool; further ones are answered 503.",
    }),
    per_backend_inflight_limit: integer([1, 10_000_000], 16_384, {
      unit: "requests",
      scope: "worker",
      description: "Requests under way at once at one backend; further ones go to others, or are answered 503.",
    }),
    connection_buffer_max_bytes: integer([65_536, 1_073_741_824], 33_554_432, {
      unit: "bytes",
      scope: "worker",
      description:
        "Response bytes that wait for one connection's client; above it further requests of that connection are answered 503.",
    }),
    response_buffer_global_cap_bytes: integer([1_048_576, 1_099_511_627_776], 536_870_912, {
      unit: "bytes",
      scope: "worker",
      description: "Response bytes that wait for clients altogether; above it further requests are answered 503.",
    }),
  },
  { default: {}, description: "Waits, buffers and windows." },
);

const ProtocolSchema = map(
  {
    max_headers_count: integer([8, LIMITS.fieldsPerSectionMax], 128, {
      unit: "fields",
      description: "Most fields of a request's header, pseudo-fields included; more are answered 431.",
    }),
    max_uri_bytes: integer([64, HEADER_BYTES_CONFIGURED_MAX], 16_384, {
      unit: "bytes",
      description: "Longest `:path` of a request; longer ones are answered 414.",
    }),
    reset_burst: integer([1, 1_000_000], 200, {
      unit: "requests",
      description:
        "Requests of one connection that its client may give up, or that are malformed, at once; beyond it the connection is closed (0x107).",
    }),
    resets_per_sec: integer([1, 1_000_000], 50, {
      unit: "requests",
      description: "Such requests a second beyond that.",
    }),
    glitch_burst: integer([1, 1_000_000], 2000, {
      unit: "events",
      description:
        "Packets and frames of one connection that bring nothing (empty DATA, PING, PRIORITY_UPDATE ...) at once; beyond it the connection is closed (0x107).",
    }),
    glitches_per_sec: integer([1, 1_000_000], 200, {
      unit: "events",
      description: "Such packets and frames a second beyond that.",
    }),
    max_headers_bytes: integer([1024, HEADER_BYTES_CONFIGURED_MAX], 32_768, {
      unit: "bytes",
      description: "Largest header of a request, counted as RFC 9114 4.2.2 does; larger ones are answered 431.",
    }),
  },
  { default: {}, description: "Rules of HTTP." },
);

const ConfigSchema = map(
  {
    version: only(1, { expected: "1", description: "Version of the configuration's form." }),
    listen: ListenSchema,
    upstream: named(PoolSchema, {
      minProperties: 1,
      maxProperties: LIMITS.poolsMax,
      expected: "a map of at least one pool by its name",
      description: "The pools by name. The order decides between routes that are otherwise equal.",
    }),
    load_balancing: map(BALANCING, {
      default: {},
      description: "Balancing of the pools that have no `load_balancing` of their own.",
    }),
    forwarded_headers: map(FORWARDING, {
      default: {},
      description: "What backends are told of clients, for the pools that have no `forwarded_headers` of their own.",
    }),
    upstream_tls: UpstreamTlsSchema,
    log: LogSchema,
    workers: integerOr("auto", [1, LIMITS.workersMax], 1, {
      aliases: ["performance.worker_threads"],
      description:
        "Processes that serve; with more than one, a supervisor watches them. `auto`: one for each core that this program may use.",
    }),
    max_concurrent_connections: integer([1, 1_000_000], 10_000, {
      unit: "connections",
      scope: "worker",
      aliases: ["performance.max_active_connections"],
      description: "QUIC connections at once; further ones are refused.",
    }),
    backend_connection_pool_size: integer([1, 65_535], BACKEND_CONNECTIONS_STANDARD, {
      unit: "connections",
      scope: "worker",
      aliases: ["performance.h2_pool_max_idle_per_backend"],
      description:
        "Connections to one backend at most over native HTTP/2, idle ones kept over HTTP/1.1. Over `fetch` HTTP/2 the runtime decides.",
    }),
    performance: PerformanceSchema,
    resilience: map({ protocol: ProtocolSchema }, { default: {}, description: "Protection." }),
  },
  { expected: "a map with at least listen and upstream" },
);

/** A checked configuration: every key is there, with its default where it was left out. */
export type ConfigValue = Checked<typeof ConfigSchema>;

/** The whole schema as data; also the JSON Schema's source. */
export const CONFIG_SHAPE: Shape = ConfigSchema;

/** Does TypeBox agree that this is a whole configuration? Forms of texts and rules over several keys are not its business. */
export function isConfigValue(value: unknown): value is ConfigValue {
  return isChecked(ConfigSchema, value);
}
