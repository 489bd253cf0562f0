/** Which transport speaks to which backend, for requests and for health probes alike. */
import { isIP } from "node:net";
import type { BackendSettings, PoolSettings, Snapshot, UpstreamTlsSettings } from "../config/snapshot.ts";
import { must } from "../core/assert.ts";
import type { Counters } from "../core/counters.ts";
import type { ErrorCode } from "../core/error.ts";
import type { Random } from "../core/random.ts";
import type { RequestHead } from "../h3/head.ts";
import type { Upstream } from "../proxy/ports.ts";
import type { UpstreamFailure } from "../proxy/upstream-failure.ts";
import { PLAIN_TRUST, type RuntimeFetch, type TrustMaterial } from "../runtime/fetch-options.ts";
import type { ConnectStream, StreamTarget } from "../runtime/streams.ts";
import type { Timers } from "../runtime/timers.ts";
import { CountedConnect } from "./counted-connect.ts";
import { dialTcp } from "./dial.ts";
import { fetchGap } from "./fetch-gap.ts";
import { FetchUpstream } from "./fetch.ts";
import { AutoUpstream } from "./native/auto-upstream.ts";
import { H1Upstream } from "./native/h1-upstream.ts";
import { H2Upstream } from "./native/h2-upstream.ts";
import type { ClearProtocol } from "./native/protocol-inquiry.ts";
import { FetchProbe, type Probe } from "./probe.ts";
import { transportProbe } from "./transport-probe.ts";
import { readTrust } from "./trust.ts";

/** What transports are made of. */
export interface TransportParts {
  /** The backends that they begin with, and how long things may take. */
  readonly snapshot: Pick<Snapshot, "pools" | "timeouts">;
  readonly fetch: RuntimeFetch;
  readonly connect: ConnectStream;
  readonly timers: Timers;
  readonly counters: Counters;
  readonly random: Random;
  /** What a backend in clear was found to speak. */
  readonly onLearned: (backend: BackendSettings, protocol: ClearProtocol) => void;
}

/** The transports to backends, which come (`open`) and go (`retire`): each is known by its settings object. */
export class Transports {
  readonly #counters: Counters;
  readonly #connect: CountedConnect;
  readonly #fetch: FetchUpstream;
  readonly #h1: H1Upstream;
  readonly #h2: H2Upstream;
  readonly #auto: AutoUpstream;
  readonly #fetchProbe: FetchProbe;
  readonly #nativeProbe: Probe;
  readonly #trusts = new Map<BackendSettings, TrustMaterial>();

  /** Throws `CONFIG_INVALID` or `CERTIFICATE` for backends that cannot be reached as configured. */
  constructor({ snapshot, fetch, connect, timers, counters, random, onLearned }: TransportParts) {
    const { timeouts } = snapshot;
    this.#counters = counters;
    this.#connect = new CountedConnect(connect, counters, timers);
    const trustOf = readEachOnce(snapshot);
    this.#fetch = new FetchUpstream({
      ...{ snapshot: { pools: [], timeouts }, runtime: fetch, timers, counters },
      ...{ readTrust: trustOf, dial: dialTcp },
    });
    const shared = { connect: this.#connect.connect, timers, timeouts, counters };
    const { backendConnectMs } = timeouts;
    this.#h1 = new H1Upstream({ ...shared, targetOf: this.#targetsWith(backendConnectMs, () => HTTP1_ALPN) });
    this.#h2 = new H2Upstream({
      ...{ ...shared, random },
      targetOf: this.#targetsWith(backendConnectMs, ({ protocol }) => (protocol === "h2" ? HTTP2_ALPN : BOTH_ALPN)),
      fallback: this.#h1,
    });
    this.#fetchProbe = new FetchProbe(fetch, (reach) => this.#trusts.get(reach) ?? PLAIN_TRUST);
    this.#auto = new AutoUpstream({
      ...{ ...shared, targetOf: this.#targetsWith(backendConnectMs, () => []), onLearned },
      ...{ http1: this.#h1, h2c: this.#h2 },
    });
    this.#nativeProbe = transportProbe(this, timers);
    for (const pool of snapshot.pools) for (const backend of pool.backends) this.open(pool, backend, trustOf(pool.tls));
  }

  /** A backend more. Throws `CONFIG_INVALID` for one that cannot be reached as configured. */
  open(pool: PoolSettings, backend: BackendSettings, trust: TrustMaterial): void {
    if (kindOf(backend) === "fetch") this.#fetch.open(pool, backend, trust);
    this.#trusts.set(backend, trust);
  }

  /** A backend less: no further calls to it, no connection to it beyond those that run. */
  retire(backend: BackendSettings): void {
    this.#trusts.delete(backend);
    this.#fetch.retire(backend);
    this.#fetchProbe.retire(backend);
    this.#auto.retire(backend);
    this.#h1.retire(backend);
    this.#h2.retire(backend);
  }

  /** Connections to backends over clients of ours now; those of fetch are the runtime's business. */
  get connectionCount(): number {
    return this.#connect.openCount;
  }

  /** The transport for a request to a backend; `hasBody`: more follows the head. */
  forRequest(backend: BackendSettings, head: RequestHead, hasBody: boolean): Upstream {
    if (kindOf(backend) !== "fetch") return this.of(backend);
    const gap = fetchGap(head, hasBody);
    const isCrowded = gap === null && this.#fetch.isCrowded(backend);
    if (gap === null && !isCrowded) return this.#fetch;
    // What is not chosen is ours to choose; over HTTP/3 there is no client but fetch.
    if (!backend.transportIsChosen && backend.scheme === "https") {
      if (isCrowded) this.#counters.fetchCrowded += 1;
      else this.#counters.fetchAvoided += 1;
      return backend.protocol === "http1" ? this.#h1 : this.#h2;
    }
    if (gap === "lossy") this.#counters.fetchLossy += 1;
    return this.#fetch;
  }

  /** The transport for a backend. */
  of(backend: BackendSettings): Upstream {
    switch (kindOf(backend)) {
      case "fetch":
        return this.#fetch;
      case "h2":
        return this.#h2;
      case "h1":
        return this.#h1;
      case "auto":
        return this.#auto;
    }
  }

  /** An attempt at a backend failed: what was learned of it may not hold any more. */
  onFailure(backend: BackendSettings, failure: UpstreamFailure): void {
    if (failure.source === "upstream" && !IS_LATENESS.has(failure.code)) this.relearn(backend);
  }

  /** The next request finds out again what the backend speaks. */
  relearn(backend: BackendSettings): void {
    const kind = kindOf(backend);
    if (kind === "auto") this.#auto.relearn(backend);
    // Of a backend of fetch, too, some requests go over HTTP/2 of our own.
    else if (kind !== "h1") this.#h2.relearn(backend);
  }

  /** Asks a backend for its health in the protocol that requests to it use. */
  readonly probe: Probe = (pool, backend, reach = backend) =>
    kindOf(reach) === "fetch" ? this.#fetchProbe.probe(pool, backend, reach) : this.#nativeProbe(pool, backend, reach);

  /** Ends idle connections and refuses new calls. */
  close(): void {
    this.#fetch.close();
    this.#fetchProbe.close();
    this.#auto.close();
    this.#h1.close();
    this.#h2.close();
  }

  /** Where each backend is, with the trust of its pool where it is spoken to over TLS. */
  #targetsWith(
    connectTimeoutMs: number,
    alpnOf: (backend: BackendSettings) => readonly string[],
  ): (backend: BackendSettings) => StreamTarget | null {
    return (backend) => {
      const trust = this.#trusts.get(backend);
      if (trust === undefined) return null;
      const { host, port, scheme } = backend;
      const serverName = trust.serverName ?? (isIP(host) === 0 ? host : null);
      const tls = scheme === "https" ? { trust, serverName, alpn: alpnOf(backend) } : null;
      return { host, port, tls, connectTimeoutMs };
    };
  }
}

/** Which of the transports a backend has; the configuration has settled it, but for what is found out. */
function kindOf({ transport, scheme, protocol }: BackendSettings): "fetch" | "h1" | "h2" | "auto" {
  if (transport === "fetch") return "fetch";
  if (protocol === "http1") return "h1";
  return protocol === "auto" && scheme !== "https" ? "auto" : "h2";
}

/** The files of each pool, read once, so that all transports go by the same. */
function readEachOnce({ pools }: Pick<Snapshot, "pools">): (tls: UpstreamTlsSettings) => TrustMaterial {
  const read = new Map(pools.map(({ tls }) => [tls, readTrust(tls)]));
  return (tls) => must(read.get(tls), "every pool's files were read");
}

/** A slow backend speaks what it spoke before. */
const IS_LATENESS: ReadonlySet<ErrorCode> = new Set(["UPSTREAM_HEAD_TIMEOUT", "UPSTREAM_BODY_TIMEOUT"]);

const HTTP1_ALPN: readonly string[] = ["http/1.1"];
const HTTP2_ALPN: readonly string[] = ["h2"];
const BOTH_ALPN: readonly string[] = ["h2", "http/1.1"];
