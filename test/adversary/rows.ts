/**
 * The rows of the adversarial suite: what strangers and broken backends can do to an HTTP/3 proxy, by number. Numbers are never
 * given anew. Each row has a case in `cases/`, or is proved by a test file that is named here, or says why it is not tried.
 */

/** A row. */
export interface Row {
  readonly row: number;
  readonly name: string;
  /** The test file that proves it instead of a case. */
  readonly elsewhere?: string;
  /** Why there is no case. Whoever writes one takes this out; the suite insists on it. */
  readonly untried?: string;
}

const FLAP = "panic mode and slow start of backends come with passive health checks";

/** All of them, in order. */
export const ROWS: readonly Row[] = [
  // Frames and streams (RFC 9114 4.1, 6 and 7, RFC 9204).
  { row: 1, name: "data-before-headers" },
  { row: 2, name: "no-settings" },
  { row: 3, name: "second-settings" },
  { row: 4, name: "dup-setting, h2-setting" },
  { row: 5, name: "control-data, control-headers" },
  { row: 6, name: "cancel-push-on-request" },
  { row: 7, name: "second-control-stream" },
  { row: 8, name: "control-fin, control-reset" },
  { row: 9, name: "push-promise-from-client" },
  { row: 10, name: "grease" },
  { row: 11, name: "frame-truncated" },
  { row: 12, name: "third-headers" },
  { row: 13, name: "qpack-static-oob, capacity, incr-0" },
  { row: 14, name: "qpack-blocked-over" },
  { row: 15, name: "fin-without-headers" },
  // Messages (RFC 9114 4.1.2 to 4.3, RFC 9110).
  { row: 16, name: "pseudo-dup, missing, unknown, after-regular" },
  { row: 17, name: "response-pseudo" },
  { row: 18, name: "name-upper, name-space, name-colon, name-empty" },
  { row: 19, name: "value-crlf, value-nul, value-lf" },
  { row: 20, name: "method-space" },
  { row: 21, name: "path-space, path-ctl, path-frag, path-empty, path-noslash" },
  { row: 22, name: "path-absolute" },
  { row: 23, name: "scheme-odd" },
  { row: 24, name: "authority-vs-host" },
  { row: 25, name: "host-only" },
  { row: 26, name: "no-authority-no-host" },
  { row: 27, name: "authority-userinfo" },
  { row: 28, name: "host-synth" },
  { row: 29, name: "conn-headers" },
  { row: 30, name: "te" },
  { row: 31, name: "cl-dup-diff, cl-plus, cl-hex, cl-neg, cl-list" },
  { row: 32, name: "cl-more, cl-less" },
  { row: 33, name: "standalone-fin" },
  { row: 34, name: "cl-then-reset" },
  { row: 35, name: "get-with-body, no-cl-body" },
  { row: 36, name: "expect-100" },
  { row: 37, name: "trailers-both" },
  { row: 38, name: "1xx" },
  { row: 39, name: "head, 204, 304" },
  { row: 40, name: "cookie-crumbs" },
  { row: 41, name: "set-cookie-many" },
  { row: 42, name: "xff-spoof" },
  { row: 43, name: "connect-udp, connect" },
  { row: 44, name: "alt-svc-hop" },
  { row: 45, name: "encoded-body" },
  // Transport (RFC 9000 and 9001).
  { row: 46, name: "stream-limit, flow, final-size" },
  { row: 47, name: "stream-state set" },
  { row: 48, name: "bad-tp set" },
  { row: 49, name: "unknown-frame, empty-packet, bad-NCID" },
  { row: 50, name: "server-only frames" },
  { row: 51, name: "reserved-bits" },
  { row: 52, name: "alpn-none" },
  { row: 53, name: "version-unknown" },
  { row: 54, name: "initial-small" },
  { row: 55, name: "dcid-short" },
  { row: 56, name: "initial-garbage" },
  { row: 57, name: "coalesced-odd-dcid" },
  { row: 58, name: "zero-length-datagrams" },
  { row: 59, name: "split-clienthello" },
  { row: 60, name: "amplification" },
  { row: 61, name: "retry-flow" },
  { row: 62, name: "token-bad" },
  { row: 63, name: "new-token-misuse" },
  { row: 64, name: "stateless-reset" },
  { row: 65, name: "idle" },
  { row: 66, name: "loss, reorder, dup 10%" },
  { row: 67, name: "keyupdate, chacha20, resumption" },
  { row: 68, name: "rebind-port, rebind-addr", elsewhere: "test/e2e/migration.test.ts" },
  { row: 69, name: "active-migration, fresh CID", elsewhere: "test/e2e/migration.test.ts" },
  // Attacks on resources.
  { row: 70, name: "initial-flood" },
  { row: 71, name: "handshake-flood-validated" },
  { row: 72, name: "rapid-reset-h3" },
  { row: 73, name: "madeyoureset-h3" },
  { row: 74, name: "window-stall" },
  { row: 75, name: "slow-body" },
  { row: 76, name: "slow-headers" },
  { row: 77, name: "header-bomb" },
  { row: 78, name: "huffman-cpu" },
  { row: 79, name: "ncid-flood" },
  { row: 80, name: "retire-loop" },
  { row: 81, name: "path-challenge-flood" },
  { row: 82, name: "crypto-hole" },
  { row: 83, name: "optimistic-ack" },
  { row: 84, name: "stream-gaps" },
  { row: 85, name: "priority-flood" },
  { row: 86, name: "settings, ping, empty-data flood" },
  { row: 87, name: "1M requests on one connection" },
  { row: 88, name: "10 k idle connections" },
  { row: 89, name: "loop-starvation" },
  { row: 90, name: "conn-per-ip, streams, bytes quotas" },
  // Faults of backends.
  { row: 91, name: "refuse, blackhole, rst" },
  { row: 92, name: "stale-pool" },
  { row: 93, name: "half-open" },
  { row: 94, name: "h2-goaway, refused, reset" },
  { row: 95, name: "premature-end" },
  { row: 96, name: "response-smuggle" },
  { row: 97, name: "endless-headers, h2 bomb, 1xx flood" },
  { row: 98, name: "slow-upstream" },
  { row: 99, name: "flap", untried: FLAP },
  { row: 100, name: "0-RTT" },
];
