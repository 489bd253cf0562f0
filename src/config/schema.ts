/**
 * The keys of a configuration: types, ranges, defaults, units, meanings, other names. Checker, snapshot, reference and the JSON
 * Schema for editors all follow from this one value.
 * A key with a `default` may be left out; one without must be there. A section with the default `{}` may also stand empty.
 */
import { LIMITS } from "../core/limits.ts";
import { BALANCING, PoolSchema } from "./schema-upstream.ts";
import type { Shape } from "./shape.ts";
import {
  type Checked,
  choice,
  eitherOrNull,
  flag,
  integer,
  isChecked,
  list,
  map,
  milliseconds,
  named,
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
    client_body_idle_timeout_ms: milliseconds(30_000, "Between two pieces of a request body."),
    shutdown_drain_timeout_ms: milliseconds(30_000, "From the stop signal to the forced end of what still runs."),
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
  },
  { default: {}, description: "Waits, buffers and windows." },
);

const ProtocolSchema = map(
  {
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
    upstream_tls: UpstreamTlsSchema,
    log: LogSchema,
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
