/** Reloads of a running program by itself, when files that it has read have changed. */
import type { Snapshot } from "../config/snapshot.ts";
import { FileWatch, watchedFiles } from "../control/file-watch.ts";
import type { Observable } from "../control/observed.ts";
import type { NodeControl } from "../control/renewal.ts";
import type { Logger } from "../observe/log.ts";
import { systemTimers } from "../runtime/timers.ts";
import { loadFaces } from "./server-parts.ts";

/**
 * Looks at the files of what is served, as that says, until it is stopped. Whether and how often it says anew with each reload, which counts
 * from the next look on.
 */
export function watchFiles(control: NodeControl, program: Observable, log: Logger): Pick<FileWatch, "stop"> {
  const snapshotNow = (): Snapshot => program.observed().snapshot;
  const { configPath } = control.status();
  let watch = begin();
  return { stop: () => watch.stop() };

  function begin(): FileWatch {
    const { watchIntervalMs: intervalMs } = snapshotNow().control;
    return new FileWatch({
      ...{ timers: systemTimers, log, intervalMs },
      filesOf: () => {
        const snapshot = snapshotNow();
        if (snapshot.control.watchIntervalMs !== intervalMs) queueMicrotask(again);
        return watchedFiles(snapshot, configPath);
      },
      check: () => void loadFaces(snapshotNow()),
      onChange: async (files) => {
        log.info("files have changed: reload", { files: files.join(", ") });
        return (await control.renew({ kind: "reload", binary: null })).ok;
      },
    });
  }

  function again(): void {
    watch.stop();
    watch = begin();
  }
}
