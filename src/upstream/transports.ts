/** Which transport speaks to which backend, for requests and for health probes alike. */
import { isIP } from "node:net";
import type { BackendSettings, PoolSettings, Snapshot } from "../config/snapshot.ts";
import { must } from "../core/assert.ts";
import type { Counters } from "../core/counters.ts";
import type { Upstream } from "../proxy/ports.ts";
import type { RuntimeFetch } from "../runtime/fetch-options.ts";
import type { ConnectStream, StreamTarget } from "../runtime/streams.ts";
import type { Timers } from "../runtime/timers.ts";
import { dialTcp } from "./dial.ts";
import { FetchUpstream } from "./fetch.ts";
import { H1Upstream } from "./native/h1-upstream.ts";
import { H2Upstream } from "./native/h2-upstream.ts";
import { FetchProbe, type Probe } from "./probe.ts";
import { transportProbe } from "./transport-probe.ts";
import { readTrust } from "./trust.ts";

/** What transports are made of. */
export interface TransportParts {
  readonly snapshot: Snapshot;
  readonly fetch: RuntimeFetch;
  readonly connect: ConnectStream;
  readonly timers: Timers;
  readonly counters: Counters;
}

/** The transports of one snapshot. */
export class Transports {
  readonly #fetch: FetchUpstream;
  readonly #h1: H1Upstream;
  readonly #h2: H2Upstream;
  readonly #fetchProbe: FetchProbe;
  readonly #nativeProbe: Probe;

  /** Throws `CONFIG_INVALID` or `CERTIFICATE` for backends that cannot be reached as configured. */
  constructor({ snapshot, fetch, connect, timers, counters }: TransportParts) {
    const { timeouts } = snapshot;
    const pools = snapshot.pools.map((pool) => ({
      ...pool,
      backends: pool.backends.filter((backend) => kindOf(pool, backend) === "fetch"),
    }));
    const fetched = { pools, timeouts };
    this.#fetch = new FetchUpstream({ snapshot: fetched, runtime: fetch, timers, readTrust, dial: dialTcp, counters });
    const shared = { connect, timers, timeouts, counters };
    this.#h1 = new H1Upstream({ ...shared, targetOf: targetsOf(snapshot, "http/1.1") });
    this.#h2 = new H2Upstream({ ...shared, targetOf: targetsOf(snapshot, "h2"), fallback: this.#h1 });
    this.#fetchProbe = new FetchProbe(fetch, readTrust);
    this.#nativeProbe = transportProbe((pool, backend) => this.of(pool, backend), timers);
  }

  /** The transport for a backend of a pool. */
  of(pool: PoolSettings, backend: BackendSettings): Upstream {
    const kind = kindOf(pool, backend);
    if (kind === "fetch") return this.#fetch;
    return kind === "h2" ? this.#h2 : this.#h1;
  }

  /** Asks a backend for its health in the protocol that requests to it use. */
  readonly probe: Probe = (pool, backend) =>
    kindOf(pool, backend) === "fetch" ? this.#fetchProbe.probe(pool, backend) : this.#nativeProbe(pool, backend);

  /** Ends idle connections and refuses new calls. */
  close(): void {
    this.#fetch.close();
    this.#fetchProbe.close();
    this.#h1.close();
    this.#h2.close();
  }
}

/** Clients of our own where the pool asks for them and for `h2c`, which `fetch` does not speak; `fetch` for the rest. */
function kindOf({ transport }: PoolSettings, { scheme }: BackendSettings): "fetch" | "h1" | "h2" {
  if (scheme === "h2c") return "h2";
  if (transport !== "native" || scheme === "h3") return "fetch";
  return scheme === "https" ? "h2" : "h1";
}

/** Where each backend is, with the trust of its pool where it is spoken to over TLS. */
function targetsOf({ pools, timeouts }: Snapshot, protocol: string): (backend: BackendSettings) => StreamTarget {
  const targets = new Map<BackendSettings, StreamTarget>();
  for (const pool of pools) {
    const trust = readTrust(pool.tls);
    for (const backend of pool.backends) {
      const { host, port, scheme } = backend;
      const serverName = isIP(host) === 0 ? host : null;
      const tls =
        scheme === "https" ? { trust, serverName, alpn: protocol === "h2" ? ["h2", "http/1.1"] : [protocol] } : null;
      targets.set(backend, { host, port, tls, connectTimeoutMs: timeouts.backendConnectMs });
    }
  }
  return (backend) => must(targets.get(backend), "every backend of the snapshot has a target");
}
