/** Each thing that happens to a running proxy is counted where it belongs, and nowhere else. */
import { describe, expect, test } from "bun:test";
import { type AioquicPlan, AIOQUIC_MISSING, aioquicPython, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { startBackend, type TestBackend } from "../support/backends.ts";
import { grown, metricsUrl, readMetrics, SHOWS_METRICS, wentBack } from "../support/metrics.ts";
import { freePort, waitUntil } from "../support/net.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { startUdpRelay } from "../support/udp-relay.ts";
import { startWorkers } from "./worker-proxies.ts";

/** What runs all the time, what any traffic moves, and what has other tests: how long things took, and how many packets they were. */
const COMMON =
  /^(?:spooky_udp_(?!ignored)|spooky_loop|process_|spooky_worker_|node_|spooky_door|spooky_limit|spooky_flushes|spooky_native|spooky_quic|spooky_upstream_(?:writes|connections|open|connect_)|spooky_connections_active|spooky_glitches|.*_bucket|.*_sum)/;

/** Then what is still missing does not come. */
const LOOKS_MAX = 1000;

type Moves = Readonly<Record<string, number>>;

const request = (pool: string, backend: string, method: string, status: number): string =>
  `http_requests_total{upstream_pool="${pool}",backend="${backend}",protocol="h3",method="${method}",status="${status}"}`;
const ofPool = (name: string, pool: string): string => `${name}{upstream_pool="${pool}"}`;

/** A connection that comes, does its handshake and goes. */
const CONNECTION: Moves = {
  spooky_connections_accepted_total: 1,
  spooky_connections_established_total: 1,
  spooky_connections_closed_total: 1,
  spooky_handshake_duration_seconds_count: 1,
};

/** A request of such a connection's that ends, with so many bytes to its client. */
function ended(pool: string, result: "completed" | "failed", bytesOut: number): Moves {
  return {
    ...CONNECTION,
    [ofPool("http_request_duration_seconds_count", pool)]: 1,
    ...(bytesOut > 0 ? { [ofPool("spooky_response_body_bytes_total", pool)]: bytesOut } : {}),
    spooky_requests_started_total: 1,
    [`spooky_requests_ended_total{result="${result}"}`]: 1,
  };
}

/** Routed: there is a time of it. */
const TIMED: Moves = { spooky_request_seconds_count: 1 };
/** A try at a backend that has answered. */
const ANSWERED: Moves = {
  ...TIMED,
  spooky_request_first_byte_seconds_count: 1,
  spooky_upstream_attempts_total: 1,
  spooky_upstream_response_head_seconds_count: 1,
  spooky_upstream_seconds_count: 1,
};
/** And one that has not. */
const UNANSWERED: Moves = { spooky_upstream_attempts_total: 1, spooky_upstream_seconds_count: 1 };
const REFUSED: Moves = {
  'spooky_upstream_failures_total{code="UPSTREAM_REFUSED"}': 1,
  'spooky_upstream_connects_failed_total{code="UPSTREAM_REFUSED"}': 1,
};
const failed = (code: string): Moves => ({ [`spooky_request_errors_total{code="${code}"}`]: 1 });
const malformed = (reason: string): Moves => ({
  ...failed("BAD_REQUEST"),
  [`spooky_requests_malformed_total{reason="${reason}"}`]: 1,
});

/** What a client does, and what that is counted as. */
const EVENTS: readonly (readonly [what: string, plan: Omit<AioquicPlan, "port">, moves: Moves])[] = [
  [
    "a request",
    { steps: [{ do: "request", path: "/small" }, { do: "close" }] },
    { ...ended("api", "completed", 512), ...ANSWERED, [request("api", "backend-0", "GET", 200)]: 1 },
  ],
  [
    "a body",
    { steps: [{ do: "request", path: "/echo", body: { bytes: 1000 } }, { do: "close" }] },
    {
      ...{ ...ended("api", "completed", 1000), ...ANSWERED, [request("api", "backend-0", "POST", 200)]: 1 },
      [ofPool("spooky_request_body_bytes_total", "api")]: 1000,
    },
  ],
  [
    "a host that has no route",
    { steps: [{ do: "request", path: "/small", authority: "nobody" }, { do: "close" }] },
    { ...ended("", "failed", 14), ...TIMED, ...failed("NO_ROUTE"), [request("", "", "GET", 404)]: 1 },
  ],
  [
    "a path that no label may have",
    { steps: [{ do: "request", method: "BREW", path: '/"\\{}%00|=:' }, { do: "close" }] },
    { ...ended("", "failed", 16), ...malformed("path-control"), [request("", "", "other", 400)]: 1 },
  ],
  [
    "a head that breaks a rule",
    { steps: [{ do: "request", path: "/small", headers: [["Upper", "x"]] }, { do: "close" }] },
    { ...ended("", "failed", 0), ...malformed("name-upper-case"), [request("", "", "other", 0)]: 1 },
  ],
  [
    "a backend that refuses",
    { steps: [{ do: "request", path: "/small", authority: "refuses" }, { do: "close" }] },
    {
      ...{ ...ended("refuses", "failed", 16), ...TIMED, ...UNANSWERED, ...REFUSED, ...failed("UPSTREAM_REFUSED") },
      [request("refuses", "backend-0", "GET", 502)]: 1,
    },
  ],
  [
    "a retry that goes well",
    { steps: [{ do: "request", path: "/small", authority: "retries" }, { do: "close" }] },
    {
      ...{ ...ended("retries", "completed", 512), ...ANSWERED, ...REFUSED, spooky_request_retries_total: 1 },
      ...{ spooky_upstream_attempts_total: 2, spooky_upstream_seconds_count: 2 },
      [request("retries", "backend-1", "GET", 200)]: 1,
    },
  ],
  [
    "a client that gives up",
    {
      steps: [
        { do: "start", id: "gone", path: "/hold-body?bytes=10" },
        { do: "wait_bytes", id: "gone", bytes: 10 },
        { do: "stop", id: "gone" },
        { do: "request", path: "/small", authority: "nobody" },
        { do: "close" },
      ],
    },
    {
      ...{ ...ended("api", "failed", 10), ...ANSWERED, ...failed("CLIENT_GONE"), ...failed("NO_ROUTE") },
      ...{ [request("api", "backend-0", "GET", 499)]: 1, [request("", "", "GET", 404)]: 1 },
      ...{ spooky_requests_started_total: 2, 'spooky_requests_ended_total{result="failed"}': 2 },
      ...{ spooky_request_seconds_count: 2, spooky_requests_aborted_total: 1, spooky_upstream_seconds_count: 0 },
      [ofPool("http_request_duration_seconds_count", "")]: 1,
      [ofPool("spooky_response_body_bytes_total", "")]: 14,
    },
  ],
  [
    "a client that speaks no HTTP/3",
    { alpn: ["h9"], steps: [{ do: "request", path: "/small" }] },
    {
      ...{ spooky_connections_accepted_total: 1, spooky_connections_closed_total: 1 },
      ...{ spooky_handshakes_failed_total: 1, 'spooky_tls_alerts_sent_total{alert="no-application-protocol"}': 1 },
    },
  ],
  [
    "a version that nobody knows, then version 1",
    { offer_version: 0x1a2a3a4a, steps: [{ do: "handshake" }, { do: "close" }] },
    { ...CONNECTION, spooky_version_negotiations_total: 1 },
  ],
  [
    "a move to another port",
    {
      steps: [{ do: "request", path: "/small" }, { do: "rebind" }, { do: "request", path: "/small" }, { do: "close" }],
    },
    {
      ...CONNECTION,
      ...Object.fromEntries(
        Object.entries({ ...ended("api", "completed", 512), ...ANSWERED }).map(([name, count]) => [name, 2 * count]),
      ),
      ...{ ...CONNECTION, spooky_migrations_total: 1, [request("api", "backend-0", "GET", 200)]: 2 },
    },
  ],
];

/** A proxy of two workers that is looked at. */
class Observed {
  readonly proxy: RunningProxy;
  readonly #url: string;
  #before: ReadonlyMap<string, number>;

  private constructor(proxy: RunningProxy, url: string, before: ReadonlyMap<string, number>) {
    this.proxy = proxy;
    this.#url = url;
    this.#before = before;
  }

  static async start(backend: TestBackend): Promise<Observed> {
    const closed = `http://127.0.0.1:${await freePort()}`;
    const proxy = await startWorkers(2, backend.address, {
      pools: [
        { prefix: "/", host: "localhost", name: "api", backends: [backend.address] },
        { prefix: "/", host: "refuses", name: "refuses", backends: [closed] },
        { prefix: "/", host: "retries", name: "retries", backends: [closed, backend.address] },
      ],
      extra: SHOWS_METRICS,
    });
    const url = await metricsUrl(proxy);
    return new Observed(proxy, url, await readMetrics(url));
  }

  /** By how much each has grown since the last time that all was there. No count may ever be less. */
  async grown(): Promise<Moves> {
    const now = await readMetrics(this.#url);
    expect(wentBack(this.#before, now)).toEqual([]);
    return grown(this.#before, now);
  }

  /** Waits until all of this has moved since the last time; then nothing else may have. What moves later is seen by whoever comes next. */
  async expectMoved(what: string, moves: Moves): Promise<void> {
    const wanted = Object.fromEntries(Object.entries(moves).filter(([, count]) => count !== 0));
    let seen: Moves = {};
    let looks = 0;
    await waitUntil(async () => {
      looks += 1;
      const now = await readMetrics(this.#url);
      expect(wentBack(this.#before, now)).toEqual([]);
      seen = Object.fromEntries(Object.entries(grown(this.#before, now)).filter(([name]) => !COMMON.test(name)));
      const isThere = Object.entries(wanted).every(([name, count]) => (seen[name] ?? 0) >= count);
      if (isThere) this.#before = now;
      return isThere || looks >= LOOKS_MAX;
    });
    expect({ what, seen }).toEqual({ what, seen: wanted });
  }
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "counted is", () => {
  test("each thing that clients do, where it belongs and nowhere else", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const observed = await Observed.start(backend);
    for (const [what, plan, moves] of EVENTS) {
      await runAioquicOnce({ port: observed.proxy.port, events: false, ...plan });
      await observed.expectMoved(what, moves);
      backend.release();
    }
  });

  test("a packet that is lost on the way, while its connection is open", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const observed = await Observed.start(backend);
    const relay = await startUdpRelay(observed.proxy.port, { seed: 7, lossPercent: 8, delayMs: 5 });
    const steps = [{ do: "request", path: "/bytes/800000" }, { do: "cue" }, { do: "close" }] as const;
    const run = startAioquic({ port: relay.port, events: false, steps });
    const names = [
      "packets_sent_total",
      "packets_lost_total",
      "packets_retransmitted_total",
      "round_trip_seconds_count",
    ];
    await waitUntil(async () => {
      const more = await observed.grown();
      return more["spooky_connections_active"] === 1 && names.every((name) => (more[`spooky_quic_${name}`] ?? 0) > 0);
    });
    run.cue();
    await run.connections;
  });
});
