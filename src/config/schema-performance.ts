/** The keys of `performance`. */
import {
  choice,
  DURATION_MS_MAX,
  flag,
  integer,
  map,
  milliseconds,
  optionalInteger,
  optionalMilliseconds,
  socketBuffer,
  window,
} from "./words.ts";

/** `performance`: the original's section for everything that has a size or a time. */
export const PerformanceSchema = map(
  {
    backend_connect_timeout_ms: milliseconds(5000, "A connection to a backend is given up after this."),
    backend_timeout_ms: milliseconds(60_000, "From sending a request to a backend to the head of its response."),
    backend_body_idle_timeout_ms: milliseconds(60_000, "Between two pieces of a response body."),
    backend_total_request_timeout_ms: optionalMilliseconds(
      "From a request's head to the end of its response, whatever moves meanwhile. Left out: no such bound. Streams of events and gRPC are exempt.",
    ),
    handshake_timeout_ms: milliseconds(10_000, "From a client's first packet to the end of its handshake."),
    client_header_timeout_ms: milliseconds(10_000, "From the first byte of a request to the end of its header."),
    client_body_idle_timeout_ms: milliseconds(30_000, "Between two pieces of a request body."),
    client_send_timeout_ms: milliseconds(60_000, "How long a client may take nothing of a response that waits for it."),
    client_idle_timeout_ms: milliseconds(
      300_000,
      "A connection without a request under way is closed after this, even if its client keeps it alive.",
    ),
    shutdown_delay_ms: integer([0, DURATION_MS_MAX], 0, {
      unit: "ms",
      description:
        "From the stop signal to the first GOAWAY: all is served as before, and `/ready` says 503, so that a balancer stops sending before clients are refused.",
    }),
    shutdown_drain_timeout_ms: milliseconds(
      30_000,
      "From the end of `shutdown_delay_ms` to the forced end of what still runs.",
    ),
    goaway_spread_ms: milliseconds(
      5000,
      "Clients that shall go elsewhere (upgrade, reload, stop) are told so over this time, so that they do not all come back at once; over 2 ms for each when they are few, and over a quarter of the drain time at most.",
    ),
    pin_workers: flag(false, "Does each worker stay on one core? Only with more than one."),
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
    quic_congestion_control: choice(["cubic", "reno", "bbr2"], {
      default: "cubic",
      description: "How fast clients are sent to: by losses (`cubic`, `reno`) or by measured rate (`bbr2`).",
    }),
    quic_initial_window_packets: integer([16, 512], 16, {
      unit: "packets",
      description:
        "What a client is sent before its first acknowledgement. Less than 16 would not hold the largest response head. With bbr2 a large one wants `quic_pacing`: it overruns short queues many times over.",
    }),
    quic_max_udp_payload_bytes: integer([1200, 1472], 1350, {
      unit: "bytes",
      description:
        "Largest datagram that is sent to clients; with `quic_pmtu_discovery` the largest that is tried. On an IPv6 address at most 1,452.",
    }),
    quic_pmtu_discovery: flag(
      false,
      "Are larger datagrams than 1,200 bytes tried until the path to a client takes no more (RFC 8899)? Else every client is sent what `quic_max_udp_payload_bytes` says.",
    ),
    quic_pacing: flag(
      false,
      "Are bursts to a client bounded by the initial window, or by what is due in 4 ms, and the rest spread over the round trip (RFC 9002 7.7)? Fewer losses in front of narrow links with short queues, at up to a third less speed; else 64 datagrams at once, as long as the congestion window allows.",
    ),
    max_requests_per_connection: optionalInteger([1, 1_000_000_000], {
      unit: "requests",
      description:
        "After so many requests a connection gets GOAWAY and its client opens another. Left out: no such bound.",
    }),
    max_request_body_bytes: optionalInteger([0, Number.MAX_SAFE_INTEGER], {
      unit: "bytes",
      description: "Largest body of a request; larger ones are answered 413. Left out: no such bound.",
    }),
    max_connections_per_ip: optionalInteger([1, 1_000_000], {
      unit: "connections",
      scope: "worker",
      description:
        "Connections of one client address (IPv6: one /64) at once; further ones are refused. Left out: no such bound, since clients " +
        "behind one translator share an address.",
    }),
    new_connections_per_sec: integer([1, 1_000_000], 2000, {
      unit: "connections",
      scope: "worker",
      description:
        "New connections a second; the first packets of further ones are dropped, and clients send them again.",
    }),
    new_connections_burst: integer([1, 1_000_000], 4000, {
      unit: "connections",
      scope: "worker",
      description: "New connections at once before that rate counts.",
    }),
    max_handshakes: integer([1, 1_000_000], 2000, {
      unit: "connections",
      scope: "worker",
      description: "Unfinished handshakes at once; the first packets of further ones are dropped.",
    }),
    retry: choice(["off", "auto", "always"], {
      default: "auto",
      description:
        "Must clients show that they get what is sent to their address before anything is kept of them (QUIC Retry; it costs them a round " +
        "trip)? `auto`: only while `retry_from_handshakes` handshakes or more are under way.",
    }),
    retry_from_handshakes: integer([1, 1_000_000], 200, {
      unit: "connections",
      scope: "worker",
      description: "Unfinished handshakes from which on `retry: auto` asks clients to show their address.",
    }),
    global_inflight_limit: integer([1, 10_000_000], 65_536, {
      unit: "requests",
      scope: "worker",
      description: "Requests under way at once; further ones are answered 503.",
    }),
    per_upstream_inflight_limit: integer([1, 10_000_000], 65_536, {
      unit: "requests",
      scope: "worker",
      description: "Requests under way at once in one pool; further ones are answered 503.",
    }),
    per_backend_inflight_limit: integer([1, 10_000_000], 16_384, {
      unit: "requests",
      scope: "worker",
      description: "Requests under way at once at one backend; further ones go to others, or are answered 503.",
    }),
    connection_buffer_max_bytes: integer([65_536, 1_073_741_824], 33_554_432, {
      unit: "bytes",
      scope: "worker",
      description:
        "Response bytes that wait for one connection's client; above it further requests of that connection are answered 503.",
    }),
    response_buffer_global_cap_bytes: integer([1_048_576, 1_099_511_627_776], 536_870_912, {
      unit: "bytes",
      scope: "worker",
      description: "Response bytes that wait for clients altogether; above it further requests are answered 503.",
    }),
  },
  { default: {}, description: "Waits, buffers and windows." },
);
