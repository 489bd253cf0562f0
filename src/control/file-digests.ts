/** What the files hold that a configuration names, as digests: a change of theirs is a change, even where the configuration stays. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Snapshot } from "../config/snapshot.ts";
import { readTrust, trustDigest } from "../upstream/trust.ts";
import type { FileDigests } from "./reload-plan.ts";

/** Throws `ProxyError` CERTIFICATE, or what the system throws, for files that cannot be read. */
export function fileDigests({ listeners, pools, cluster }: Snapshot): FileDigests {
  const trusts = new Map(pools.map(({ tls }) => [JSON.stringify(tls), tls]));
  return {
    certificates: digestOf(
      listeners.flatMap(({ certificates, clientAuth: { caFile } }) => [
        ...certificates.flatMap(({ certFile, keyFile }) => [certFile, keyFile]),
        ...(caFile === null ? [] : [caFile]),
      ]),
    ),
    trust: [...trusts.values()].map((tls) => trustDigest(readTrust(tls))).join(),
    cluster: digestOf(cluster.keyFile === null ? [] : [cluster.keyFile]),
  };
}

function digestOf(paths: readonly string[]): string {
  return paths.map((path) => createHash("sha256").update(readFileSync(path)).digest("base64")).join();
}
