/** Reloads of a running program by itself, when files that it has read have changed. */
import type { Snapshot } from "../config/snapshot.ts";
import { FileWatch, watchedFiles } from "../control/file-watch.ts";
import type { Observable } from "../control/observed.ts";
import type { NodeControl } from "../control/renewal.ts";
import type { Logger } from "../observe/log.ts";
import { systemTimers } from "../runtime/timers.ts";
import { loadFaces } from "./server-parts.ts";

/** Looks at the files of what is served, as that says, until it is stopped. Null where nothing is to be looked at. */
export function watchFiles(control: NodeControl, program: Observable, log: Logger): FileWatch | null {
  const snapshotNow = (): Snapshot => program.observed().snapshot;
  const { watch, watchIntervalMs } = snapshotNow().control;
  if (watch === "off") return null;
  const { configPath } = control.status();
  return new FileWatch({
    ...{ timers: systemTimers, log, intervalMs: watchIntervalMs },
    filesOf: () => watchedFiles(snapshotNow(), configPath),
    check: () => void loadFaces(snapshotNow()),
    onChange: async (files) => {
      log.info("files have changed: reload", { files: files.join(", ") });
      return (await control.renew({ kind: "reload", binary: null })).ok;
    },
  });
}
