/** Settings with the configuration's own defaults, for tests and benchmarks that make their own and care for a few. */
import { loadConfig } from "../../src/config/load.ts";
import type { AccessLogSettings, BackendSettings, PoolSettings, Snapshot } from "../../src/config/snapshot.ts";
import { must } from "../../src/core/assert.ts";

/** The snapshot of a file that says nothing but what it must. */
export const STANDARD: Snapshot = standardSnapshot();

/** Its one pool. */
export const STANDARD_POOL: PoolSettings = must(STANDARD.pools[0], "the file has a pool");

/** And that pool's one backend. */
export const STANDARD_BACKEND: BackendSettings = must(STANDARD_POOL.backends[0], "the pool has a backend");

/** What access lines are by default. */
export const ACCESS_RULES: AccessLogSettings = must(STANDARD.log.access, "there are access lines by default");

function standardSnapshot(): Snapshot {
  const text = `
listen: { tls: { cert: cert.pem, key: key.pem } }
upstream: { web: { route: { path_prefix: / }, backends: [{ id: a, address: "127.0.0.1:8080" }] } }
`;
  const result = loadConfig(text, "standard.yaml");
  return must("snapshot" in result ? result.snapshot : null, "the least file is valid");
}
