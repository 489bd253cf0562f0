/** What a running program cannot change by a renewal: the keys that its control socket and its connections' ids hang on. Pure. */
import type { Snapshot } from "../config/snapshot.ts";
import { ProxyError } from "../core/error.ts";
import { fixedClusterKeys } from "./node-keys.ts";

/** Throws `CONFIG_INVALID` for a configuration that a running program cannot go over to. `workers` of it, and the sockets for them. */
export function checkFixedKeys(before: Snapshot, after: Snapshot, workers: number, bankSlots: number): void {
  const changed = fixedKeysChanged(before, after);
  if (changed.length > 0) {
    const what = `${changed.join(", ")} cannot be changed while the program runs`;
    throw new ProxyError("CONFIG_INVALID", what, { remedy: "restart it, or leave as it was what cannot be changed" });
  }
  if (workers <= bankSlots) return;
  throw new ProxyError("CONFIG_INVALID", `workers: ${workers} are more than this program has sockets for`, {
    remedy: `take ${bankSlots} at most, or restart it`,
  });
}

/** Keys that differ and must not, in the words of the configuration file. */
function fixedKeysChanged(before: Snapshot, after: Snapshot): readonly string[] {
  const wrong: string[] = [];
  if (before.control.socket !== after.control.socket) wrong.push("control.socket");
  if (!after.workers.supervised) wrong.push("supervisor");
  return [...wrong, ...fixedClusterKeys(before.cluster, after.cluster)];
}
