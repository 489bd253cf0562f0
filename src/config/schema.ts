/**
 * The keys of a configuration: types, ranges, defaults, units, meanings, other names. Checker, snapshot, reference and the JSON
 * Schema for editors all follow from this one value.
 * A key with a `default` may be left out; one without must be there. A section with the default `{}` may also stand empty.
 */
import { LIMITS } from "../core/limits.ts";
import { PerformanceSchema } from "./schema-performance.ts";
import { LogSchema } from "./schema-log.ts";
import { ObservabilitySchema } from "./schema-observability.ts";
import { ClusterSchema, ControlSchema, DebugSchema, SUPERVISOR, WORKERS } from "./schema-process.ts";
import { ListenersSchema, ListenSchema } from "./schema-listen.ts";
import { BALANCING, FORWARDING, PoolSchema } from "./schema-upstream.ts";
import type { Shape } from "./shape.ts";
import { type Checked, flag, integer, isChecked, list, map, named, only, optionalText, text } from "./words.ts";

/** Default of `backend_connection_pool_size`. */
export const BACKEND_CONNECTIONS_STANDARD = 100;
/** The hard limit of the library must lie above ours for a 431 to be answered, so half of what one section may fill. */
const HEADER_BYTES_CONFIGURED_MAX = LIMITS.fieldSectionBytesMax / 2;

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

const ProtocolSchema = map(
  {
    allow_0rtt: flag(
      false,
      "May requests come in the first flight of a resumed connection (0-RTT)? Whoever records it can play it again, so all backends have to " +
        "understand `Early-Data` and the status 425; docs/early-data.md says what is done about it.",
    ),
    early_data_safe_methods: list(text("safe-method"), {
      default: ["GET", "HEAD"],
      expected: "a list of safe methods",
      description:
        "Methods of requests without a body that are forwarded before the end of the handshake, of those that are safe: GET, HEAD, OPTIONS and " +
        "TRACE. All other requests wait for it. Only with `allow_0rtt`.",
    }),
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
    listeners: ListenersSchema,
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
    workers: WORKERS,
    supervisor: SUPERVISOR,
    control: ControlSchema,
    observability: ObservabilitySchema,
    cluster: ClusterSchema,
    debug: DebugSchema,
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
