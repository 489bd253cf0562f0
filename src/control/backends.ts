/**
 * What is known of backends from one configuration to the next: their health, their requests under way, what they speak and the
 * connections to them. One that stays where it was and as it was reached keeps all of it; another one begins anew, and what nobody uses
 * any more is given up.
 */
import { BackendState } from "../balance/availability.ts";
import type {
  BackendSettings,
  PoolSettings,
  Snapshot,
  TimeoutSettings,
  UpstreamTlsSettings,
} from "../config/snapshot.ts";
import type { TrustMaterial } from "../runtime/fetch-options.ts";
import type { Transports } from "../upstream/transports.ts";

/** What the transports of one set of time-outs need of a snapshot. */
type TransportTimes = Pick<Snapshot, "pools" | "timeouts">;

/** What the registry is made of. */
export interface BackendsParts {
  /** Transports to no backend yet. */
  readonly makeTransports: (times: TransportTimes) => Transports;
  /** Reads the files of a pool. Throws `ProxyError`. */
  readonly readTrust: (tls: UpstreamTlsSettings) => TrustMaterial;
  /** A text that is the same for the same files. */
  readonly digestOf: (trust: TrustMaterial) => string;
}

/** Transports that go by the same time-outs, and how many backends use them. */
interface Era {
  readonly key: string;
  readonly transports: Transports;
  users: number;
}

/** One backend. */
export interface KnownBackend {
  readonly key: string;
  /** What the transports know it by. */
  readonly reach: BackendSettings;
  readonly state: BackendState;
  readonly transports: Transports;
}

interface Entry extends KnownBackend {
  readonly era: Era;
  /** Configurations that it is in. */
  users: number;
}

/** The backends of one configuration, by pool and index, until they are given back. */
export type BackendsOfPools = readonly (readonly KnownBackend[])[];

/** All backends of the configurations that are at work. */
export class Backends {
  readonly #parts: BackendsParts;
  readonly #entries = new Map<string, Entry>();
  readonly #eras = new Map<string, Era>();

  constructor(parts: BackendsParts) {
    this.#parts = parts;
  }

  /** How many there are. */
  get count(): number {
    return this.#entries.size;
  }

  /** Those of a snapshot. Throws `ProxyError` with everything as before when one cannot be reached as configured. */
  take({ pools, timeouts }: TransportTimes): BackendsOfPools {
    const taken: Entry[] = [];
    const trustOf = this.#readEachOnce();
    try {
      return pools.map((pool) => {
        const { trust, digest } = trustOf(pool.tls);
        const times = timesOf(timeouts);
        const places = new Map<string, number>();
        return pool.backends.map((backend) => {
          const reach = JSON.stringify([pool.name, reachOf(pool, backend), digest, times]);
          // A pool may name one address twice.
          const place = places.get(reach) ?? 0;
          places.set(reach, place + 1);
          const entry = this.#enter(`${place}${reach}`, pool, backend, trust, timeouts);
          taken.push(entry);
          return entry;
        });
      });
    } catch (thrown) {
      for (const entry of taken) this.#leave(entry);
      throw thrown;
    }
  }

  /** They are in one configuration less. */
  giveBack(backends: BackendsOfPools): void {
    for (const { key } of backends.flat()) {
      const entry = this.#entries.get(key);
      if (entry !== undefined) this.#leave(entry);
    }
  }

  /** Connections to backends over clients of ours now. */
  get connectionCount(): number {
    let count = 0;
    for (const { transports } of this.#eras.values()) count += transports.connectionCount;
    return count;
  }

  /** Refuses new calls and ends idle connections of all. */
  close(): void {
    for (const { transports } of this.#eras.values()) transports.close();
  }

  #enter(
    key: string,
    pool: PoolSettings,
    backend: BackendSettings,
    trust: TrustMaterial,
    timeouts: TimeoutSettings,
  ): Entry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const era = this.#enterEra(timeouts);
      try {
        era.transports.open(pool, backend, trust);
      } catch (thrown) {
        this.#leaveEra(era);
        throw thrown;
      }
      entry = { key, reach: backend, state: new BackendState(), transports: era.transports, era, users: 0 };
      this.#entries.set(key, entry);
    }
    entry.users += 1;
    return entry;
  }

  #leave(entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0) return;
    this.#entries.delete(entry.key);
    entry.transports.retire(entry.reach);
    this.#leaveEra(entry.era);
  }

  #enterEra(timeouts: TimeoutSettings): Era {
    const key = timesOf(timeouts);
    let era = this.#eras.get(key);
    if (era === undefined) {
      era = { key, transports: this.#parts.makeTransports({ pools: [], timeouts }), users: 0 };
      this.#eras.set(key, era);
    }
    era.users += 1;
    return era;
  }

  #leaveEra(era: Era): void {
    era.users -= 1;
    if (era.users > 0) return;
    this.#eras.delete(era.key);
    era.transports.close();
  }

  #readEachOnce(): (tls: UpstreamTlsSettings) => { readonly trust: TrustMaterial; readonly digest: string } {
    const known = new Map<string, { readonly trust: TrustMaterial; readonly digest: string }>();
    return (tls) => {
      const key = JSON.stringify(tls);
      const read = known.get(key) ?? this.#read(tls);
      known.set(key, read);
      return read;
    };
  }

  #read(tls: UpstreamTlsSettings): { readonly trust: TrustMaterial; readonly digest: string } {
    const trust = this.#parts.readTrust(tls);
    return { trust, digest: this.#parts.digestOf(trust) };
  }
}

/** Where a backend is and how it is spoken to; who it is called and how it is weighed and checked is no part of it. */
function reachOf({ backendConnectionsMax }: PoolSettings, backend: BackendSettings): readonly unknown[] {
  const { address, scheme, host, port, protocol, transport, transportIsChosen } = backend;
  return [address, scheme, host, port, protocol, transport, transportIsChosen, backendConnectionsMax];
}

/** The waits that transports go by. */
function timesOf(timeouts: TimeoutSettings): string {
  const { backendConnectMs, backendResponseHeadMs, backendBodyIdleMs, clientBodyIdleMs } = timeouts;
  return JSON.stringify([backendConnectMs, backendResponseHeadMs, backendBodyIdleMs, clientBodyIdleMs]);
}
