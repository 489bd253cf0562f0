/** A checked configuration into the frozen snapshot: units into names, texts into their parts, what pools inherit filled in. */
import { assert, must } from "../core/assert.ts";
import { parseBackendAddress, parseIp, parseRouteHost, parseServerName, parseTlsName } from "./address.ts";
import { parseCidr } from "./cidr.ts";
import {
  parseAuthorityText,
  parseFieldName,
  parseHashKey,
  parseMethod,
  parsePathPrefix,
  parseSafeMethod,
} from "./forms.ts";
import { clientAuthOf } from "./client-auth.ts";
import { checked } from "./parsed.ts";
import type { ConfigValue } from "./schema.ts";
import type {
  AccessLogSettings,
  BackendSettings,
  CertificateSettings,
  ClusterSettings,
  ConnectionSettings,
  ControlSettings,
  DebugSettings,
  DoorSettings,
  EarlyDataSettings,
  ForwardingSettings,
  HealthCheckSettings,
  HostPolicy,
  ListenSettings,
  LogSettings,
  ObservabilitySettings,
  PoolSettings,
  RequestSettings,
  RouteSettings,
  Snapshot,
  TimeoutSettings,
  UpstreamTlsSettings,
} from "./snapshot.ts";
import { isContradiction, wireOf } from "./wire.ts";

type PoolValue = ConfigValue["upstream"][string];
type BackendValue = PoolValue["backends"][number];
type HealthCheckValue = BackendValue["health_check"];

/**
 * The snapshot of a configuration without mistakes. `poolNames` are all pools in the order of the file (an object would put names
 * that look like numbers first).
 */
export function buildSnapshot(config: ConfigValue, poolNames: readonly string[]): Snapshot {
  const pools = poolNames.map((name) =>
    poolOf(name, must(config.upstream[name], "every named pool has a value"), config),
  );
  return deepFreeze<Snapshot>({
    listeners: listenersOf(config),
    listenIsReplaced: config.listen !== undefined && config.listeners.length > 0,
    pools,
    log: logOf(config.log),
    connections: connectionsOf(config),
    requests: requestsOf(config.performance),
    timeouts: timeoutsOf(config.performance),
    workers: {
      count: config.workers,
      pinned: config.performance.pin_workers,
      supervised: config.supervisor === "auto",
    },
    control: controlOf(config.control),
    observability: observabilityOf(config.observability),
    cluster: clusterOf(config.cluster),
    earlyData: earlyDataOf(config.resilience.protocol),
    debug: debugOf(config.debug),
  });
}

function listenersOf({ listen, listeners }: ConfigValue): Snapshot["listeners"] {
  const [first, ...others] = listeners.map((listener, i) => listenOf(listener, ["listeners", i]));
  return first === undefined
    ? [listenOf(must(listen, "the check has seen to a listener"), ["listen"])]
    : [first, ...others];
}

function listenOf(listen: ConfigValue["listeners"][number], path: ListenSettings["path"]): ListenSettings {
  const { cert, key, certificates } = listen.tls;
  const named = certificates.map((certificate): CertificateSettings => {
    const { server_name: name } = certificate;
    const serverNames = name === null ? [] : [checked(parseServerName(name))];
    return { serverNames, certFile: certificate.cert, keyFile: certificate.key };
  });
  const first = cert === null || key === null ? [] : [{ serverNames: [], certFile: cert, keyFile: key }];
  return {
    path,
    address: checked(parseIp(listen.address)),
    port: listen.port,
    certificates: [...first, ...named],
    clientAuth: clientAuthOf(listen.tls.client_auth),
    refusesMisdirected: listen.tls.refuse_misdirected || listen.tls.client_auth.enabled,
  };
}

function poolOf(name: string, pool: PoolValue, config: ConfigValue): PoolSettings {
  const balancing = pool.load_balancing ?? config.load_balancing;
  return {
    name,
    route: routeOf(pool.route),
    accessLog: pool.access_log,
    required: pool.required,
    balancing: balancing.type,
    hashKey: checked(parseHashKey(balancing.key)),
    backends: pool.backends.map((backend) => backendOf(backend, pool)),
    tls: tlsOf(pool.tls, config.upstream_tls),
    hostPolicy: hostPolicyOf(pool.host_policy),
    forwarding: forwardingOf(pool.forwarded_headers ?? config.forwarded_headers),
    requestBodyBytesMax: pool.max_request_body_bytes ?? config.performance.max_request_body_bytes ?? Infinity,
    inFlightMax: config.performance.per_upstream_inflight_limit,
    backendInFlightMax: config.performance.per_backend_inflight_limit,
    backendConnectionsMax: config.backend_connection_pool_size,
  };
}

function hostPolicyOf({ mode, host }: PoolValue["host_policy"]): HostPolicy {
  if (mode !== "rewrite") return { mode };
  return { mode, host: checked(parseAuthorityText(must(host, "the rules have seen to the host"))) };
}

function forwardingOf(value: ConfigValue["forwarded_headers"]): ForwardingSettings {
  return {
    mode: value.mode,
    trustedProxies: value.trusted_proxies.map((network) => checked(parseCidr(network))),
    sendsForwarded: value.forwarded,
  };
}

function routeOf(route: PoolValue["route"]): RouteSettings {
  return {
    host: route.host === null ? null : checked(parseRouteHost(route.host)),
    pathPrefix: checked(parsePathPrefix(route.path_prefix)),
    method: route.method === null ? null : checked(parseMethod(route.method)),
  };
}

function backendOf(backend: BackendValue, pool: PoolValue): BackendSettings {
  const { scheme, host, port } = checked(parseBackendAddress(backend.address));
  const { id, address, weight } = backend;
  const wire = wireOf(scheme, pool.protocol, pool.transport);
  assert(!isContradiction(wire), "the rules have found every contradiction");
  const { protocol, transport } = wire;
  const healthCheck = healthCheckOf(backend.health_check);
  const transportIsChosen = pool.transport !== null;
  return { id, address, scheme, protocol, transport, transportIsChosen, host, port, weight, healthCheck };
}

function healthCheckOf(check: HealthCheckValue): HealthCheckSettings | null {
  if (check === null) return null;
  return {
    path: check.path,
    intervalMs: check.interval,
    timeoutMs: check.timeout_ms,
    failureThreshold: check.failure_threshold,
    successThreshold: check.success_threshold,
    cooldownMs: check.cooldown_ms,
  };
}

/** Key by key: a pool that only sets its CA keeps the rest of what stands at the top. */
function tlsOf(own: PoolValue["tls"], common: ConfigValue["upstream_tls"]): UpstreamTlsSettings {
  return {
    verifyCertificates: own.verify_certificates ?? common.verify_certificates,
    caFile: own.ca_file ?? common.ca_file,
    caDir: own.ca_dir ?? common.ca_dir,
    // A pair belongs together: a pool's own replaces the common one whole.
    clientCertificate: clientCertificateOf(own) ?? clientCertificateOf(common),
    serverName: own.server_name === null ? null : checked(parseTlsName(own.server_name)),
  };
}

function clientCertificateOf(tls: {
  readonly client_certificate: string | null;
  readonly client_key: string | null;
}): UpstreamTlsSettings["clientCertificate"] {
  const { client_certificate: certFile, client_key: keyFile } = tls;
  return certFile === null || keyFile === null ? null : { certFile, keyFile };
}

function logOf(log: ConfigValue["log"]): LogSettings {
  return { level: log.level, format: log.format, file: logFileOf(log.file), access: accessOf(log) };
}

function accessOf({ access, format }: ConfigValue["log"]): AccessLogSettings | null {
  if (!access.enabled) return null;
  const nameOf = (text: string): string => checked(parseFieldName(text));
  const secret = new Set(access.redact_headers.map(nameOf));
  return {
    file: access.file,
    format: access.format ?? format,
    successPerMillion: access.success_per_million,
    query: access.query,
    headers: access.headers.map((text) => ({ name: nameOf(text), redacted: secret.has(nameOf(text)) })),
  };
}

function logFileOf(file: ConfigValue["log"]["file"]): string | null {
  if (file === null || typeof file === "string") return file;
  return file.enabled ? file.path : null;
}

function controlOf(control: ConfigValue["control"]): ControlSettings {
  const { socket, watch, watch_interval_ms: watchIntervalMs } = control;
  return { socket: socket === "off" ? null : socket, watch, watchIntervalMs };
}

function observabilityOf({ metrics, health }: ConfigValue["observability"]): ObservabilitySettings {
  return {
    metrics: metrics.enabled ? { ...doorOf(metrics), path: metrics.path } : null,
    health: health.enabled ? { ...doorOf(health), healthPath: health.health_path, readyPath: health.ready_path } : null,
  };
}

function doorOf(door: ConfigValue["observability"]["metrics" | "health"]): DoorSettings {
  return {
    address: checked(parseIp(door.address)),
    port: door.port,
    required: door.required,
    connectionsMax: door.max_connections,
    connectionTimeoutMs: door.connection_timeout_ms,
  };
}

function clusterOf(cluster: ConfigValue["cluster"]): ClusterSettings {
  const quicLb =
    cluster.connection_ids === "plain"
      ? null
      : { encrypted: cluster.quic_lb_encrypted, nonceBytes: cluster.quic_lb_nonce_bytes };
  return { keyFile: cluster.key_file, keyRotationMs: cluster.key_rotation_ms, nodeId: cluster.node_id, quicLb };
}

function earlyDataOf(protocol: ConfigValue["resilience"]["protocol"]): EarlyDataSettings {
  return {
    allowed: protocol.allow_0rtt,
    methods: protocol.early_data_safe_methods.map((method) => checked(parseSafeMethod(method))),
  };
}

function debugOf(debug: ConfigValue["debug"]): DebugSettings {
  return {
    keylogFile: debug.keylog_file,
    qlogFolder: debug.qlog_folder,
    clients: debug.clients.map((network) => checked(parseCidr(network))),
    samplePerMillion: debug.sample_per_million,
  };
}

function connectionsOf(config: ConfigValue): ConnectionSettings {
  const { performance, resilience } = config;
  return {
    connectionsMax: config.max_concurrent_connections,
    streamsPerConnectionMax: performance.quic_initial_max_streams_bidi,
    connectionWindowBytes: performance.quic_initial_max_data,
    streamWindowBytes: performance.quic_initial_max_stream_data,
    congestionControl: performance.quic_congestion_control,
    initialWindowPackets: performance.quic_initial_window_packets,
    udpPayloadBytesMax: performance.quic_max_udp_payload_bytes,
    pmtuDiscovery: performance.quic_pmtu_discovery,
    pacing: performance.quic_pacing,
    headerBytesMax: resilience.protocol.max_headers_bytes,
    headerCountMax: resilience.protocol.max_headers_count,
    uriBytesMax: resilience.protocol.max_uri_bytes,
    requestsPerConnectionMax: performance.max_requests_per_connection ?? Infinity,
    connectionsPerAddressMax: performance.max_connections_per_ip ?? Infinity,
    newConnectionsPerSecond: performance.new_connections_per_sec,
    newConnectionsBurst: performance.new_connections_burst,
    handshakesMax: performance.max_handshakes,
    retryFromHandshakes: retryFromOf(performance),
    resetBurst: resilience.protocol.reset_burst,
    resetsPerSecond: resilience.protocol.resets_per_sec,
    glitchBurst: resilience.protocol.glitch_burst,
    glitchesPerSecond: resilience.protocol.glitches_per_sec,
    udpReceiveBufferBytes: performance.udp_recv_buffer_bytes,
    udpSendBufferBytes: performance.udp_send_buffer_bytes,
  };
}

function retryFromOf({ retry, retry_from_handshakes }: ConfigValue["performance"]): number {
  if (retry === "auto") return retry_from_handshakes;
  return retry === "always" ? 0 : Infinity;
}

function requestsOf(performance: ConfigValue["performance"]): RequestSettings {
  return {
    inFlightMax: performance.global_inflight_limit,
    connectionBufferBytesMax: performance.connection_buffer_max_bytes,
    bufferBytesMax: performance.response_buffer_global_cap_bytes,
  };
}

function timeoutsOf(performance: ConfigValue["performance"]): TimeoutSettings {
  return {
    quicIdleMs: performance.quic_max_idle_timeout_ms,
    backendConnectMs: performance.backend_connect_timeout_ms,
    backendResponseHeadMs: performance.backend_timeout_ms,
    backendBodyIdleMs: performance.backend_body_idle_timeout_ms,
    clientBodyIdleMs: performance.client_body_idle_timeout_ms,
    handshakeMs: performance.handshake_timeout_ms,
    requestHeadMs: performance.client_header_timeout_ms,
    requestTotalMs: performance.backend_total_request_timeout_ms ?? Infinity,
    clientSendMs: performance.client_send_timeout_ms,
    connectionIdleMs: performance.client_idle_timeout_ms,
    shutdownDelayMs: performance.shutdown_delay_ms,
    drainMs: performance.shutdown_drain_timeout_ms,
    goawaySpreadMs: performance.goaway_spread_ms,
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
