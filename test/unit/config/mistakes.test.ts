import { describe, expect, test } from "bun:test";
import { LEAST, LISTEN, printed, UPSTREAM, withPool } from "./sample.ts";

/** What the file is; its text; the lines that are printed. */
type Case = readonly [string, string, readonly string[]];

function check(cases: readonly Case[]): void {
  test.each(cases)("%s", (_name, text, lines) => {
    expect(printed(text)).toEqual(lines);
  });
}

const TOP_KEYS =
  "one of version, listen, listeners, upstream, load_balancing, forwarded_headers, upstream_tls, log, workers, supervisor, control, observability, cluster, debug, " +
  "max_concurrent_connections, " +
  "backend_connection_pool_size, performance, resilience";
const POOL_KEYS_PLAIN =
  "load_balancing, route, access_log, required, host_policy, forwarded_headers, max_request_body_bytes, transport, protocol, backends, tls";
const POOL_KEYS = `one of ${POOL_KEYS_PLAIN}`;
const ROUTE = "route: { path_prefix: / }";
const BACKENDS = "backends: [{ id: a, address: a:1 }]";

describe("an unknown key", () => {
  check([
    ["near nothing", `${LEAST}colour: red\n`, [`c.yaml:12:1: colour: unknown key; expected ${TOP_KEYS}`]],
    [
      "near one beside it",
      `${LEAST}log: { levle: info }\n`,
      ['c.yaml:12:8: log.levle: unknown key; expected one of level, format, file, access; did you mean "level"?'],
    ],
    [
      "in another case",
      `${LEAST}Log: {}\n`,
      [`c.yaml:12:1: Log: unknown key; expected ${TOP_KEYS}; did you mean "log"?`],
    ],
    [
      "that belongs into a section of the same pool",
      withPool(ROUTE, "path_prefix: /api", BACKENDS),
      [
        `c.yaml:8:5: upstream.web.path_prefix: unknown key; expected ${POOL_KEYS}; did you mean "upstream.web.route.path_prefix"?`,
      ],
    ],
    [
      "that belongs into a section beside, below the same item",
      withPool(ROUTE, "backends:", "  - { id: a, address: a:1, timeout_ms: 5 }"),
      [
        "c.yaml:9:32: upstream.web.backends[0].timeout_ms: unknown key; expected one of id, address, weight, health_check; " +
          'did you mean "upstream.web.backends[0].health_check.timeout_ms"?',
      ],
    ],
    [
      "that belongs into another section of the file",
      `${LEAST}port: 443\n`,
      [`c.yaml:12:1: port: unknown key; expected ${TOP_KEYS}; did you mean "listen.port"?`],
    ],
    [
      "that belongs into any pool",
      `${LEAST}path_prefix: /\n`,
      [
        `c.yaml:12:1: path_prefix: unknown key; expected ${TOP_KEYS}; did you mean "upstream.<pool>.route.path_prefix"?`,
      ],
    ],
    [
      "that belongs to any backend",
      `${LEAST}cooldown_ms: 5\n`,
      [
        `c.yaml:12:1: cooldown_ms: unknown key; expected ${TOP_KEYS}; ` +
          'did you mean "upstream.<pool>.backends[].health_check.cooldown_ms"?',
      ],
    ],
    [
      "near an alias",
      `${LEAST}performance: { max_active_connection: 5 }\n`,
      [expect.stringContaining('did you mean "max_active_connections"?')],
    ],
    [
      "in a section with a single key",
      `${LEAST}resilience: { protocl: {} }\n`,
      ['c.yaml:12:15: resilience.protocl: unknown key; expected protocol; did you mean "protocol"?'],
    ],
    [
      "with characters that need quotes",
      `${LEAST}"a.b\\e[1m": 1\n`,
      [`c.yaml:12:1: "a.b\\u001b[1m": unknown key; expected ${TOP_KEYS}`],
    ],
    [
      "named as a part of every object",
      `${LEAST}__proto__: 1\nconstructor: 2\n`,
      [
        `c.yaml:12:1: __proto__: unknown key; expected ${TOP_KEYS}`,
        `c.yaml:13:1: constructor: unknown key; expected ${TOP_KEYS}`,
      ],
    ],
  ]);
});

describe("a missing key", () => {
  check([
    [
      "is named where its map begins",
      UPSTREAM,
      ["c.yaml:1:1: listen: is missing; expected a map with protocol, address, port, tls"],
    ],
    [
      "is named once for each",
      withPool(ROUTE, "backends:", "  - {}"),
      [
        "c.yaml:9:9: upstream.web.backends[0].id: is missing; expected a name of 1 to 128 characters",
        "c.yaml:9:9: upstream.web.backends[0].address: is missing; expected an address such as " +
          '"10.0.0.1:8080", "[::1]:8080" or "https://example.org"',
      ],
    ],
    [
      "is not named when it was mistyped",
      LEAST.replace("address:", "adress:"),
      [
        'c.yaml:11:9: upstream.web.backends[0].adress: unknown key; expected one of id, address, weight, health_check; did you mean "address"?',
      ],
    ],
    [
      "that stands empty is empty",
      withPool("route:", BACKENDS),
      ["c.yaml:7:5: upstream.web.route: is empty; expected a map with host, path_prefix, method"],
    ],
    [
      "and the pools: none at all",
      `${LISTEN}upstream: {}\n`,
      ["c.yaml:5:1: upstream: is empty; expected a map of at least one pool by its name"],
    ],
    [
      "and the pools: nothing there",
      `${LISTEN}upstream:\n`,
      ["c.yaml:5:1: upstream: is empty; expected a map of at least one pool by its name"],
    ],
    [
      "and a pool that is empty",
      `${LISTEN}upstream:\n  web:\n`,
      [`c.yaml:6:3: upstream.web: is empty; expected a map with ${POOL_KEYS_PLAIN}`],
    ],
    [
      "and the backends: none",
      withPool(ROUTE, "backends: []"),
      ["c.yaml:8:5: upstream.web.backends: is empty; expected a list of at least one backend"],
    ],
  ]);
});

const PORT = "an integer from 0 to 65535";

function port(text: string): string {
  return LEAST.replace("listen:\n", `listen:\n  port: ${text}\n`);
}

describe("a value of the wrong type", () => {
  check([
    [
      "a quoted number",
      port('"443"'),
      [`c.yaml:2:9: listen.port: is the text "443"; expected ${PORT}, without quotes`],
    ],
    ["a number with a unit", port("443/udp"), [`c.yaml:2:9: listen.port: is the text "443/udp"; expected ${PORT}`]],
    ["a truth for a number", port("true"), [`c.yaml:2:9: listen.port: is true; expected ${PORT}`]],
    ["nothing for a number", port(""), [`c.yaml:2:3: listen.port: is empty; expected ${PORT}`]],
    [
      "a map for a number, blamed on the key",
      port("\n    udp: 443"),
      [`c.yaml:2:3: listen.port: is a map; expected ${PORT}`],
    ],
    [
      "a list for a number, blamed on the key",
      port("\n    - 443"),
      [`c.yaml:2:3: listen.port: is a list; expected ${PORT}`],
    ],
    [
      "a duration with a unit",
      `${LEAST}        health_check: { interval: 5s }\n`,
      [
        'c.yaml:12:35: upstream.web.backends[0].health_check.interval: is the text "5s"; ' +
          "expected an integer from 1 to 86400000 (milliseconds)",
      ],
    ],
    [
      "a number for a text",
      LEAST.replace("id: a", "id: 1"),
      [
        'c.yaml:10:13: upstream.web.backends[0].id: is the number 1; expected a name of 1 to 128 characters, such as "1" in quotes',
      ],
    ],
    [
      "a number for a text that it could not be either",
      withPool("route: { path_prefix: 5 }", BACKENDS),
      [
        'c.yaml:7:27: upstream.web.route.path_prefix: is the number 5; expected a path that begins with "/", such as "/api"',
      ],
    ],
    [
      "a text for a map",
      `${LEAST}log: info\n`,
      ['c.yaml:12:6: log: is the text "info"; expected a map with level, format, file, access'],
    ],
    [
      "a map for a list",
      withPool(ROUTE, "backends: { id: a }"),
      ["c.yaml:8:5: upstream.web.backends: is a map; expected a list of at least one backend"],
    ],
    [
      "a list for a map",
      `${LISTEN}upstream:\n  - web\n`,
      ["c.yaml:5:1: upstream: is a list; expected a map of at least one pool by its name"],
    ],
    [
      "a text for an item",
      withPool(ROUTE, "backends:", "  - a:1"),
      [
        'c.yaml:9:9: upstream.web.backends[0]: is the text "a:1"; expected a map with id, address, weight, health_check',
      ],
    ],
    [
      "a list for what may be a text or a map",
      `${LEAST}log: { file: [a] }\n`,
      ["c.yaml:12:8: log.file: is a list; expected the path of a file, or a map with enabled, path"],
    ],
    [
      "yes and no for a truth",
      `${LEAST}upstream_tls: { verify_certificates: no }\n`,
      ['c.yaml:12:38: upstream_tls.verify_certificates: is the text "no"; expected true or false'],
    ],
    [
      "a quoted truth",
      `${LEAST}upstream_tls: { verify_certificates: 'true' }\n`,
      [`c.yaml:12:38: upstream_tls.verify_certificates: is the text "true"; expected true or false, without quotes`],
    ],
  ]);
});

describe("a value out of range", () => {
  check([
    ["too large", port("65536"), [`c.yaml:2:9: listen.port: is 65536; expected ${PORT}`]],
    ["too small", port("-1"), [`c.yaml:2:9: listen.port: is -1; expected ${PORT}`]],
    ["a fraction", port("443.5"), [`c.yaml:2:9: listen.port: is 443.5; expected ${PORT}`]],
    ["endless", port(".inf"), [`c.yaml:2:9: listen.port: is .inf; expected ${PORT}`]],
    ["no number at all", port(".nan"), [`c.yaml:2:9: listen.port: is .nan; expected ${PORT}`]],
    ["far too large", port("9".repeat(400)), [`c.yaml:2:9: listen.port: is ${"9".repeat(40)}; expected ${PORT}`]],
    [
      "a weight of 0",
      `${LEAST}        weight: 0\n`,
      ["c.yaml:12:17: upstream.web.backends[0].weight: is 0; expected an integer from 1 to 1000"],
    ],
    [
      "a weight of 1001",
      `${LEAST}        weight: 1001\n`,
      ["c.yaml:12:17: upstream.web.backends[0].weight: is 1001; expected an integer from 1 to 1000"],
    ],
    ["another version", `${LEAST}version: 2\n`, ["c.yaml:12:10: version: is 2; expected 1"]],
    [
      "the version as a text",
      `${LEAST}version: "1"\n`,
      ['c.yaml:12:10: version: is the text "1"; expected 1, without quotes'],
    ],
    [
      "the largest header that can be asked for",
      `${LEAST}resilience: { protocol: { max_headers_bytes: 131073 } }\n`,
      [
        "c.yaml:12:46: resilience.protocol.max_headers_bytes: is 131073; expected an integer from 1024 to 131072 (bytes)",
      ],
    ],
  ]);
});

describe("a value that is none of the known ones", () => {
  const types = 'one of "round-robin", "random", "consistent-hash"';
  check([
    [
      "near none",
      `${LEAST}log: { level: warning }\n`,
      ['c.yaml:12:15: log.level: is "warning"; expected one of "off", "error", "warn", "info", "debug", "trace"'],
    ],
    [
      "mistyped",
      `${LEAST}load_balancing: { type: roundrobin }\n`,
      [`c.yaml:12:25: load_balancing.type: is "roundrobin"; expected ${types}; did you mean "round-robin"?`],
    ],
    [
      "in capitals",
      `${LEAST}log: { format: JSON }\n`,
      ['c.yaml:12:16: log.format: is "JSON"; expected one of "plain", "json"; did you mean "json"?'],
    ],
    [
      "the only one there is",
      LEAST.replace("listen:\n", "listen:\n  protocol: http2\n"),
      ['c.yaml:2:13: listen.protocol: is "http2"; expected "http3"; did you mean "http3"?'],
    ],
    [
      "of another type",
      `${LEAST}log: { level: 3 }\n`,
      ['c.yaml:12:15: log.level: is the number 3; expected one of "off", "error", "warn", "info", "debug", "trace"'],
    ],
    ...["least-connections", "lc", "latency-aware", "la", "sticky-cid", "cid-sticky", "least_connections"].map(
      (type): Case => [
        `known from the original: ${type}`,
        `${LEAST}load_balancing: { type: ${type} }\n`,
        [
          `c.yaml:12:25: load_balancing.type: "${type}" is known from the original, not supported yet; expected ${types}`,
        ],
      ],
    ),
    [
      "named as a part of every object",
      `${LEAST}load_balancing: { type: toString }\n`,
      [`c.yaml:12:25: load_balancing.type: is "toString"; expected ${types}`],
    ],
  ]);
});

const SOCKET_EXPECTED = 'auto, off, or a path that begins with "/" and has at most 96 bytes';

describe("a text of the wrong form", () => {
  check([
    [
      "a path of a control socket that depends on who looks",
      `${LEAST}control: { socket: control.sock }\n`,
      [`c.yaml:12:20: control.socket: "control.sock" is no such path; expected ${SOCKET_EXPECTED}`],
    ],
    [
      "one that the system does not take",
      `${LEAST}control: { socket: /${"x".repeat(96)} }\n`,
      [`c.yaml:12:20: control.socket: the path has 97 bytes; expected ${SOCKET_EXPECTED}`],
    ],
    [
      "an address without a port",
      LEAST.replace("127.0.0.1:8080", "example.org"),
      [
        'c.yaml:11:18: upstream.web.backends[0].address: "example.org" has no port; expected host and port, such as ' +
          '"example.org:8080", or a scheme, such as "https://example.org"',
      ],
    ],
    [
      "a listener's address with a port",
      LEAST.replace("listen:\n", 'listen:\n  address: "0.0.0.0:443"\n'),
      [
        'c.yaml:2:12: listen.address: "0.0.0.0:443" is no IP address; expected an IP address such as "0.0.0.0" or "::", without brackets and port',
      ],
    ],
    [
      "an empty file name",
      LEAST.replace("cert.pem", '""'),
      ["c.yaml:3:11: listen.tls.cert: is an empty text; expected the path of a file"],
    ],
    [
      "an empty name of a pool",
      LEAST.replace("web:", '"":'),
      ['c.yaml:6:3: upstream."": is an empty name; expected a name of 1 to 128 characters'],
    ],
    [
      "a long value, which is cut",
      LEAST.replace("path_prefix: /", `path_prefix: ${"é".repeat(100)}`),
      [
        `c.yaml:8:20: upstream.web.route.path_prefix: "${"é".repeat(60)}"... does not begin with "/"; expected a path that begins with "/", such as "/api"`,
      ],
    ],
  ]);
});

describe("a key of the original without a meaning here", () => {
  const paths: readonly (readonly [string, string, string])[] = [
    ["observability.tracing", `${LEAST}observability: { tracing: { enabled: true } }\n`, "12:18"],
    ["security", `${LEAST}security:\n`, "12:1"],
    ["secrets", `${LEAST}secrets: {}\n`, "12:1"],
    ["upstream.web.auth", withPool(ROUTE, BACKENDS, "auth: {}"), "9:5"],
    ["upstream.web.tls.strict_sni", withPool(ROUTE, BACKENDS, "tls: { strict_sni: true }"), "9:12"],
    ["upstream_tls.client_key_ref", `${LEAST}upstream_tls: { client_key_ref: {} }\n`, "12:17"],
    ["performance.reuseport", `${LEAST}performance: { reuseport: true }\n`, "12:16"],
    ["resilience.circuit_breaker", `${LEAST}resilience: { circuit_breaker: {} }\n`, "12:15"],
    ["resilience.protocol.allow_connect", `${LEAST}resilience: { protocol: { allow_connect: true } }\n`, "12:27"],
  ];
  test.each(paths)("is told to be one: %s", (path, text, place) => {
    expect(printed(text)).toEqual([
      `c.yaml:${place}: ${path}: is known from the original, not supported yet; expected the key to be left out`,
    ]);
  });

  test("is an unknown key in another place", () => {
    expect(printed(`${LEAST}packet_shards_per_worker: 4\n`)).toEqual([
      `c.yaml:12:1: packet_shards_per_worker: unknown key; expected ${TOP_KEYS}`,
    ]);
  });
});

describe("several mistakes", () => {
  test("are all printed, by their place", () => {
    const text = `version: 2
lisen: {}
listen:
  port: "443"
  tls: { cert: a.pem }
upstream:
  api:
    load_balancing: { type: random, key: path }
    route: { host: "*" }
    backends:
      - { id: a, address: example, weight: 0443 }
      - { id: a, address: "ftp://x" }
  "b.c":
    backends: []
log: { level: loud }
`;
    expect(printed(text, "/etc/spooky/config.yaml").map((line) => line.split("; expected")[0])).toEqual([
      "/etc/spooky/config.yaml:1:10: version: is 2",
      "/etc/spooky/config.yaml:2:1: lisen: unknown key",
      '/etc/spooky/config.yaml:4:9: listen.port: is the text "443"',
      "/etc/spooky/config.yaml:5:10: listen.tls.key: is missing beside cert",
      '/etc/spooky/config.yaml:8:37: upstream.api.load_balancing.key: has no meaning with the type "random"',
      '/etc/spooky/config.yaml:9:20: upstream.api.route.host: "*" is no host',
      '/etc/spooky/config.yaml:11:27: upstream.api.backends[0].address: "example" has no port',
      "/etc/spooky/config.yaml:11:44: upstream.api.backends[0].weight: is written 0443, which is octal to some readers",
      '/etc/spooky/config.yaml:12:15: upstream.api.backends[1].id: "a" is already at line 11, column 15',
      '/etc/spooky/config.yaml:12:27: upstream.api.backends[1].address: has the unknown scheme "ftp"',
      '/etc/spooky/config.yaml:13:3: upstream."b.c".route: is missing',
      '/etc/spooky/config.yaml:14:5: upstream."b.c".backends: is empty',
      '/etc/spooky/config.yaml:15:15: log.level: is "loud"',
    ]);
  });

  test("beyond the maximum are only counted", () => {
    const text = LEAST + Array.from({ length: 130 }, (_, index) => `k${index}: 1\n`).join("");
    const lines = printed(text);
    expect(lines).toHaveLength(101);
    expect(lines[99]).toBe(`c.yaml:111:1: k99: unknown key; expected ${TOP_KEYS}`);
    expect(lines[100]).toBe("c.yaml:111:1: (document): 30 more problems are not shown");
  });
});
