/** What a configuration names, looked at before anything is changed. */
import type { Snapshot } from "../config/snapshot.ts";
import { checkWatchFiles } from "../control/connection-watch.ts";
import { startSecrets } from "../control/node-keys.ts";
import { Counters } from "../core/counters.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { loadFaces, makeTransports } from "./server-parts.ts";

/** What a configuration names: certificates, trust and cluster keys. Throws `CERTIFICATE`, `CONFIG_INVALID` or `CONFIG_UNREADABLE`. */
export function checkReferences(snapshot: Snapshot, runtime: Runtime): void {
  loadFaces(snapshot);
  makeTransports(snapshot, runtime, new Counters()).close();
  startSecrets(snapshot.cluster);
  checkWatchFiles(snapshot.debug);
}
