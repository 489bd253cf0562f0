/** What the files hold that a configuration names, as digests: a change of theirs is a change, even where the configuration stays. */
import { createHash } from "node:crypto";
import { listenerFiles } from "../config/listeners.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { readRegularFile } from "../runtime/regular-file.ts";
import { readTrust, trustDigest } from "../upstream/trust.ts";
import type { FileDigests } from "./reload-plan.ts";

/** Throws `ProxyError` for a file that cannot be read, which one that was looked at a moment ago may be by now. */
export function fileDigests({ listeners, pools, cluster }: Snapshot): FileDigests {
  const trusts = new Map(pools.map(({ tls }) => [JSON.stringify(tls), tls]));
  return {
    certificates: digestOf(listenerFiles(listeners)),
    trust: [...trusts.values()].map((tls) => trustDigest(readTrust(tls))).join(),
    cluster: digestOf(cluster.keyFile === null ? [] : [cluster.keyFile]),
  };
}

function digestOf(paths: readonly string[]): string {
  return paths.map((path) => createHash("sha256").update(readNamed(path)).digest("base64")).join();
}

function readNamed(path: string): Uint8Array {
  try {
    return readRegularFile(path, LIMITS.certificateFileBytesMax);
  } catch (thrown) {
    throw new ProxyError("CONFIG_UNREADABLE", `${path} cannot be read: ${messageOf(thrown)}`, { cause: thrown });
  }
}
