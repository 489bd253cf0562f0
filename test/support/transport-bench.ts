/** A transport as a configuration makes it, with one backend at one address and a clock that stands still. */
import type { BackendTransport, PoolSettings, TimeoutSettings } from "../../src/config/snapshot.ts";
import { isContradiction, wireOf } from "../../src/config/wire.ts";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { Random } from "../../src/core/random.ts";
import type { Upstream } from "../../src/proxy/ports.ts";
import { connectBunStream } from "../../src/runtime/bun-streams.ts";
import { Transports } from "../../src/upstream/transports.ts";
import { testCertificateFiles } from "./certs.ts";
import { hereFetch } from "./fetch-upstream.ts";
import { ManualTimers } from "./manual-timers.ts";
import type { RealServerProtocol } from "./real-server.ts";
import { backendOf, PATIENT, poolOf } from "./upstream-calls.ts";

/** What to make. */
export interface TransportChoices {
  readonly transport: BackendTransport;
  readonly protocol: RealServerProtocol;
  readonly address: string;
  readonly timeouts?: Partial<TimeoutSettings>;
}

/** What was made. */
export interface TransportBench {
  readonly upstream: Upstream;
  readonly pool: PoolSettings;
  readonly timers: ManualTimers;
  readonly counters: Counters;
  close(): void;
}

/** Makes one; trust is the run's authority. */
export async function makeTransport(choices: TransportChoices): Promise<TransportBench> {
  const { transport, protocol, address } = choices;
  const plain = backendOf(address);
  const wire = wireOf(plain.scheme, protocol === "https1" ? "http1" : protocol, transport);
  if (isContradiction(wire)) throw new RangeError(`${address} with ${transport}: ${wire.expected}`);
  const { caFile } = await testCertificateFiles();
  const pool = poolOf([{ ...plain, ...wire }], { caFile });
  const timers = new ManualTimers();
  const counters = new Counters();
  const snapshot = { pools: [pool], timeouts: { ...PATIENT, ...choices.timeouts } };
  const transports = new Transports({
    ...{ snapshot, fetch: hereFetch(), connect: connectBunStream, timers, counters },
    ...{ random: Random.fromEntropy([1]), onLearned: () => undefined },
  });
  const upstream = transports.of(must(pool.backends[0], "the pool has a backend"));
  return { upstream, pool, timers, counters, close: () => transports.close() };
}
