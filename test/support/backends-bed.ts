/** What is known of backends, over transports that nobody uses. */
import { parseConfiguration } from "../../src/cli/configuration.ts";
import type { BackendSettings, PoolSettings, Snapshot } from "../../src/config/snapshot.ts";
import { Backends } from "../../src/control/backends.ts";
import { must } from "../../src/core/assert.ts";
import { Counters } from "../../src/core/counters.ts";
import { ProxyError } from "../../src/core/error.ts";
import { Random } from "../../src/core/random.ts";
import { PLAIN_TRUST, runtimeFetch } from "../../src/runtime/fetch-options.ts";
import { Transports } from "../../src/upstream/transports.ts";
import { ManualTimers } from "./manual-timers.ts";

type Words = Readonly<Record<string, unknown>>;

/** Pools by their names, in the words of the file; each has a path of its own. */
export function snapshotOf(pools: Readonly<Record<string, Words>>, more: Words = {}): Snapshot {
  const listen = { address: "127.0.0.1", port: 4433, tls: { cert: "/a.pem", key: "/a.key" } };
  const entries = Object.entries(pools).map(([name, pool]) => [name, { route: { path_prefix: `/${name}` }, ...pool }]);
  const text = JSON.stringify({ version: 1, listen, upstream: Object.fromEntries(entries), ...more });
  return parseConfiguration("config.yaml", text).snapshot;
}

/** A pool of these. */
export function at(...addresses: readonly string[]): Words {
  return { backends: addresses.map((address, i) => ({ id: `b${i}`, address })) };
}

export const ONE = "http://127.0.0.1:1";
export const TWO = "http://127.0.0.1:2";

/** Transports that nobody uses, and what is told to them. */
export class BackendsBed {
  readonly told: string[] = [];
  trust = "as it is";
  /** A backend that cannot be reached as configured. */
  unreachable = "";
  readonly backends = new Backends({
    makeTransports: ({ timeouts }) => this.#transports(timeouts),
    readTrust: () => PLAIN_TRUST,
    digestOf: () => this.trust,
  });

  #transports(timeouts: Snapshot["timeouts"]): Transports {
    const transports = new Transports({
      ...{ snapshot: { pools: [], timeouts }, fetch: must(runtimeFetch(globalThis), "the runtime has fetch") },
      connect: () => {
        throw new Error("nobody");
      },
      ...{ timers: new ManualTimers(), counters: new Counters(), random: Random.fromEntropy(new Uint32Array(4)) },
      onLearned: () => undefined,
    });
    const { told } = this;
    transports.open = (_pool: PoolSettings, { address }: BackendSettings) => {
      if (address === this.unreachable) throw new ProxyError("CONFIG_INVALID", `${address} cannot be reached`);
      told.push(`open ${address}`);
    };
    transports.retire = ({ address }) => void told.push(`retire ${address}`);
    transports.close = () => void told.push("close");
    return transports;
  }
}
