/**
 * What the files of listeners held when they went together last. A worker that is started again in the middle of a renewal, when there is a
 * certificate without its key, is started with this: all other workers still show it, too.
 */
import { ProxyError } from "../core/error.ts";
import { listenerFiles } from "../config/listeners.ts";
import type { Snapshot } from "../config/snapshot.ts";
import type { HeldFiles } from "../control/certificates.ts";
import { LIMITS } from "../core/limits.ts";
import { readRegularFile } from "../runtime/regular-file.ts";
import { loadFaces } from "./server-parts.ts";

/** Of one crew. */
export class KeptFiles {
  #files: HeldFiles = new Map();

  /** Null: what is on the disk goes together, and is kept from now on. Else why it does not; then all stays. */
  keep(snapshot: Snapshot): string | null {
    try {
      const files = new Map(
        listenerFiles(snapshot.listeners).map((path) => [path, readRegularFile(path, LIMITS.certificateFileBytesMax)]),
      );
      loadFaces(snapshot, files);
      const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
      this.#files = bytes > LIMITS.keptFilesBytesMax ? new Map() : files;
      return null;
    } catch (thrown) {
      return thrown instanceof ProxyError || thrown instanceof Error ? thrown.message : String(thrown);
    }
  }

  /** For a worker of this configuration; null when there is not all that it needs. */
  of(snapshot: Snapshot): HeldFiles | null {
    return listenerFiles(snapshot.listeners).every((path) => this.#files.has(path)) ? this.#files : null;
  }
}
