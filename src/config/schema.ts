/**
 * The keys of a configuration: types, ranges, defaults, units, meanings, other names. The only file that knows TypeBox. Checker,
 * snapshot, reference and the JSON Schema for editors all follow from this one value.
 * A key with a `default` may be left out; one without must be there. A section with the default `{}` may also stand empty.
 */
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { LIMITS } from "../core/limits.ts";
import type { FormName } from "./forms.ts";
import type { Annotations, Shape } from "./shape.ts";

/** A day: longer waits are mistakes (seconds taken for milliseconds the other way round), and a timer holds 24 days at most. */
const DURATION_MS_MAX = 86_400_000;
/** The kernel doubles the wanted size into a signed 32-bit number. */
const SOCKET_BUFFER_BYTES_MAX = 1_073_741_823;
/** A client may have this much in flight; more is memory given away. */
const WINDOW_BYTES_MAX = 1_073_741_824;
/** The hard limit of the library must lie above ours for a 431 to be answered, so half of what one section may fill. */
const HEADER_BYTES_CONFIGURED_MAX = LIMITS.fieldSectionBytesMax / 2;

const STRICT = { additionalProperties: false } as const;

type Range = readonly [minimum: number, maximum: number];

function integer([minimum, maximum]: Range, standard: number, annotations: Annotations) {
  return Type.Integer({ minimum, maximum, default: standard, ...annotations });
}

function milliseconds(standard: number, description: string) {
  return integer([1, DURATION_MS_MAX], standard, { unit: "ms", description });
}

function socketBuffer(description: string) {
  return integer([4096, SOCKET_BUFFER_BYTES_MAX], 8_388_608, { unit: "bytes", scope: "worker", description });
}

function window(standard: number, description: string) {
  return integer([16_384, WINDOW_BYTES_MAX], standard, { unit: "bytes", description });
}

/** A text that must be there. */
function text(form: FormName, description: string) {
  return Type.String({ form, description });
}

/** A text with a default. */
function standardText(form: FormName, standard: string, description: string) {
  return Type.String({ form, default: standard, description });
}

/** A text that may be missing. */
function optionalText(form: FormName, description: string) {
  return Type.Union([Type.String({ form }), Type.Null()], { default: null, description });
}

const BalancingSchema = Type.Object(
  {
    type: Type.Union([Type.Literal("round-robin"), Type.Literal("random"), Type.Literal("consistent-hash")], {
      default: "round-robin",
      description: "How a backend of the pool is chosen.",
      synonyms: {
        rr: "round-robin",
        round_robin: "round-robin",
        ch: "consistent-hash",
        consistent_hash: "consistent-hash",
      },
      unsupported: [
        ...["least-connections", "least_connections", "lc", "latency-aware", "latency_aware", "la"],
        ...["sticky-cid", "sticky_cid", "cid-sticky", "cid_sticky"],
      ],
    }),
    key: standardText(
      "hash-key",
      "client_ip",
      "What a consistent hash is taken over: `client_ip` (the address at the start of the connection; also `peer_ip`), " +
        "`header:<name>`, `cookie:<name>`, `query:<name>`, `path`, `authority`, `method` or `cid` (the connection). Only with " +
        "`consistent-hash`.",
    ),
  },
  STRICT,
);

const HealthCheckSchema = Type.Object(
  {
    path: standardText("probe-path", "/health", "Path, and query if any, that is asked for."),
    interval: milliseconds(5000, "From the start of one check to the start of the next."),
    timeout_ms: milliseconds(1000, "A check without an answer after this has failed."),
    failure_threshold: integer([1, 1000], 3, {
      description: "Failures in a row that make a healthy backend unhealthy.",
    }),
    success_threshold: integer([1, 1000], 2, {
      description: "Successes in a row that make an unhealthy backend healthy.",
    }),
    cooldown_ms: milliseconds(5000, "A backend that became unhealthy stays so at least this long."),
  },
  STRICT,
);

const BackendSchema = Type.Object(
  {
    id: text("name", "Name of the backend in logs and metrics; unique in its pool."),
    address: text(
      "backend-address",
      "`https://host[:443]` (HTTP/2 or HTTP/1.1 over TLS), `http://host[:80]` (HTTP/1.1), `h2c://host[:80]` (HTTP/2 without " +
        "TLS), `h3://host[:443]` (HTTP/3), or `host:port` (without TLS; the version is found out). IPv6 in brackets.",
    ),
    weight: integer([1, 1000], 100, { description: "Share of the requests, relative to the pool's other backends." }),
    health_check: Type.Union([HealthCheckSchema, Type.Null()], {
      default: null,
      description:
        "Active checks. Left out or empty: none, and the backend always counts as healthy. `{}`: checks with the defaults.",
    }),
  },
  STRICT,
);

const RouteSchema = Type.Object(
  {
    host: optionalText(
      "host",
      "Host of the request: a name, or `*.suffix` for every name below it. Left out: any host.",
    ),
    path_prefix: standardText(
      "path-prefix",
      "/",
      "Beginning of the path, on segment borders: `/api` takes `/api` and `/api/x`, not `/apix`. The longest wins.",
    ),
    method: optionalText("method", "Method of the request, in any case. Left out: any method."),
  },
  {
    ...STRICT,
    description: "Which requests the pool takes. `host` or `path_prefix` must be given; all that is given must match.",
  },
);

const PoolTlsSchema = Type.Object(
  {
    verify_certificates: Type.Union([Type.Boolean(), Type.Null()], {
      default: null,
      description: "As `upstream_tls.verify_certificates`, for this pool. Left out: as there.",
    }),
    ca_file: optionalText("file", "As `upstream_tls.ca_file`, for this pool. Left out: as there."),
    ca_dir: optionalText("folder", "As `upstream_tls.ca_dir`, for this pool. Left out: as there."),
  },
  { ...STRICT, default: {}, description: "Trust towards the `https://` and `h3://` backends of this pool." },
);

const PoolSchema = Type.Object(
  {
    load_balancing: Type.Union([BalancingSchema, Type.Null()], {
      default: null,
      description: "How requests are spread over the pool. Left out: as the `load_balancing` at the top.",
    }),
    route: RouteSchema,
    transport: Type.Union([Type.Literal("fetch"), Type.Literal("native"), Type.Null()], {
      ...{ default: null, description: "`native`: our own HTTP/2 and HTTP/1.1. Left out: `fetch` unless `h2c://`." },
    }),
    backends: Type.Array(BackendSchema, {
      minItems: 1,
      maxItems: LIMITS.backendsPerPoolMax,
      expected: "a list of at least one backend",
      description: "The pool's backends.",
    }),
    tls: PoolTlsSchema,
  },
  { ...STRICT, expected: "a map with load_balancing, route, transport, backends, tls" },
);

const CertificateSchema = Type.Object(
  {
    server_name: optionalText(
      "server-name",
      "Name that clients ask for (SNI): a name, or `*.suffix` for every name one level below it. Left out: the certificate's names.",
    ),
    cert: text("file", "PEM file with the certificate and its chain."),
    key: text("file", "PEM file with the private key."),
  },
  { ...STRICT, expected: "a map with server_name, cert, key" },
);

const ListenSchema = Type.Object(
  {
    protocol: Type.Union([Type.Literal("http3")], { default: "http3", description: "Protocol of the listener." }),
    address: standardText("ip", "0.0.0.0", "Address to listen on. `::` takes IPv6 and IPv4."),
    port: integer([0, 65535], 9889, { description: "UDP port. With 0 the system chooses one." }),
    tls: Type.Object(
      {
        cert: optionalText("file", "PEM file with the certificate and its chain. Given together with `key`."),
        key: optionalText("file", "PEM file with the private key."),
        certificates: Type.Array(CertificateSchema, {
          default: [],
          expected: "a list of certificates",
          description:
            "Certificates by server name. `cert` above, else the first of the list, answers all other names.",
        }),
      },
      { ...STRICT, description: "At least one certificate: `cert` with `key`, or `certificates`, or both." },
    ),
  },
  { ...STRICT, description: "Where clients reach the proxy." },
);

const UpstreamTlsSchema = Type.Object(
  {
    verify_certificates: Type.Boolean({ default: true, description: "Are certificates of backends verified?" }),
    ca_file: optionalText("file", "PEM bundle that is trusted instead of the system's."),
    ca_dir: optionalText("folder", "Folder whose PEM files are trusted too."),
  },
  { ...STRICT, default: {}, description: "Trust towards `https://` and `h3://` backends." },
);

const LogFileSchema = Type.Object(
  {
    enabled: Type.Boolean({ default: false, description: "The original's form: are lines written to `path`?" }),
    path: standardText("file", "/var/log/spooky/spooky.log", "The original's form: the file."),
  },
  STRICT,
);

const LogSchema = Type.Object(
  {
    level: Type.Union(
      (["off", "error", "warn", "info", "debug", "trace"] as const).map((level) => Type.Literal(level)),
      { default: "info", description: "Least level that is written." },
    ),
    format: Type.Union([Type.Literal("plain"), Type.Literal("json")], {
      default: "plain",
      description: "`plain` for people, `json` for one JSON object a line.",
    }),
    file: Type.Union([Type.String({ form: "file" }), LogFileSchema, Type.Null()], {
      default: null,
      description: "File that lines are added to. Left out: standard output and standard error.",
    }),
  },
  { ...STRICT, default: {}, description: "Logging." },
);

const PerformanceSchema = Type.Object(
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
  { ...STRICT, default: {}, description: "Waits, buffers and windows." },
);

const ProtocolSchema = Type.Object(
  {
    max_headers_bytes: integer([1024, HEADER_BYTES_CONFIGURED_MAX], 32_768, {
      unit: "bytes",
      description: "Largest header of a request, counted as RFC 9114 4.2.2 does; larger ones are answered 431.",
    }),
  },
  { ...STRICT, default: {}, description: "Rules of HTTP." },
);

const ConfigSchema = Type.Object(
  {
    version: Type.Literal(1, { default: 1, expected: "1", description: "Version of the configuration's form." }),
    listen: ListenSchema,
    upstream: Type.Record(Type.String(), PoolSchema, {
      minProperties: 1,
      maxProperties: LIMITS.poolsMax,
      expected: "a map of at least one pool by its name",
      description: "The pools by name. The order decides between routes that are otherwise equal.",
    }),
    load_balancing: Type.Object(BalancingSchema.properties, {
      ...STRICT,
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
    backend_connection_pool_size: integer([1, 65_535], 100, {
      unit: "connections",
      scope: "worker",
      aliases: ["performance.h2_pool_max_idle_per_backend"],
      description: "Idle connections that are kept to one backend.",
    }),
    performance: PerformanceSchema,
    resilience: Type.Object({ protocol: ProtocolSchema }, { ...STRICT, default: {}, description: "Protection." }),
  },
  { ...STRICT, expected: "a map with at least listen and upstream" },
);

/** A checked configuration: every key is there, with its default where it was left out. */
export type ConfigValue = Static<typeof ConfigSchema>;

/** The whole schema as data; also the JSON Schema's source. */
export const CONFIG_SHAPE: Shape = ConfigSchema;

/** Does TypeBox agree that this is a whole configuration? Forms of texts and rules over several keys are not its business. */
export function isConfigValue(value: unknown): value is ConfigValue {
  return Value.Check(ConfigSchema, value);
}
