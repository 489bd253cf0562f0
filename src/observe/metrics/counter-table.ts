/** Metrics that are counters of `Counters`; `docs/operations/metrics.md` is made from them. */
import type { Counters } from "../../core/counters.ts";
import { count, counts, durations, family, type Metric } from "./metric.ts";
import { UPSTREAM_METRICS } from "./upstream-table.ts";

/** Of the socket and the loop. */
const SOCKET: readonly Metric[] = [
  count("spooky_udp_received_datagrams_total", "datagramsReceived", "Datagrams that came."),
  count("spooky_udp_sent_datagrams_total", "datagramsSent", "Datagrams that were sent."),
  count("spooky_udp_received_bytes_total", "bytesReceived", "UDP payload that came."),
  count("spooky_udp_sent_bytes_total", "bytesSent", "UDP payload that was sent."),
  count("spooky_udp_receive_calls_total", "receiveCalls", "System calls that took datagrams in."),
  count("spooky_udp_send_calls_total", "sendCalls", "System calls that sent datagrams."),
  counts(
    "spooky_udp_ignored_datagrams_total",
    "reason",
    {
      truncated: "datagramsTruncated",
      malformed: "datagramsMalformed",
      "unknown-id": "datagramsUnknownId",
      "port-zero": "datagramsFromPortZero",
    },
    "Datagrams that were not taken, by reason.",
  ),
  count("spooky_udp_kernel_drops_total", "kernelDrops", "Datagrams that the kernel dropped since the socket was full."),
  count("spooky_udp_gso_fallbacks_total", "gsoFallbacks", "Batches that had to be sent without segmentation offload."),
  count("spooky_udp_send_errors_total", "sendErrors", "Datagrams that the kernel refused to send."),
  count("spooky_udp_send_blocked_total", "sendBlocked", "Times the kernel took no more datagrams for now."),
  count("spooky_loop_turns_total", "turns", "Turns of the packet loop."),
  count("spooky_loop_wakeups_total", "wakeUps", "Times the packet loop was woken."),
  durations("spooky_loop_delay_seconds", "loopDelayMs", "How late timers of the runtime's loop were."),
];

/** Of QUIC connections. */
const CONNECTIONS: readonly Metric[] = [
  count("spooky_connections_accepted_total", "connectionsAccepted", "Connections that were let in."),
  count("spooky_connections_established_total", "connectionsEstablished", "Connections whose handshake was done."),
  count("spooky_connections_resumed_total", "connectionsResumed", "Connections that began with a session ticket."),
  count("spooky_connections_closed_total", "connectionsClosed", "Connections that ended."),
  counts(
    "spooky_connections_refused_total",
    "reason",
    {
      total: "connectionsOverTotal",
      address: "connectionsOverAddress",
      rate: "connectionsOverRate",
      handshakes: "connectionsOverHandshakes",
      draining: "connectionsWhileDraining",
      token: "connectionsBadToken",
      engine: "connectionsNotMade",
    },
    "First packets of connections that were not let in: by the bound that was reached, or for a bad token, or since the engine made none.",
  ),
  counts(
    "spooky_refusals_total",
    "result",
    { sent: "refusalsSent", withheld: "refusalsWithheld" },
    "Answers to connections that were refused.",
  ),
  counts(
    "spooky_connections_ended_total",
    "reason",
    {
      "idle-transport": "connectionsTimedOut",
      "idle-requests": "connectionsIdle",
      requests: "connectionsOverRequests",
      resets: "connectionsOverResets",
      glitches: "connectionsOverGlitches",
      paths: "connectionsOverPaths",
      "drain-deadline": "connectionsCutOff",
      "client-certificate": "clientCertificatesLapsed",
    },
    "Connections that were ended, or told to end, by reason.",
  ),
  durations(
    "spooky_handshake_duration_seconds",
    "handshakeMs",
    "From a connection's first packet to the end of its handshake.",
  ),
  count(
    "spooky_handshakes_failed_total",
    "handshakesFailed",
    "Connections that ended before their handshake was done.",
  ),
  count("spooky_handshakes_timed_out_total", "handshakesTimedOut", "Of these, those that took too long."),
  family("spooky_tls_alerts_sent_total", "alert", "tlsAlertsSent", "Handshakes that ended with a TLS alert of ours."),
  family(
    "spooky_tls_alerts_received_total",
    "alert",
    "tlsAlertsReceived",
    "Handshakes that ended with a TLS alert of the client's.",
  ),
  counts("spooky_retries_total", "result", { sent: "retriesSent", withheld: "retriesWithheld" }, "QUIC Retries."),
  counts(
    "spooky_tokens_total",
    "result",
    { valid: "tokensValid", ignored: "tokensIgnored" },
    "Tokens that clients showed.",
  ),
  family("spooky_tokens_refused_total", "reason", "tokensRefused", "Tokens that were refused."),
  counts(
    "spooky_stateless_resets_total",
    "result",
    { sent: "resetsSent", withheld: "resetsWithheld", "too-short": "resetsTooShort" },
    "Stateless resets for packets of connections that nobody knows.",
  ),
  count("spooky_version_negotiations_total", "versionNegotiations", "Version Negotiation packets."),
  count("spooky_migrations_total", "migrations", "Moves of clients to another address."),
  count("spooky_flushes_held_total", "heldFlushes", "Acknowledgements that waited for an answer to go with."),
  count("spooky_flushes_paced_total", "flushesPaced", "Flushes that stopped so that the rest is no burst."),
  count("spooky_early_connections_total", "earlyConnections", "Connections whose early data (0-RTT) was taken."),
  family("spooky_early_doubts_total", "reason", "earlyDoubts", "Early data that may be a repetition."),
  family("spooky_early_rejected_total", "reason", "earlyRejected", "Early data that was not taken."),
  count("spooky_quic_packets_sent_total", "packetsSent", "QUIC packets that were sent on connections."),
  count("spooky_quic_packets_lost_total", "packetsLost", "Of these, those that were lost."),
  count(
    "spooky_quic_packets_retransmitted_total",
    "packetsRetransmitted",
    "Of these, those that carried something once more.",
  ),
  durations(
    "spooky_quic_round_trip_seconds",
    "roundTripMs",
    "Smoothed round trip of a connection, looked at now and then while it sends, and at its end.",
  ),
  count("spooky_connections_watched_total", "connectionsWatched", "Connections chosen for keylog or qlog."),
  counts(
    "spooky_watch_faults_total",
    "reason",
    { error: "watchErrors", cut: "watchCut", refused: "qlogsRefused" },
    "Keylogs and qlogs that failed, ended at a bound or were not begun.",
  ),
];

/** Of requests. */
const REQUESTS: readonly Metric[] = [
  count("spooky_requests_started_total", "requestsStarted", "Requests that began, malformed ones included."),
  counts(
    "spooky_requests_ended_total",
    "result",
    { completed: "requestsCompleted", failed: "requestsFailed" },
    "Requests that ended, by whether all went well.",
  ),
  family("spooky_request_errors_total", "code", "requestErrors", "Requests that did not go well, by what failed."),
  counts(
    "spooky_requests_rejected_total",
    "reason",
    {
      "body-too-large": "requestsBodyTooLarge",
      draining: "requestsRejectedDraining",
      misdirected: "requestsMisdirected",
      "head-late": "requestHeadsLate",
      "head-broken": "requestHeadsBroken",
    },
    "Requests that were not taken, by reason. Draining and broken ones had no answer, and are not in http_requests_total.",
  ),
  family(
    "spooky_requests_malformed_total",
    "reason",
    "malformedReasons",
    "Malformed requests, by the rule they broke; in http_requests_total they have no pool and the method `other`.",
  ),
  family("spooky_requests_shed_total", "place", "requestsShed", "Requests answered 503 for want of room, by where."),
  count("spooky_requests_aborted_total", "requestsAborted", "Requests that their clients gave up or broke."),
  count("spooky_requests_timed_out_total", "requestsTimedOut", "Requests that took longer than they may."),
  count("spooky_requests_cut_off_total", "requestsCutOff", "Requests broken off since the time to drain was over."),
  count(
    "spooky_requests_untold_total",
    "requestsUntold",
    "Requests to backends that are not told apart here any more.",
  ),
  count("spooky_request_retries_total", "retries", "Requests sent to another backend after one failed."),
  counts(
    "spooky_early_requests_total",
    "event",
    { sent: "earlyRequests", held: "earlyRequestsHeld", repeated: "earlyRequestsRepeated" },
    "Requests in early data: sent on, held until the handshake was done, sent again after a 425.",
  ),
  count("spooky_responses_reset_total", "responsesReset", "Responses broken off after they had begun."),
  count(
    "spooky_stream_buffers_overfull_total",
    "streamBuffersOverfull",
    "Responses of which too much waited for the client.",
  ),
  count("spooky_informational_dropped_total", "informationalDropped", "1xx responses that could not be passed on."),
  durations("spooky_request_first_byte_seconds", "firstByteMs", "From a request's head to the head of its response."),
  durations(
    "spooky_request_seconds",
    "requestMs",
    "From a request's head to its end, all pools together, in finer steps.",
  ),
  count("spooky_client_deadlines_total", "clientDeadlines", "Requests whose client was too slow."),
];

/** Of the program. */
const PROGRAM: readonly Metric[] = [
  count("spooky_control_refusals_total", "controlRefusals", "Refusals on the control socket."),
  count("spooky_door_connections_total", "doorConnections", "Connections to where metrics and health are shown."),
  count("spooky_door_requests_total", "doorRequests", "Requests there that were answered."),
  counts(
    "spooky_door_faults_total",
    "reason",
    { refused: "doorRefusals", cut: "doorConnectionsCut", timeout: "doorTimeouts" },
    "Requests there that were refused, and connections that were closed over their maximum or time-out.",
  ),
  count(
    "spooky_access_lines_left_out_total",
    "accessLinesLeftOut",
    "Requests without an access line: of quiet pools, and left out by sampling.",
  ),
  count("spooky_log_lines_lost_total", "logLinesDropped", "Log lines that could not be written."),
  count("spooky_log_write_errors_total", "logWriteErrors", "Writes of the log that failed."),
];

/** All of them. */
export const COUNTER_METRICS: readonly Metric[] = [
  ...SOCKET,
  ...CONNECTIONS,
  ...REQUESTS,
  ...UPSTREAM_METRICS,
  ...PROGRAM,
];

/** Fields of `Counters` that are shown otherwise, with the reason. */
export const NOT_EXPOSED: Readonly<Partial<Record<keyof Counters, string>>> = {
  connectionsRefused: "the sum of spooky_connections_refused_total",
  requestsMalformed: "the sum of spooky_requests_malformed_total",
  requestsHeadTooLarge: "in spooky_requests_malformed_total, by which bound it was",
  requestsUriTooLong: "in spooky_requests_malformed_total",
  glitchesHighest: "the most that was ever seen and no count: spooky_glitches_highest",
  bodies: "bytes by pool: spooky_request_body_bytes_total and spooky_response_body_bytes_total",
};
