/** The fetch transport for tests: one backend, the test authority, and whatever a test wants otherwise. */
import type { PoolSettings, TimeoutSettings, UpstreamTlsSettings } from "../../src/config/snapshot.ts";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import {
  PLAIN_TRUST,
  runtimeFetch,
  type FetchLane,
  type RuntimeFetch,
  type TrustMaterial,
} from "../../src/runtime/fetch-options.ts";
import { systemTimers, type Timers } from "../../src/runtime/timers.ts";
import { dialTcp, type Dial } from "../../src/upstream/dial.ts";
import { FetchUpstream } from "../../src/upstream/fetch.ts";
import { readTrust } from "../../src/upstream/trust.ts";
import { testAuthority } from "./certs.ts";
import { startRawBackend, type RawStep } from "./raw-backend.ts";
import { backendOf, PATIENT, poolOf } from "./upstream-calls.ts";

/** What a test wants otherwise. */
export interface FetchChoices {
  readonly timers?: Timers;
  readonly timeouts?: Partial<TimeoutSettings>;
  /** Read by `readTrust`, from files. */
  readonly tls?: Partial<UpstreamTlsSettings>;
  readonly trust?: TrustMaterial;
  readonly dial?: Dial;
  readonly backendConnectionsMax?: number;
  /** In place of the runtime's connections. */
  readonly lane?: FetchLane;
}

/** What it gets. */
export interface FetchBench {
  readonly upstream: FetchUpstream;
  readonly pool: PoolSettings;
  readonly counters: Counters;
}

/** The fetch of the runtime that runs the tests. */
export function hereFetch(): RuntimeFetch {
  return must(runtimeFetch(globalThis), "the runtime has a fetch");
}

/** A transport with one pool of one backend at `address`. */
export async function makeFetch(address: string, choices: FetchChoices = {}): Promise<FetchBench> {
  const plain = poolOf([backendOf(address)], choices.tls);
  const pool = { ...plain, backendConnectionsMax: choices.backendConnectionsMax ?? plain.backendConnectionsMax };
  const { certPem } = await testAuthority();
  const counters = new Counters();
  const { lane } = choices;
  const upstream = new FetchUpstream({
    snapshot: { pools: [pool], timeouts: { ...PATIENT, ...choices.timeouts } },
    runtime: lane === undefined ? hereFetch() : { ...hereFetch(), open: () => lane },
    timers: choices.timers ?? systemTimers,
    readTrust: choices.tls === undefined ? () => choices.trust ?? { ...PLAIN_TRUST, roots: [certPem] } : readTrust,
    dial: choices.dial ?? dialTcp,
    counters,
  });
  return { upstream, pool, counters };
}

/** The address of a server that reads a whole request head and plays this on each connection. */
export async function rawHttp1(...answer: readonly RawStep[]): Promise<string> {
  const server = await startRawBackend({ script: () => [{ read: "\r\n\r\n" }, ...answer] });
  return `http://${server.bareAddress}`;
}
