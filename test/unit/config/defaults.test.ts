import { describe, expect, test } from "bun:test";
import { backendWith, LEAST, poolOf, snapshotOf, withPool } from "./sample.ts";

const ACCESS = { file: null, format: "plain", successPerMillion: 1_000_000, query: "keep", headers: [] } as const;

const OBSERVABILITY = {
  metrics: {
    ...{ address: "127.0.0.1", port: 9090, path: "/metrics", required: true },
    ...{ connectionsMax: 64, connectionTimeoutMs: 30_000 },
  },
  health: {
    ...{ address: "0.0.0.0", port: 8080, healthPath: "/health", readyPath: "/ready", required: true },
    ...{ connectionsMax: 64, connectionTimeoutMs: 30_000 },
  },
};

const NOT_ASKED = {
  ...{ caFile: null, required: false },
  fields: { certificate: "client-cert", chain: null, subject: null, fingerprint: null },
};

const LISTENER = {
  ...{ path: ["listen"], address: "0.0.0.0", port: 9889 },
  certificates: [{ serverNames: [], certFile: "cert.pem", keyFile: "key.pem" }],
  clientAuth: NOT_ASKED,
  refusesMisdirected: true,
};

describe("the least file", () => {
  test("has every default in its snapshot", () => {
    expect(snapshotOf(LEAST)).toEqual({
      listeners: [LISTENER],
      listenIsReplaced: false,
      pools: [
        {
          name: "web",
          route: { host: null, pathPrefix: "/", method: null },
          ...{ accessLog: "on", required: true },
          balancing: "round-robin",
          hashKey: { kind: "client_ip" },
          backends: [
            {
              ...{ id: "a", address: "127.0.0.1:8080", scheme: "auto", host: "127.0.0.1", port: 8080 },
              ...{ protocol: "auto", transport: "native", transportIsChosen: false },
              ...{ weight: 100, healthCheck: null },
            },
          ],
          tls: {
            ...{ verifyCertificates: true, caFile: null, caDir: null },
            ...{ clientCertificate: null, serverName: null },
          },
          hostPolicy: { mode: "pass-through" },
          forwarding: { mode: "overwrite", trustedProxies: [], sendsForwarded: true },
          requestBodyBytesMax: Infinity,
          ...{ inFlightMax: 65_536, backendInFlightMax: 16_384 },
          backendConnectionsMax: 100,
        },
      ],
      log: { level: "info", format: "plain", file: null, access: ACCESS },
      connections: {
        connectionsMax: 10_000,
        streamsPerConnectionMax: 100,
        connectionWindowBytes: 10_000_000,
        streamWindowBytes: 1_000_000,
        congestionControl: "cubic",
        initialWindowPackets: 16,
        ...{ udpPayloadBytesMax: 1350, pmtuDiscovery: false, pacing: false },
        ...{ headerBytesMax: 32_768, headerCountMax: 128, uriBytesMax: 16_384 },
        ...{ requestsPerConnectionMax: Infinity, connectionsPerAddressMax: Infinity },
        ...{ newConnectionsPerSecond: 2000, newConnectionsBurst: 4000, handshakesMax: 2000, retryFromHandshakes: 200 },
        ...{ resetBurst: 200, resetsPerSecond: 50, glitchBurst: 2000, glitchesPerSecond: 200 },
        udpReceiveBufferBytes: 8_388_608,
        udpSendBufferBytes: 8_388_608,
      },
      requests: { inFlightMax: 65_536, connectionBufferBytesMax: 33_554_432, bufferBytesMax: 536_870_912 },
      timeouts: {
        ...{ handshakeMs: 10_000, requestHeadMs: 10_000, requestTotalMs: Infinity },
        ...{ clientSendMs: 60_000, connectionIdleMs: 300_000 },
        quicIdleMs: 30_000,
        backendConnectMs: 5000,
        backendResponseHeadMs: 60_000,
        backendBodyIdleMs: 60_000,
        clientBodyIdleMs: 30_000,
        ...{ shutdownDelayMs: 0, drainMs: 30_000 },
        goawaySpreadMs: 5000,
      },
      workers: { count: "auto", pinned: false, supervised: true },
      control: { socket: "auto", watch: "certificates", watchIntervalMs: 5000 },
      observability: OBSERVABILITY,
      cluster: { keyFile: null, keyRotationMs: 43_200_000, nodeId: null, quicLb: null },
      earlyData: { allowed: false, methods: ["GET", "HEAD"] },
      debug: { keylogFile: null, qlogFolder: null, clients: [], samplePerMillion: 0 },
    });
  });

  test("means the same with every optional section standing empty", () => {
    const sections = ["load_balancing", "forwarded_headers", "upstream_tls", "log", "performance"]
      .map((key) => `${key}:\n`)
      .join("");
    expect(snapshotOf(`${LEAST}${sections}resilience:\n  protocol:\n`)).toEqual(snapshotOf(LEAST));
  });

  test("means the same with the pool's optional keys standing empty", () => {
    const text = withPool(
      ...["load_balancing:", "tls:", "route:", "  host:", "  method: ~", "  path_prefix: /"],
      ...["backends:", "  - id: a", "    address: 127.0.0.1:8080", "    health_check:"],
    );
    expect(snapshotOf(text)).toEqual(snapshotOf(LEAST));
  });
});

test("a health check that stands there without keys has the defaults", () => {
  expect(backendWith("health_check: {}").healthCheck).toEqual({
    ...{ path: "/health", intervalMs: 5000, timeoutMs: 1000 },
    ...{ failureThreshold: 3, successThreshold: 2, cooldownMs: 5000 },
  });
});

test("a health check left empty means no checks", () => {
  expect(backendWith("health_check:").healthCheck).toBeNull();
});

test("every number reaches its own place in the snapshot", () => {
  const text = `${LEAST}max_concurrent_connections: 1
backend_connection_pool_size: 2
performance:
  backend_connect_timeout_ms: 3
  backend_timeout_ms: 4
  backend_body_idle_timeout_ms: 5
  client_body_idle_timeout_ms: 6
  shutdown_drain_timeout_ms: 7
  udp_recv_buffer_bytes: 4098
  udp_send_buffer_bytes: 4099
  quic_max_idle_timeout_ms: 10
  quic_initial_max_data: 20011
  quic_initial_max_stream_data: 20010
  quic_initial_max_streams_bidi: 13
  quic_congestion_control: bbr2
  quic_initial_window_packets: 33
  backend_total_request_timeout_ms: 14
  handshake_timeout_ms: 15
  client_header_timeout_ms: 16
  client_send_timeout_ms: 17
  client_idle_timeout_ms: 18
  max_requests_per_connection: 19
  max_request_body_bytes: 20
  max_connections_per_ip: 21
  new_connections_per_sec: 22
  new_connections_burst: 23
  max_handshakes: 24
  retry_from_handshakes: 36
  global_inflight_limit: 25
  per_upstream_inflight_limit: 26
  per_backend_inflight_limit: 27
  connection_buffer_max_bytes: 65564
  response_buffer_global_cap_bytes: 1048605
resilience:
  protocol:
    max_headers_bytes: 1024
    max_headers_count: 30
    max_uri_bytes: 131
    reset_burst: 32
    resets_per_sec: 33
    glitch_burst: 34
    glitches_per_sec: 35
`;
  const { connections, requests, timeouts, pools } = snapshotOf(text);
  expect(pools[0]).toMatchObject({ backendConnectionsMax: 2, requestBodyBytesMax: 20 });
  expect(pools[0]).toMatchObject({ inFlightMax: 26, backendInFlightMax: 27 });
  expect(requests).toEqual({ inFlightMax: 25, connectionBufferBytesMax: 65_564, bufferBytesMax: 1_048_605 });
  expect(connections).toEqual({
    ...{ connectionsMax: 1, streamsPerConnectionMax: 13, connectionWindowBytes: 20_011, streamWindowBytes: 20_010 },
    ...{ congestionControl: "bbr2", initialWindowPackets: 33 },
    ...{ udpPayloadBytesMax: 1350, pmtuDiscovery: false, pacing: false },
    ...{ requestsPerConnectionMax: 19, connectionsPerAddressMax: 21, newConnectionsPerSecond: 22 },
    ...{ newConnectionsBurst: 23, handshakesMax: 24, retryFromHandshakes: 36, headerCountMax: 30, uriBytesMax: 131 },
    ...{ resetBurst: 32, resetsPerSecond: 33, glitchBurst: 34, glitchesPerSecond: 35 },
    ...{ headerBytesMax: 1024, udpReceiveBufferBytes: 4098, udpSendBufferBytes: 4099 },
  });
  expect(timeouts).toEqual({
    ...{ backendConnectMs: 3, backendResponseHeadMs: 4, backendBodyIdleMs: 5, clientBodyIdleMs: 6 },
    ...{ shutdownDelayMs: 0, drainMs: 7, goawaySpreadMs: 5000, quicIdleMs: 10 },
    ...{ requestTotalMs: 14, handshakeMs: 15, requestHeadMs: 16, clientSendMs: 17, connectionIdleMs: 18 },
  });
});

test("the time before a drain reaches its own place", () => {
  expect(snapshotOf(`${LEAST}performance: { shutdown_delay_ms: 37 }\n`).timeouts.shutdownDelayMs).toBe(37);
});

test("every number of a backend reaches its own place", () => {
  const check =
    "{ path: /up?x=1, interval: 11, timeout_ms: 12, failure_threshold: 13, success_threshold: 14, cooldown_ms: 15 }";
  expect(backendWith(`health_check: ${check}`).healthCheck).toEqual({
    ...{ path: "/up?x=1", intervalMs: 11, timeoutMs: 12, failureThreshold: 13, successThreshold: 14, cooldownMs: 15 },
  });
  expect(backendWith("weight: 7").weight).toBe(7);
});

describe("inheritance", () => {
  const pool = withPool("route: { path_prefix: / }", "backends: [{ id: a, address: a:1 }]");

  test("a pool without load_balancing takes the one at the top", () => {
    const text = `${pool}load_balancing: { type: consistent-hash, key: path }\n`;
    expect(poolOf(text).balancing).toBe("consistent-hash");
    expect(poolOf(text).hashKey).toEqual({ kind: "path" });
  });

  test("a pool with load_balancing takes nothing from the top", () => {
    const own = withPool(
      "load_balancing: { type: ch }",
      "route: { path_prefix: / }",
      "backends: [{ id: a, address: a:1 }]",
    );
    const text = `${own}load_balancing: { type: consistent-hash, key: path }\n`;
    expect(poolOf(text).hashKey).toEqual({ kind: "client_ip" });
  });

  test("a pool's tls replaces upstream_tls key by key", () => {
    const own = withPool(
      "tls: { ca_file: own.pem }",
      "route: { path_prefix: / }",
      "backends: [{ id: a, address: a:1 }]",
    );
    const text = `${own}upstream_tls: { verify_certificates: false, ca_file: all.pem, ca_dir: /certs }\n`;
    expect(poolOf(text).tls).toMatchObject({ verifyCertificates: false, caFile: "own.pem", caDir: "/certs" });
  });

  test("a pool's forwarded_headers replace those at the top whole", () => {
    const top = 'forwarded_headers: { mode: append, trusted_proxies: ["10.0.0.0/8"], forwarded: false }\n';
    expect(poolOf(`${pool}${top}`).forwarding).toMatchObject({ mode: "append", sendsForwarded: false });
    const own = withPool(
      ...["forwarded_headers: { mode: preserve }", "max_request_body_bytes: 7", "route: { path_prefix: / }"],
      "backends: [{ id: a, address: a:1 }]",
    );
    expect(poolOf(`${own}${top}performance: { max_request_body_bytes: 9 }\n`)).toMatchObject({
      forwarding: { mode: "preserve", trustedProxies: [], sendsForwarded: true },
      requestBodyBytesMax: 7,
    });
  });

  test("a pool may verify where the top does not", () => {
    const own = withPool(
      "tls: { verify_certificates: true }",
      "route: { path_prefix: / }",
      "backends: [{ id: a, address: a:1 }]",
    );
    expect(poolOf(`${own}upstream_tls: { verify_certificates: false }\n`).tls.verifyCertificates).toBe(true);
    expect(poolOf(`${pool}upstream_tls: { verify_certificates: false }\n`).tls.verifyCertificates).toBe(false);
  });
});

describe("certificates", () => {
  test("cert and key come first, then the list by its order", () => {
    const text = LEAST.replace(
      "    key: key.pem\n",
      `    key: key.pem
    certificates:
      - { server_name: "*.Example.org.", cert: w.pem, key: w.key }
      - { cert: n.pem, key: n.key }
`,
    );
    expect(snapshotOf(text).listeners[0].certificates).toEqual([
      { serverNames: [], certFile: "cert.pem", keyFile: "key.pem" },
      { serverNames: ["*.example.org"], certFile: "w.pem", keyFile: "w.key" },
      { serverNames: [], certFile: "n.pem", keyFile: "n.key" },
    ]);
  });

  test("the list alone is enough", () => {
    const text = LEAST.replace(
      "    cert: cert.pem\n    key: key.pem\n",
      "    certificates: [{ cert: n.pem, key: n.key }]\n",
    );
    expect(snapshotOf(text).listeners[0].certificates).toEqual([
      { serverNames: [], certFile: "n.pem", keyFile: "n.key" },
    ]);
  });
});

describe("log.file", () => {
  test("is a path", () => {
    expect(snapshotOf(`${LEAST}log: { file: /var/log/x.log }\n`).log.file).toBe("/var/log/x.log");
  });

  test("takes the original's form", () => {
    expect(snapshotOf(`${LEAST}log: { file: { enabled: true, path: /x.log } }\n`).log.file).toBe("/x.log");
    expect(snapshotOf(`${LEAST}log: { file: { enabled: true } }\n`).log.file).toBe("/var/log/spooky/spooky.log");
    expect(snapshotOf(`${LEAST}log: { file: { enabled: false, path: /x.log } }\n`).log.file).toBeNull();
    expect(snapshotOf(`${LEAST}log: { file: { path: /x.log } }\n`).log.file).toBeNull();
  });
});

describe("the snapshot", () => {
  test("keeps the pools in the order of the file, names that look like numbers too", () => {
    const names = ["zeta", "10", "2", "alpha", "__proto__", "constructor"];
    const pools = names.map(
      (name) => `  ${name}: { route: { host: h-${name}.x }, backends: [{ id: a, address: a:1 }] }\n`,
    );
    const text = LEAST.slice(0, LEAST.indexOf("upstream")) + "upstream:\n" + pools.join("");
    expect(snapshotOf(text).pools.map((pool) => pool.name)).toEqual(names);
    expect(snapshotOf(text).pools.map((pool) => pool.route.host)).toEqual(names.map((name) => `h-${name}.x`));
  });

  test("is frozen to its last part", () => {
    const snapshot = snapshotOf(
      `${LEAST}        health_check: {}\nload_balancing: { type: ch, key: "header:X-User" }\n`,
    );
    expect(unfrozenParts(snapshot, "snapshot")).toEqual([]);
  });

  test("of one file shares nothing changeable with that of another", () => {
    expect(snapshotOf(LEAST)).not.toBe(snapshotOf(LEAST));
    expect(snapshotOf(LEAST)).toEqual(snapshotOf(LEAST));
  });
});

function unfrozenParts(value: unknown, path: string): readonly string[] {
  if (typeof value !== "object" || value === null) return [];
  const inner = Object.entries(value).flatMap(([key, part]) => unfrozenParts(part, `${path}.${key}`));
  return Object.isFrozen(value) ? inner : [path, ...inner];
}
