/** The part of the schema that speaks of pools and their backends. */
import { LIMITS } from "../core/limits.ts";
import {
  choice,
  flag,
  integer,
  list,
  map,
  milliseconds,
  optionalChoice,
  optionalFlag,
  optionalInteger,
  optionalText,
  orNull,
  standardText,
  text,
} from "./words.ts";

/** How a backend of a pool is chosen; also the defaults for all pools. */
export const BALANCING = {
  type: choice(["round-robin", "random", "consistent-hash"], {
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
};

/** What backends are told of where a request came from; also the defaults for all pools. */
export const FORWARDING = {
  mode: choice(["overwrite", "append", "preserve"], {
    default: "overwrite",
    description:
      "What becomes of Forwarded and X-Forwarded-* of a request from a trusted proxy: replaced by ours, ours added at their end, or left " +
      "as they are. Those of all others are always replaced.",
  }),
  trusted_proxies: list(text("cidr"), {
    default: [],
    expected: "a list of addresses and networks",
    description: "Addresses and networks (`10.0.0.0/8`, `2001:db8::/32`) of proxies in front of us whose word counts.",
  }),
  forwarded: flag(true, "Is Forwarded (RFC 7239) sent beside X-Forwarded-For, -Proto and -Host?"),
};

const HostPolicySchema = map(
  {
    mode: choice(["pass-through", "rewrite", "upstream"], {
      default: "pass-through",
      description: "Host towards backends: as the client sent it, `host` below, or the backend's own address.",
      synonyms: { pass_through: "pass-through", passthrough: "pass-through" },
    }),
    host: optionalText("authority", "Host, with its port if any, for `rewrite`."),
  },
  { default: {}, description: "Which Host backends are asked for." },
);

const HealthCheckSchema = map({
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
});

const BackendSchema = map({
  id: text("name", "Name of the backend in logs and metrics; unique in its pool."),
  address: text(
    "backend-address",
    "`https://host[:443]` (HTTP/2 or HTTP/1.1 over TLS), `http://host[:80]` (HTTP/1.1), `h2c://host[:80]` (HTTP/2 without " +
      "TLS), `h3://host[:443]` (HTTP/3), `host:port` or `unix:/path` (without TLS; the version is found out). IPv6 in brackets.",
  ),
  weight: integer([1, 1000], 100, { description: "Share of the requests, relative to the pool's other backends." }),
  health_check: orNull(
    HealthCheckSchema,
    "Active checks. Left out or empty: none, and the backend always counts as healthy. `{}`: checks with the defaults.",
  ),
});

const RouteSchema = map(
  {
    host: optionalText(
      "host",
      "Host of the request: a name, or `*.suffix` for every name below it. Left out: any host.",
    ),
    path_prefix: standardText(
      "path-prefix",
      "/",
      "Beginning of the path, on segment borders: `/api` takes `/api` and `/api/x`, not `/apix`. The longest wins. Escapes, `//`, dot " +
        "segments and `;parameters` do not lead around it: paths are compared in a normal form.",
    ),
    method: optionalText("method", "Method of the request, in any case. Left out: any method."),
  },
  {
    description: "Which requests the pool takes. `host` or `path_prefix` must be given; all that is given must match.",
  },
);

const PoolTlsSchema = map(
  {
    verify_certificates: optionalFlag("As `upstream_tls.verify_certificates`, for this pool. Left out: as there."),
    ca_file: optionalText("file", "As `upstream_tls.ca_file`, for this pool. Left out: as there."),
    ca_dir: optionalText("folder", "As `upstream_tls.ca_dir`, for this pool. Left out: as there."),
    client_certificate: optionalText("file", "As `upstream_tls.client_certificate`, for this pool, with `client_key`."),
    client_key: optionalText("file", "As `upstream_tls.client_key`, for this pool."),
    server_name: optionalText(
      "tls-name",
      "Name that is asked for (SNI) and that the certificates of this pool's backends must be for. Left out: the host of each address.",
    ),
  },
  { default: {}, description: "TLS towards the `https://` and `h3://` backends of this pool." },
);

/** One pool. */
export const PoolSchema = map(
  {
    load_balancing: orNull(
      map(BALANCING),
      "How requests are spread over the pool. Left out: as the `load_balancing` at the top.",
    ),
    route: RouteSchema,
    access_log: choice(["on", "errors", "off"], {
      default: "on",
      description:
        "Lines for requests of this pool, where `log.access` has any: all, those where this side or a backend failed, or none.",
    }),
    required: flag(true, "Is the program not ready (`/ready`) while none of the pool's backends can be used?"),
    host_policy: HostPolicySchema,
    forwarded_headers: orNull(
      map(FORWARDING),
      "What this pool's backends are told of clients. Left out: as the `forwarded_headers` at the top.",
    ),
    max_request_body_bytes: optionalInteger([0, Number.MAX_SAFE_INTEGER], {
      unit: "bytes",
      description: "As `performance.max_request_body_bytes`, for this pool. Left out: as there.",
    }),
    transport: optionalChoice(
      ["fetch", "native"],
      "Whose client speaks to the backends: the runtime's `fetch` or our own (`native`). Left out: `fetch` for `https://` and " +
        "`h3://`, `native` for the rest.",
    ),
    protocol: choice(["auto", "http1", "h2", "h2c", "h3"], {
      default: "auto",
      description:
        "What the backends speak, where their addresses leave it open. `auto`: what ALPN chooses over TLS; in clear HTTP/2 if the " +
        "backend answers its preface, else HTTP/1.1. `http1`, `h2` (over TLS), `h2c` (in clear) and `h3` say it outright.",
      synonyms: { "http/1.1": "http1", h1: "http1", http2: "h2", http3: "h3" },
    }),
    backends: list(BackendSchema, {
      minItems: 1,
      maxItems: LIMITS.backendsPerPoolMax,
      expected: "a list of at least one backend",
      description: "The pool's backends.",
    }),
    tls: PoolTlsSchema,
  },
  {
    expected:
      "a map with load_balancing, route, access_log, required, host_policy, forwarded_headers, max_request_body_bytes, transport, protocol, backends, tls",
  },
);
