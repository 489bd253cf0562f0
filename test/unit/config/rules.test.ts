import { describe, expect, test } from "bun:test";
import { formatProblem, loadConfig } from "../../../src/config/load.ts";
import { LEAST, LISTEN, printed, UPSTREAM, withPool } from "./sample.ts";

type Case = readonly [string, string, readonly string[]];

function check(cases: readonly Case[]): void {
  test.each(cases)("%s", (_name, text, lines) => {
    expect(printed(text)).toEqual(lines);
  });
}

function tls(...lines: readonly string[]): string {
  return `listen:\n  tls:\n${lines.map((line) => `    ${line}\n`).join("")}${UPSTREAM}`;
}

describe("certificates", () => {
  check([
    [
      "a cert without its key",
      tls("cert: a"),
      ["c.yaml:3:5: listen.tls.key: is missing beside cert; expected both or none"],
    ],
    [
      "a key without its cert",
      tls("key: a", "certificates: []"),
      ["c.yaml:3:5: listen.tls.cert: is missing beside key; expected both or none"],
    ],
    [
      "a key that stands empty",
      tls("cert: a", "key:"),
      ["c.yaml:3:5: listen.tls.key: is missing beside cert; expected both or none"],
    ],
    [
      "none at all",
      tls("certificates: []"),
      ["c.yaml:2:3: listen.tls: has no certificate; expected cert with key, or certificates"],
    ],
    [
      "a mistyped key is one mistake",
      tls("cert: a", "kye: b"),
      [
        'c.yaml:4:5: listen.tls.kye: unknown key; expected one of cert, key, certificates, client_auth, refuse_misdirected; did you mean "key"?',
      ],
    ],
    [
      "a server name twice, for certificates with different kinds of keys, is allowed",
      tls(
        "certificates:",
        "  - { server_name: A.example., cert: a, key: a }",
        "  - { server_name: a.example, cert: b, key: b }",
      ),
      [],
    ],
    [
      "clients that are asked, and nobody who is trusted",
      tls("cert: a", "key: b", "client_auth: { enabled: true }"),
      ["c.yaml:5:5: listen.tls.client_auth.ca_file: is missing; expected the authorities to trust"],
    ],
    [
      "a certificate that is required, while nobody is asked",
      tls("cert: a", "key: b", "client_auth: { require_client_cert: true }"),
      ["c.yaml:5:20: listen.tls.client_auth.require_client_cert: has no effect; expected enabled: true beside it"],
    ],
    [
      "one field for two things",
      tls("cert: a", "key: b", "client_auth: { subject_header: X-Client, fingerprint_header: x-client }"),
      [
        'c.yaml:5:66: listen.tls.client_auth.fingerprint_header: "x-client" is already at line 5, column 36; expected each only once in client_auth',
      ],
    ],
    [
      "a field that means something else",
      tls("cert: a", "key: b", "client_auth: { subject_header: Authorization }"),
      [
        'c.yaml:5:36: listen.tls.client_auth.subject_header: "Authorization" has a meaning of its own; expected off, or a field name of its own, such as "Client-Cert" or "X-Client-Subject"',
      ],
    ],
    [
      "a certificate without its key in the list",
      tls("certificates:", "  - { server_name: a.example, cert: a }"),
      ["c.yaml:4:9: listen.tls.certificates[0].key: is missing; expected the path of a file"],
    ],
    ["two without names in the list are allowed", tls("certificates: [{ cert: a, key: a }, { cert: b, key: b }]"), []],
  ]);
});

describe("backends", () => {
  check([
    [
      "an id twice in a pool",
      withPool(
        "route: { path_prefix: / }",
        "backends:",
        "  - { id: a, address: a:1 }",
        "  - { id: b, address: b:1 }",
        "  - { id: a, address: c:1 }",
      ),
      [
        'c.yaml:11:15: upstream.web.backends[2].id: "a" is already at line 9, column 15; expected each only once in the pool',
      ],
    ],
    [
      "an id and an address in two pools are allowed",
      `${LEAST}  other: { route: { path_prefix: /x }, backends: [{ id: a, address: "127.0.0.1:8080" }] }\n`,
      [],
    ],
    [
      "a timeout longer than the interval is allowed",
      `${LEAST}        health_check: { interval: 100, timeout_ms: 5000 }\n`,
      [],
    ],
    [
      "too many of them",
      withPool(
        "route: { path_prefix: / }",
        "backends:",
        ...Array.from({ length: 1025 }, (_, index) => `  - { id: b${index}, address: a:1 }`),
      ),
      ["c.yaml:8:5: upstream.web.backends: has 1025 entries; expected at most 1024"],
    ],
  ]);
});

describe("a route", () => {
  const backends = "backends: [{ id: a, address: a:1 }]";
  const expected = 'expected at least one of them; path_prefix "/" takes every path';
  check([
    [
      "without host and path_prefix",
      withPool("route: { method: GET }", backends),
      [`c.yaml:7:5: upstream.web.route: has neither host nor path_prefix; ${expected}`],
    ],
    [
      "with nothing in it",
      withPool("route: {}", backends),
      [`c.yaml:7:5: upstream.web.route: has neither host nor path_prefix; ${expected}`],
    ],
    [
      "with a mistyped path_prefix is one mistake",
      withPool("route: { path_prefx: /a }", backends),
      [
        'c.yaml:7:14: upstream.web.route.path_prefx: unknown key; expected one of host, path_prefix, method; did you mean "path_prefix"?',
      ],
    ],
    ["with only a host", withPool("route: { host: a.example }", backends), []],
  ]);

  function twoPools(first: string, second: string): string {
    const pool = (name: string, route: string) =>
      `  ${name}: { route: { ${route} }, backends: [{ id: a, address: a:1 }] }\n`;
    return `${LISTEN}upstream:\n${pool("one", first)}${pool("two", second)}`;
  }

  const same: readonly (readonly [string, string, string])[] = [
    ["path_prefix: /a", "path_prefix: /a/", "host any, path_prefix /a, method any"],
    ["host: A.example", 'host: "a.example.:443", path_prefix: /', "host a.example, path_prefix /, method any"],
    ["path_prefix: /, method: get", "path_prefix: /, method: GET", "host any, path_prefix /, method GET"],
    ['host: "[::A]"', 'host: "[::a]:1"', "host [::a], path_prefix /, method any"],
  ];
  test.each(same)("with %s is the same as one with %s", (first, second, name) => {
    expect(printed(twoPools(first, second))).toEqual([
      `c.yaml:7:10: upstream.two.route: takes the same requests as upstream.one.route (line 6, column 10): ${name}; ` +
        "expected another host, path_prefix or method",
    ]);
  });

  const different: readonly (readonly [string, string])[] = [
    ["path_prefix: /a", "path_prefix: /A"],
    ["path_prefix: /", "path_prefix: /, method: GET"],
    ["host: a.example", 'host: "*.a.example"'],
    ["host: a.example", "path_prefix: /"],
  ];
  test.each(different)("with %s differs from one with %s", (first, second) => {
    expect(printed(twoPools(first, second))).toEqual([]);
  });

  test("that is wrong is not compared", () => {
    expect(printed(twoPools("path_prefix: a", "path_prefix: a"))).toHaveLength(2);
  });
});

describe("load_balancing.key", () => {
  const only = 'expected key only with type "consistent-hash"';
  check([
    [
      "with another type",
      `${LEAST}load_balancing: { type: random, key: path }\n`,
      [`c.yaml:12:33: load_balancing.key: has no meaning with the type "random"; ${only}`],
    ],
    [
      "with another type under another name",
      `${LEAST}load_balancing: { type: rr, key: path }\n`,
      [`c.yaml:12:29: load_balancing.key: has no meaning with the type "rr"; ${only}`],
    ],
    [
      "without a type",
      `${LEAST}load_balancing: { key: path }\n`,
      [`c.yaml:12:19: load_balancing.key: has no meaning with the type "round-robin", the default; ${only}`],
    ],
    [
      "with a mistyped type key is one mistake",
      `${LEAST}load_balancing: { tpye: ch, key: path }\n`,
      ['c.yaml:12:19: load_balancing.tpye: unknown key; expected one of type, key; did you mean "type"?'],
    ],
    [
      "with a wrong type is one mistake",
      `${LEAST}load_balancing: { type: consistent, key: path }\n`,
      [
        'c.yaml:12:25: load_balancing.type: is "consistent"; expected one of "round-robin", "random", "consistent-hash"; did you mean "consistent-hash"?',
      ],
    ],
    ["with its own type is fine", `${LEAST}load_balancing: { type: ch, key: path }\n`, []],
  ]);
});

describe("the windows of QUIC", () => {
  const order = "expected quic_initial_max_stream_data <= quic_initial_max_data";
  check([
    [
      "a stream's larger than its connection's",
      `${LEAST}performance: { quic_initial_max_data: 100000, quic_initial_max_stream_data: 100001 }\n`,
      [
        `c.yaml:12:77: performance.quic_initial_max_stream_data: makes the window of a stream (100001) larger than that of its connection (100000); ${order}`,
      ],
    ],
    [
      "a connection's smaller than the default of a stream",
      `${LEAST}performance: { quic_initial_max_data: 100000 }\n`,
      [
        `c.yaml:12:39: performance.quic_initial_max_data: makes the window of a stream (1000000) larger than that of its connection (100000); ${order}`,
      ],
    ],
    [
      "out of range is one mistake",
      `${LEAST}performance: { quic_initial_max_data: 1 }\n`,
      ["c.yaml:12:39: performance.quic_initial_max_data: is 1; expected an integer from 16384 to 1073741824 (bytes)"],
    ],
    [
      "equal ones are fine",
      `${LEAST}performance: { quic_initial_max_data: 100000, quic_initial_max_stream_data: 100000 }\n`,
      [],
    ],
  ]);
});

describe("a cluster", () => {
  const written = (keys: string): string => `${LEAST}cluster: { ${keys} }\n`;
  const id = 'hexadecimal digits, such as "01", that no other node of the cluster has';
  check([
    ["with keys and a node's id is fine", written('key_file: k, node_id: "01"'), []],
    ["may be named before it has keys", written('node_id: "01"'), []],
    [
      "with keys needs a node's id",
      written("key_file: k"),
      [`c.yaml:12:12: cluster.node_id: is missing beside key_file; expected ${id}`],
    ],
    [
      "whose node's id stands empty has none",
      written("key_file: k, node_id: "),
      [`c.yaml:12:12: cluster.node_id: is missing beside key_file; expected ${id}`],
    ],
    [
      "with ids in the open needs a node's id and no keys",
      written("connection_ids: quic-lb, quic_lb_encrypted: false"),
      [`c.yaml:12:12: cluster.node_id: is missing beside connection_ids; expected ${id}`],
    ],
    ["with ids in the open", written('connection_ids: quic-lb, quic_lb_encrypted: false, node_id: "01"'), []],
    [
      "with encrypted ids needs keys",
      written('connection_ids: quic-lb, node_id: "01"'),
      [
        "c.yaml:12:12: cluster.key_file: is missing beside connection_ids; expected the keys that the load balancer's is one of, or quic_lb_encrypted: false",
      ],
    ],
    [
      "with encrypted ids needs nonces that last",
      written('key_file: k, node_id: "01", connection_ids: quic-lb, quic_lb_nonce_bytes: 5'),
      [
        "c.yaml:12:86: cluster.quic_lb_nonce_bytes: 5 would be used up after 4294967296 connection ids of a worker; expected 6 or more with encryption",
      ],
    ],
    [
      "whose ids would be too long",
      written('key_file: k, node_id: "010203040506", connection_ids: quic-lb'),
      [
        "c.yaml:12:66: cluster.quic_lb_nonce_bytes: 8 and the 6 bytes of node_id are more than 13 together; expected 7 or less",
      ],
    ],
    [
      "whose ids are as long as they may be",
      written('node_id: "0102030405060708", connection_ids: quic-lb, quic_lb_encrypted: false, quic_lb_nonce_bytes: 5'),
      [],
    ],
    [
      "whose id is read as a number for want of quotes",
      written("key_file: k, node_id: 08"),
      [
        'c.yaml:12:34: cluster.node_id: is the number 08; expected 2 to 16 hexadecimal digits, two for each byte, such as "08" in quotes',
      ],
    ],
    [
      "that is misspelt in one place is one mistake",
      written("key_file: k, node_id: xyz"),
      [
        'c.yaml:12:34: cluster.node_id: "xyz" is no id of a node; expected 2 to 16 hexadecimal digits, two for each byte',
      ],
    ],
  ]);
});

describe("debug.keylog_file", () => {
  check([
    [
      "as the file of a private key",
      `${LEAST}debug: { keylog_file: key.pem }\n`,
      ["c.yaml:12:23: debug.keylog_file: is the file of listen.tls.key, too; expected a file of its own"],
    ],
    [
      "as the file of the cluster's keys",
      `${LEAST}cluster: { key_file: k, node_id: "01" }\ndebug: { keylog_file: k }\n`,
      ["c.yaml:13:23: debug.keylog_file: is the file of cluster.key_file, too; expected a file of its own"],
    ],
    ["with a file of its own", `${LEAST}debug: { keylog_file: keys.log }\n`, []],
  ]);
});

describe("upstream.<pool>.transport", () => {
  const written = (transport: string, address: string): string =>
    `${LEAST_WITHOUT_POOLS}upstream:\n  a:\n    route: {path_prefix: /}\n    transport: ${transport}\n    backends: [{id: x, address: "${address}"}]\n`;

  test.each([
    ["native", "h3://a.test", 'transport "fetch" for h3:// backends'],
    ["fetch", "h2c://a.test", 'transport "native" for HTTP/2 without TLS'],
    ["fetch", "unix:/run/a.sock", 'transport "native" for unix: backends'],
  ])("%s with %s is a contradiction", (transport, address, remedy) => {
    const result = loadConfig(written(transport, address), "c.yaml");
    const problems = "problems" in result ? result.problems.map(formatProblem) : [];
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`upstream.a.backends[0].address: "${address}" does not go with the transport`);
    expect(problems[0]).toContain(remedy);
  });

  test.each([
    ["native", "https://a.test"],
    ["native", "h2c://a.test"],
    ["native", "a.test:80"],
    ["native", "unix:/run/a.sock"],
    ["fetch", "h3://a.test"],
    ["fetch", "a.test:80"],
  ])("%s with %s is fine", (transport, address) => {
    expect("snapshot" in loadConfig(written(transport, address), "c.yaml")).toBe(true);
  });
});

describe("upstream.<pool>.protocol", () => {
  const written = (protocol: string, address: string, more: string = ""): string =>
    `${LEAST_WITHOUT_POOLS}upstream:\n  a:\n    route: {path_prefix: /}\n    protocol: ${protocol}\n${more}    backends: [{id: x, address: "${address}"}]\n`;

  test.each([
    ["h2c", "https://a.test", "an address with h2c:// or without a scheme"],
    ["h3", "https://a.test", "an address with h3://"],
    ["h2c", "http://a.test", "an address with h2c:// or without a scheme"],
    ["http1", "h2c://a.test", "for HTTP/1.1"],
    ["h2", "h3://a.test", "an address with https://"],
    ["http2", "a.test:80", "an address with https://"],
    ["h3", "unix:/run/a.sock", "an address with h3://"],
  ])("%s with %s is a contradiction, and the message says what goes with it", (protocol, address, remedy) => {
    const result = loadConfig(written(protocol, address), "c.yaml");
    const problems = "problems" in result ? result.problems.map(formatProblem) : [];
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`upstream.a.backends[0].address: "${address}" does not go with the protocol`);
    expect(problems[0]).toContain(remedy);
  });

  test.each([
    ["auto", "https://a.test", "fetch", "auto"],
    ["h2", "https://a.test", "fetch", "h2"],
    ["h1", "https://a.test", "fetch", "http1"],
    ["auto", "http://a.test", "native", "http1"],
    ["auto", "h2c://a.test", "native", "h2c"],
    ["auto", "h3://a.test", "fetch", "h3"],
    ["auto", "a.test:80", "native", "auto"],
    ["h2c", "a.test:80", "native", "h2c"],
    ["http1", "[::1]:80", "native", "http1"],
    ["auto", "unix:/run/a.sock", "native", "auto"],
    ["h2c", "unix:///run/a.sock", "native", "h2c"],
  ])("%s with %s is %s with %s", (protocol, address, transport, spoken) => {
    const result = loadConfig(written(protocol, address), "c.yaml");
    const backend = "snapshot" in result ? result.snapshot.pools[0]?.backends[0] : undefined;
    expect(backend).toMatchObject({ transport, protocol: spoken });
  });

  test("fetch in clear speaks HTTP/1.1, and nothing is left to find out", () => {
    const result = loadConfig(written("auto", "a.test:80", "    transport: fetch\n"), "c.yaml");
    const backend = "snapshot" in result ? result.snapshot.pools[0]?.backends[0] : undefined;
    expect(backend).toMatchObject({ transport: "fetch", protocol: "http1" });
    expect("problems" in loadConfig(written("h2c", "a.test:80", "    transport: fetch\n"), "c.yaml")).toBe(true);
  });
});

describe("a certificate shown to backends", () => {
  test.each([
    ["upstream_tls: {client_certificate: c}\n", "upstream_tls.client_key: is missing beside client_certificate"],
    ["upstream_tls: {client_key: c}\n", "upstream_tls.client_certificate: is missing beside client_key"],
  ])("without the other half is a mistake: %s", (text, problem) => {
    const whole = `${LEAST_WITHOUT_POOLS}upstream: {a: {route: {path_prefix: /}, backends: [{id: x, address: "https://b"}]}}\n`;
    const result = loadConfig(whole + text, "c.yaml");
    expect("problems" in result ? result.problems.map(formatProblem).join() : "").toContain(problem);
  });
});

const LEAST_WITHOUT_POOLS = "version: 1\nlisten: {tls: {cert: c, key: k}}\n";

describe("methods in early data", () => {
  const given = (list: string): string => `resilience:\n  protocol:\n    early_data_safe_methods: ${list}\n${LEAST}`;
  check([
    ["safe ones, in any case", given("[get, HEAD, Options, TRACE]"), []],
    ["none", given("[]"), []],
    [
      "one that may do something twice",
      given("[GET, post]"),
      [
        'c.yaml:3:36: resilience.protocol.early_data_safe_methods[1]: "post" is no safe method; expected GET, HEAD, OPTIONS or TRACE (RFC 9110 9.2.1)',
      ],
    ],
  ]);
});

describe("one process without a supervisor", () => {
  check([
    [
      "is one worker",
      `${LEAST}workers: 2\nsupervisor: off\n`,
      ['c.yaml:12:10: workers: 2 cannot be without a supervisor; expected 1, "auto", or no supervisor: off'],
    ],
    ["may be said twice", `${LEAST}workers: 1\nsupervisor: off\n`, []],
    ["is one, whatever `auto` would be", `${LEAST}workers: auto\nsupervisor: off\n`, []],
    ["is not meant by the default", `${LEAST}workers: 2\n`, []],
    [
      "is one worker under the other name, too",
      `${LEAST}performance: { worker_threads: 3 }\nsupervisor: off\n`,
      [
        'c.yaml:12:32: performance.worker_threads: 3 cannot be without a supervisor; expected 1, "auto", or no supervisor: off',
      ],
    ],
  ]);
});
