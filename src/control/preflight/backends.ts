/** Does every backend answer? Asked as the health checks will ask, in the protocol that requests will use. */
import type { BackendSettings, HealthCheckSettings, PoolSettings, Snapshot } from "../../config/snapshot.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Probe } from "../../upstream/probe.ts";
import type { Findings } from "./finding.ts";

/** For backends without a check: whatever they answer, they are there. */
const KNOCK: Omit<HealthCheckSettings, "timeoutMs"> = {
  ...{ path: "/", intervalMs: 5000, failureThreshold: 1, successThreshold: 1, cooldownMs: 0 },
};
/** Backends that are down are named one by one up to so many for each pool. */
const NAMED_MAX = 10;
const CHECK = "backends";

/** The same configuration with a check for every backend. What is made of it has to be asked with its own pools. */
export function withChecks(snapshot: Snapshot): Snapshot {
  const healthCheck = { ...KNOCK, timeoutMs: snapshot.timeouts.backendConnectMs };
  const checked = (backend: BackendSettings): BackendSettings =>
    backend.healthCheck === null ? { ...backend, healthCheck } : backend;
  return { ...snapshot, pools: snapshot.pools.map((pool) => ({ ...pool, backends: pool.backends.map(checked) })) };
}

/** Asks all backends of `asked`, which `withChecks` has made of `snapshot`; at most `LIMITS.probesAtOnceMax` at once. */
export async function checkBackends(snapshot: Snapshot, asked: Snapshot, probe: Probe, found: Findings): Promise<void> {
  const reasons = new Map<BackendSettings, string | null>();
  const queue = asked.pools.flatMap((pool) => pool.backends.map((backend) => ({ pool, backend })));
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      reasons.set(next.backend, await reasonOf(probe, next.pool, next.backend));
  };
  await Promise.all(Array.from({ length: LIMITS.probesAtOnceMax }, work));
  snapshot.pools.forEach((pool, p) => {
    const down = pool.backends.flatMap((backend, b) => {
      const twin = asked.pools[p]?.backends[b];
      const reason = twin === undefined ? null : (reasons.get(twin) ?? null);
      const isThere = backend.healthCheck === null && reason !== null && /^status \d/.test(reason);
      return reason === null || isThere ? [] : [{ backend, index: b, reason }];
    });
    report(pool, down, found);
  });
}

async function reasonOf(probe: Probe, pool: PoolSettings, backend: BackendSettings): Promise<string | null> {
  const { ok, reason } = await probe(pool, backend);
  return ok ? null : reason;
}

interface Down {
  readonly backend: BackendSettings;
  readonly index: number;
  readonly reason: string;
}

function report(pool: PoolSettings, down: readonly Down[], found: Findings): void {
  const base = ["upstream", pool.name];
  for (const { backend, index, reason } of down.slice(0, NAMED_MAX)) {
    const { id, address, healthCheck } = backend;
    const asked = healthCheck === null ? "" : `, asked for ${healthCheck.path}`;
    found.warn(CHECK, [...base, "backends", index, "address"], `${id} (${address})${asked}: ${reason}`);
  }
  const total = pool.backends.length;
  const rest = down.length - NAMED_MAX;
  if (rest > 0) found.warn(CHECK, base, `and ${rest} more of its ${total} backends`);
  if (down.length === total && total > 1) found.warn(CHECK, base, "none of its backends answers: requests get 503");
  if (down.length < total) found.ok(CHECK, `${pool.name}: ${total - down.length} of ${total} answer`);
}
