/**
 * What a valid configuration means: a frozen value with explicit defaults and units in its names. Everything that runs reads
 * this and nothing else of the file. Made by `build.ts` from a parsed document; never changed, only replaced whole.
 */

import type { Cidr } from "./cidr.ts";
import type { ClientAuthSettings } from "./client-auth.ts";
import type { LogSettings } from "./snapshot-log.ts";

export type { AccessLogSettings, LogLevel, LogSettings } from "./snapshot-log.ts";

/** A whole configuration. */
export interface Snapshot {
  /** In the order of the file. */
  readonly listeners: readonly [ListenSettings, ...ListenSettings[]];
  /** `listen` is given beside `listeners`, and means nothing. */
  readonly listenIsReplaced: boolean;
  /** In the order of the file; that order breaks ties between routes. */
  readonly pools: readonly PoolSettings[];
  readonly log: LogSettings;
  readonly connections: ConnectionSettings;
  readonly requests: RequestSettings;
  readonly timeouts: TimeoutSettings;
  readonly workers: WorkerSettings;
  readonly control: ControlSettings;
  readonly observability: ObservabilitySettings;
  readonly cluster: ClusterSettings;
  readonly earlyData: EarlyDataSettings;
  readonly debug: DebugSettings;
}

/** The processes that serve. */
export interface WorkerSettings {
  /** `auto`: one for each core that this program may use. */
  readonly count: number | "auto";
  /** Does each stay on one core? */
  readonly pinned: boolean;
  /** False: one process that serves, and nobody who watches it. */
  readonly supervised: boolean;
}

/** How a running program is told what to do. */
export interface ControlSettings {
  /** Path of the unix socket; `auto`: where it may be; null: none. */
  readonly socket: string | null;
  /** Which files cause a reload when they change. */
  readonly watch: "off" | "certificates" | "all";
  readonly watchIntervalMs: number;
}

/** What a running program shows of itself. */
export interface ObservabilitySettings {
  /** Null: none. */
  readonly metrics: MetricsSettings | null;
  readonly health: HealthDoorSettings | null;
}

/** A place that answers HTTP/1.1 over TCP. */
export interface DoorSettings {
  /** An IP literal without brackets. */
  readonly address: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  /** False: the program serves without it when the port is taken. */
  readonly required: boolean;
  readonly connectionsMax: number;
  readonly connectionTimeoutMs: number;
}

/** Where metrics are. */
export interface MetricsSettings extends DoorSettings {
  readonly path: string;
}

/** Where the program's health is. */
export interface HealthDoorSettings extends DoorSettings {
  readonly healthPath: string;
  readonly readyPath: string;
}

/** Several nodes that know each other's tokens. */
export interface ClusterSettings {
  /** null: this node is alone, and its secret lives no longer than the process. */
  readonly keyFile: string | null;
  /** Without a key file, secrets of tokens and session tickets are followed by others after this. */
  readonly keyRotationMs: number;
  /** Hexadecimal digits. Needed with a key file; no two nodes of a cluster have the same. */
  readonly nodeId: string | null;
  /** How connection ids look; null: plain. */
  readonly quicLb: { readonly encrypted: boolean; readonly nonceBytes: number } | null;
}

/** Requests in the first flight of a resumed connection. */
export interface EarlyDataSettings {
  readonly allowed: boolean;
  /** Methods of requests that are taken from it; others wait for the end of the handshake. */
  readonly methods: readonly string[];
}

/** What is written down of chosen connections. */
export interface DebugSettings {
  readonly keylogFile: string | null;
  readonly qlogFolder: string | null;
  /** Connections of these clients. */
  readonly clients: readonly Cidr[];
  /** And so many of a million others. */
  readonly samplePerMillion: number;
}

/** Where clients reach us, and with which certificate. */
export interface ListenSettings {
  /** Where it stands in the file: `listen`, or `listeners` and its index. */
  readonly path: readonly (string | number)[];
  /** An IP literal without brackets; `::` listens on both families. */
  readonly address: string;
  /** UDP port; 0 lets the kernel choose (tests, demo). */
  readonly port: number;
  readonly certificates: readonly CertificateSettings[];
  readonly clientAuth: ClientAuthSettings;
  /** Are requests answered 421 that came over a connection with a certificate for other hosts? */
  readonly refusesMisdirected: boolean;
}

/** One certificate with its key. The first of a listener answers every name that no other covers. */
export interface CertificateSettings {
  /** Names it is chosen for by SNI, lower case; empty means the names of the certificate itself. */
  readonly serverNames: readonly string[];
  readonly certFile: string;
  readonly keyFile: string;
}

/** Names of the balancing policies. */
export type BalancingType = "round-robin" | "random" | "consistent-hash";

/** What a consistent hash is taken over. */
export type HashKey =
  | { readonly kind: "client_ip" | "path" | "authority" | "method" | "cid" }
  | { readonly kind: "header" | "cookie" | "query"; readonly name: string };

/** A named group of backends with the route that leads to it. */
export interface PoolSettings {
  readonly name: string;
  readonly route: RouteSettings;
  /** Which of its requests get a line, where any do. */
  readonly accessLog: "on" | "errors" | "off";
  /** Is the program not ready while no backend of it is usable? */
  readonly required: boolean;
  readonly balancing: BalancingType;
  readonly hashKey: HashKey;
  readonly backends: readonly BackendSettings[];
  readonly tls: UpstreamTlsSettings;
  readonly hostPolicy: HostPolicy;
  readonly forwarding: ForwardingSettings;
  /** Largest body of a request; `Infinity` without a bound. */
  readonly requestBodyBytesMax: number;
  /** Requests under way at once in the pool, and at one of its backends. */
  readonly inFlightMax: number;
  readonly backendInFlightMax: number;
  /** Connections to one backend over native HTTP/2 at most, and idle ones kept over HTTP/1.1. */
  readonly backendConnectionsMax: number;
}

/** Which Host backends are asked for: the client's, a given one, or the backend's own. */
export type HostPolicy =
  { readonly mode: "pass-through" | "upstream" } | { readonly mode: "rewrite"; readonly host: string };

/** What backends are told of where a request came from. */
export interface ForwardingSettings {
  /** For requests from trusted proxies; those of all others are overwritten. */
  readonly mode: "overwrite" | "append" | "preserve";
  readonly trustedProxies: readonly Cidr[];
  /** Is Forwarded sent beside X-Forwarded-*? */
  readonly sendsForwarded: boolean;
}

/** Which requests a pool takes: all given parts must match. */
export interface RouteSettings {
  /** Lower case, without port: exact, or `*.example.org` for any depth of names below it; null is any. */
  readonly host: string | null;
  /** Begins with `/`, has no trailing slash unless it is `/`; matches on segment borders. */
  readonly pathPrefix: string;
  /** Upper case; null is any. */
  readonly method: string | null;
}

/** The scheme of a backend's address. `auto` is the guide's bare `host:port`, `unix` a socket of the file system. */
export type BackendScheme = "https" | "http" | "h3" | "h2c" | "auto" | "unix";

/** What a backend speaks: `h2` over TLS, `h2c` in clear; `auto` is found out (ALPN over TLS, HTTP/2's preface in clear). */
export type BackendProtocol = "auto" | "http1" | "h2" | "h2c" | "h3";

/** Whose client speaks to it: the runtime's `fetch`, or ours. */
export type BackendTransport = "fetch" | "native";

/** One server behind a pool. */
export interface BackendSettings {
  readonly id: string;
  /** As written in the file; for logs. */
  readonly address: string;
  readonly scheme: BackendScheme;
  readonly protocol: BackendProtocol;
  readonly transport: BackendTransport;
  /** The file says `transport` outright, so no request goes another way. */
  readonly transportIsChosen: boolean;
  /** Name, IP literal without brackets, or the path of a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** 1 to 1000, relative to the pool's other backends. */
  readonly weight: number;
  /** Null: no active probes, always taken as healthy. */
  readonly healthCheck: HealthCheckSettings | null;
}

/** Active probing of one backend. */
export interface HealthCheckSettings {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Consecutive failures that make a healthy backend unhealthy. */
  readonly failureThreshold: number;
  /** Consecutive successes that make an unhealthy backend healthy. */
  readonly successThreshold: number;
  /** Least time a backend stays unhealthy after it became so. */
  readonly cooldownMs: number;
}

/** Trust towards `https` and `h3` backends. */
export interface UpstreamTlsSettings {
  readonly verifyCertificates: boolean;
  /** PEM bundle trusted instead of the system's; null is the system's. */
  readonly caFile: string | null;
  /** Folder whose PEM files are trusted too; null is none. */
  readonly caDir: string | null;
  /** PEM files that we show who we are with; null is neither. */
  readonly clientCertificate: { readonly certFile: string; readonly keyFile: string } | null;
  /** Name in SNI that the certificate must be for; null is the host of the backend's address. */
  readonly serverName: string | null;
}

/** Bounds on clients. */
export interface ConnectionSettings {
  /** QUIC connections at once; further Initials are refused and counted. */
  readonly connectionsMax: number;
  /** `initial_max_streams_bidi`: requests in flight on one connection. */
  readonly streamsPerConnectionMax: number;
  /** `initial_max_data` and the window it grows to at the start, bytes. */
  readonly connectionWindowBytes: number;
  /** `initial_max_stream_data_bidi_remote`, bytes. */
  readonly streamWindowBytes: number;
  readonly congestionControl: "cubic" | "reno" | "bbr2";
  readonly initialWindowPackets: number;
  /** Largest datagram that is sent, bytes. */
  readonly udpPayloadBytesMax: number;
  readonly pmtuDiscovery: boolean;
  readonly pacing: boolean;
  /** Largest size of a request's field section, bytes counted as RFC 9114 4.2.2 does. */
  readonly headerBytesMax: number;
  /** Most fields of it, pseudo-fields included. */
  readonly headerCountMax: number;
  /** Longest `:path`, bytes. */
  readonly uriBytesMax: number;
  /** Requests on one connection before it gets GOAWAY; `Infinity` without a bound. */
  readonly requestsPerConnectionMax: number;
  /** Connections of one client address, IPv6 by its /64; `Infinity` without a bound. */
  readonly connectionsPerAddressMax: number;
  readonly newConnectionsPerSecond: number;
  readonly newConnectionsBurst: number;
  /** Unfinished handshakes at once. */
  readonly handshakesMax: number;
  /** From so many of them on clients are sent a Retry first: 0 for always, `Infinity` for never. */
  readonly retryFromHandshakes: number;
  /** Requests given up by the client or malformed: at once, and each second beyond that. */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /** Packets and frames that bring nothing: at once, and each second beyond that. */
  readonly glitchBurst: number;
  readonly glitchesPerSecond: number;
  /** Wanted SO_RCVBUF and SO_SNDBUF, bytes. */
  readonly udpReceiveBufferBytes: number;
  readonly udpSendBufferBytes: number;
}

/** Bounds on requests of all connections together. */
export interface RequestSettings {
  /** Under way at once. */
  readonly inFlightMax: number;
  /** Response bytes that wait for one connection's client before its further requests are refused. */
  readonly connectionBufferBytesMax: number;
  /** Response bytes that wait for clients altogether before further requests are refused. */
  readonly bufferBytesMax: number;
}

/** How long things may take, all in milliseconds. */
export interface TimeoutSettings {
  readonly quicIdleMs: number;
  readonly backendConnectMs: number;
  /** From the request's dispatch to the response head. */
  readonly backendResponseHeadMs: number;
  /** Between two pieces of a response body. */
  readonly backendBodyIdleMs: number;
  /** Between two pieces of a request body. */
  readonly clientBodyIdleMs: number;
  /** From a client's first packet to the end of its handshake. */
  readonly handshakeMs: number;
  /** From the first byte of a request to the end of its head. */
  readonly requestHeadMs: number;
  /** From a request's head to the end of its response; `Infinity` without a bound. Streams of events and gRPC are exempt. */
  readonly requestTotalMs: number;
  /** How long a client may take nothing of a response that waits for it. */
  readonly clientSendMs: number;
  /** How long a connection may stay without a request under way. */
  readonly connectionIdleMs: number;
  /** From the stop signal to the first that clients hear of it. */
  readonly shutdownDelayMs: number;
  /** From there to the forced end. */
  readonly drainMs: number;
  /** Over which clients are told to go elsewhere. */
  readonly goawaySpreadMs: number;
}
