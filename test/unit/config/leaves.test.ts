/**
 * For every key of the schema: a value of a wrong type is exactly one mistake, and it names the key and its line. The files are
 * made from one whole configuration by putting a wrong value in the place of a right one.
 */
import { describe, expect, test } from "bun:test";
import { loadConfig } from "../../../src/config/load.ts";
import { CONFIG_SHAPE, isConfigValue } from "../../../src/config/schema.ts";
import { branchesOf, keyRows, schemaPathText } from "../../../src/config/shape.ts";
import type { KeyRow } from "../../../src/config/shape.ts";

type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value };

/** A configuration in which every key of the schema stands. */
const WHOLE: Value = {
  version: 1,
  listen: {
    protocol: "http3",
    address: "::",
    port: 443,
    tls: {
      ...{ cert: "a", key: "b", certificates: [{ server_name: "a.example", cert: "c", key: "d" }] },
      client_auth: {
        ...{ enabled: true, require_client_cert: true, ca_file: "e", certificate_header: "Client-Cert" },
        ...{ chain_header: "Client-Cert-Chain", subject_header: "X-Subject", fingerprint_header: "X-Fingerprint" },
      },
      refuse_misdirected: false,
    },
  },
  listeners: [
    {
      protocol: "http3",
      address: "127.0.0.1",
      port: 443,
      tls: {
        ...{ cert: "a", key: "b", certificates: [{ server_name: "a.example", cert: "c", key: "d" }] },
        client_auth: {
          ...{ enabled: true, require_client_cert: true, ca_file: "e", certificate_header: "Client-Cert" },
          ...{ chain_header: "Client-Cert-Chain", subject_header: "X-Subject", fingerprint_header: "X-Fingerprint" },
        },
        refuse_misdirected: false,
      },
    },
  ],
  upstream: {
    "<pool>": {
      load_balancing: { type: "consistent-hash", key: "path" },
      route: { host: "a.example", path_prefix: "/a", method: "GET" },
      ...{ access_log: "errors", required: false },
      host_policy: { mode: "rewrite", host: "a.example" },
      forwarded_headers: { mode: "append", trusted_proxies: ["10.0.0.0/8"], forwarded: true },
      max_request_body_bytes: 5,
      transport: "native",
      protocol: "auto",
      backends: [
        {
          ...{ id: "a", address: "a:1", weight: 5 },
          health_check: {
            ...{ path: "/", interval: 5, timeout_ms: 5, failure_threshold: 5, success_threshold: 5, cooldown_ms: 5 },
          },
        },
      ],
      tls: {
        ...{ verify_certificates: false, ca_file: "a", ca_dir: "b" },
        ...{ client_certificate: "c", client_key: "d", server_name: "a.example" },
      },
    },
  },
  load_balancing: { type: "consistent-hash", key: "cid" },
  forwarded_headers: { mode: "preserve", trusted_proxies: ["::1"], forwarded: false },
  upstream_tls: {
    ...{ verify_certificates: true, ca_file: "a", ca_dir: "b" },
    ...{ client_certificate: "c", client_key: "d" },
  },
  log: {
    ...{ level: "info", format: "json", file: { enabled: true, path: "a" } },
    access: {
      ...{ enabled: true, file: "b", format: "json", success_per_million: 5, query: "drop" },
      ...{ headers: ["a"], redact_headers: ["b"] },
    },
  },
  workers: 5,
  supervisor: "auto",
  control: { socket: "/a", watch: "all", watch_interval_ms: 5 },
  observability: {
    metrics: {
      ...{ enabled: true, required: false, address: "::1", port: 5, path: "/a" },
      ...{ max_connections: 5, connection_timeout_ms: 5 },
    },
    health: {
      ...{ enabled: true, required: false, address: "::1", port: 6, health_path: "/a", ready_path: "/b" },
      ...{ max_connections: 5, connection_timeout_ms: 5 },
    },
  },
  cluster: {
    ...{ key_file: "a", node_id: "01", connection_ids: "quic-lb" },
    key_rotation_ms: 3_600_000,
    ...{ quic_lb_encrypted: false, quic_lb_nonce_bytes: 5 },
  },
  debug: { keylog_file: "e", qlog_folder: "b", clients: ["::1"], sample_per_million: 5 },
  max_concurrent_connections: 5,
  backend_connection_pool_size: 5,
  performance: {
    ...{ backend_connect_timeout_ms: 5, backend_timeout_ms: 5, backend_body_idle_timeout_ms: 5 },
    ...{
      client_body_idle_timeout_ms: 5,
      shutdown_delay_ms: 5,
      shutdown_drain_timeout_ms: 5,
      udp_recv_buffer_bytes: 5000,
    },
    ...{ udp_send_buffer_bytes: 5000, quic_max_idle_timeout_ms: 5, quic_initial_max_data: 1_000_000 },
    ...{ quic_initial_max_stream_data: 1_000_000, quic_initial_max_streams_bidi: 5 },
    ...{ quic_congestion_control: "reno", quic_initial_window_packets: 32 },
    ...{ backend_total_request_timeout_ms: 5, handshake_timeout_ms: 5, client_header_timeout_ms: 5 },
    ...{ client_send_timeout_ms: 5, client_idle_timeout_ms: 5, max_requests_per_connection: 5 },
    ...{ max_request_body_bytes: 5, max_connections_per_ip: 5, new_connections_per_sec: 5 },
    ...{
      new_connections_burst: 5,
      max_handshakes: 5,
      retry: "off",
      retry_from_handshakes: 5,
      global_inflight_limit: 5,
      per_upstream_inflight_limit: 5,
    },
    ...{ per_backend_inflight_limit: 5, connection_buffer_max_bytes: 1_000_000 },
    ...{ response_buffer_global_cap_bytes: 2_000_000, pin_workers: true, goaway_spread_ms: 5 },
    ...{ quic_max_udp_payload_bytes: 1300, quic_pmtu_discovery: true, quic_pacing: true },
  },
  resilience: {
    protocol: {
      ...{ max_headers_bytes: 5000, max_headers_count: 9, max_uri_bytes: 100 },
      ...{ allow_0rtt: true, early_data_safe_methods: ["GET"] },
      ...{ reset_burst: 5, resets_per_sec: 5, glitch_burst: 5, glitches_per_sec: 5 },
    },
  },
};

const ROWS = keyRows(CONFIG_SHAPE);

/** Values of every type; those that a key takes are left out. */
const CANDIDATES: readonly Value[] = ["\u2028 no", -7, 1.5, true, null, [1], { x: 1 }, [], {}];

function takesType(row: KeyRow, value: Value): boolean {
  return branchesOf(row.shape).some(({ type }) => {
    if (value === null) return type === "null" || (type === "object" && row.shape.default !== undefined);
    if (Array.isArray(value)) return type === "array";
    if (typeof value === "object") return type === "object";
    return (type === "integer" ? "number" : type) === typeof value;
  });
}

/** Every key with every value whose type it does not take: name, value as shown, row, value. */
const WRONG_VALUES = ROWS.flatMap((row) =>
  CANDIDATES.filter((value) => !takesType(row, value)).map(
    (value) => [schemaPathText(row.path), JSON.stringify(value), row, value] as const,
  ),
);

/** The value with another one at `path`; `[]` in it is the first item. */
function replaced(value: Value, path: readonly string[], other: Value): Value {
  const [key, ...rest] = path;
  if (key === undefined) return other;
  if (isList(value)) return value.map((item) => replaced(item, rest, other));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, name === key ? replaced(inner, rest, other) : inner]),
  );
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** The value as YAML with each key on its own line, and the line of every key by its path. */
function written(value: Value): { readonly text: string; readonly lines: ReadonlyMap<string, number> } {
  const rows: string[] = [];
  const lines = new Map<string, number>();
  const write = (inner: Value, path: readonly string[], indent: string): void => {
    if (isList(inner) && inner.length > 0 && typeof inner[0] === "object") {
      for (const item of inner) {
        rows.push(`${indent}-`);
        write(item, [...path, "[]"], `${indent}  `);
      }
      return;
    }
    if (typeof inner !== "object" || inner === null || isList(inner)) return;
    for (const [key, child] of Object.entries(inner)) {
      const isBlock = typeof child === "object" && child !== null && Object.keys(child).length > 0;
      const isPlainList = isList(child) && typeof child[0] !== "object";
      rows.push(`${indent}${JSON.stringify(key)}:${isBlock && !isPlainList ? "" : ` ${JSON.stringify(child)}`}`);
      lines.set(schemaPathText([...path, key]), rows.length);
      write(child, [...path, key], `${indent}  `);
    }
  };
  write(value, [], "");
  return { text: `${rows.join("\n")}\n`, lines };
}

function problemsOf(text: string) {
  const result = loadConfig(text, "c.yaml");
  return "problems" in result ? result.problems : [];
}

test("the whole configuration is valid and holds every key of the schema", () => {
  const { text, lines } = written(WHOLE);
  expect(problemsOf(text)).toEqual([]);
  const names = [...lines.keys()].filter((name) => name !== "upstream.<pool>");
  expect(names.toSorted()).toEqual(ROWS.map((row) => schemaPathText(row.path)).toSorted());
});

describe("a value of a wrong type is one mistake at its key", () => {
  test.each(WRONG_VALUES)("%s: %s", (name, _shown, row, value) => {
    const { text, lines } = written(replaced(WHOLE, row.path, value));
    const problems = problemsOf(text);
    expect(problems.map(({ path, line }) => [path, line])).toEqual([
      [name.replaceAll("[]", "[0]"), lines.get(name) ?? 0],
    ]);
  });
});

describe("an unknown key is one mistake", () => {
  const maps = [
    "",
    ...ROWS.filter(({ shape }) => branchesOf(shape).some((branch) => branch.properties)).map((row) =>
      schemaPathText(row.path),
    ),
  ];

  test.each(maps)("in %p", (name) => {
    const path = name === "" ? [] : name.replaceAll("[]", ".[]").split(".");
    const inner = valueAt(WHOLE, path);
    const { text, lines } = written(replaced(WHOLE, path, { ...(typeof inner === "object" ? inner : {}), qqqqqq: 1 }));
    const key = name === "" ? "qqqqqq" : `${name}.qqqqqq`;
    expect(problemsOf(text).map((problem) => [problem.path, problem.line, problem.wrong])).toEqual([
      [key.replaceAll("[]", "[0]"), lines.get(key) ?? 0, "unknown key"],
    ]);
  });
});

function valueAt(value: Value, path: readonly string[]): Value {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (isList(value)) return valueAt(value[0] ?? null, rest);
  if (typeof value !== "object" || value === null) return null;
  return valueAt(value[key] ?? null, rest);
}

describe("TypeBox agrees with the checker", () => {
  /** A whole value has every key; only forms and rules over several keys are the checker's alone. */
  const plain = replaced(WHOLE, ["log", "file"], "a");

  test("on the whole configuration", () => {
    expect(isConfigValue(WHOLE)).toBeTrue();
    expect(isConfigValue(plain)).toBeTrue();
  });

  test.each(WRONG_VALUES)("that %s is not %s", (_name, _shown, row, value) => {
    expect(isConfigValue(replaced(WHOLE, row.path, value))).toBeFalse();
  });
});

describe("every range ends where it says", () => {
  /** The two windows bound each other; a rule with its own tests. */
  const isWindow = (path: readonly string[]) => path.at(-1)?.endsWith("_data");
  const numbers = ROWS.filter(({ path, shape }) => shape.type === "integer" && !isWindow(path));

  test.each(numbers.map((row) => [schemaPathText(row.path), row] as const))("%s", (_name, row) => {
    const { minimum = 0, maximum = 0 } = row.shape;
    const count = (value: number) => problemsOf(written(replaced(WHOLE, row.path, value)).text).length;
    expect([minimum - 1, minimum, maximum, maximum + 1].map(count)).toEqual([1, 0, 0, 1]);
  });
});
