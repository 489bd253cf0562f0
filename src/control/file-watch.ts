/**
 * Files that are looked at again and again: when they have changed and stay as they are, somebody is told. By looking and not by the kernel's
 * notices, which end where a name is a symbolic link that is exchanged (certbot, Kubernetes) or a file system is another machine's.
 */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { listenerFiles } from "../config/listeners.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Logger } from "../observe/log.ts";
import { readRegularFile } from "../runtime/regular-file.ts";
import type { TimerHandle, Timers } from "../runtime/timers.ts";

/** What a watch is made of. */
export interface WatchParts {
  readonly timers: Timers;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Which files; asked anew at each look. */
  readonly filesOf: () => readonly string[];
  /** Throws a `ProxyError` while the files do not go together, such as a certificate whose key has not come yet. */
  readonly check: () => void;
  /** They have changed and go together. False: it could not be done now, and is tried again. */
  readonly onChange: (files: readonly string[]) => Promise<boolean>;
}

/** So many looks at most from one try of what could not be done to the next. */
const PAUSE_LOOKS_MAX = 12;

/** Looks until it is stopped. What is there when it is made is taken as known. */
export class FileWatch {
  readonly #parts: WatchParts;
  readonly #looking: TimerHandle;
  /** By file, as it was when the last change was dealt with: by the system's words, and by what was in it. */
  #known: ReadonlyMap<string, string>;
  #contents: ReadonlyMap<string, string>;
  /** How it all looked at the last look: what still changes is not read. */
  #before: string;
  #warned = "";
  #busy = false;
  /** Looks to leave out, and how many were left out last. */
  #pause = 0;
  #lastPause = 0;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    const files = parts.filesOf();
    this.#known = marksOf(files);
    this.#contents = contentsOf(files);
    this.#before = textOf(this.#known);
    this.#looking = parts.timers.every(parts.intervalMs, () => void this.look());
  }

  stop(): void {
    this.#looking.stop();
  }

  /** Once. Resolves when what it has found is dealt with. */
  async look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#look();
    } finally {
      this.#busy = false;
    }
  }

  async #look(): Promise<void> {
    const marks = marksOf(this.#parts.filesOf());
    const now = textOf(marks);
    const isStill = now === this.#before;
    this.#before = now;
    if (!isStill) this.#pause = this.#lastPause = 0;
    if (!isStill || now === textOf(this.#known)) return;
    if (this.#pause > 0) {
      this.#pause -= 1;
      return;
    }
    const contents = contentsOf([...marks.keys()]);
    const changed = [...contents].filter(([file, digest]) => this.#contents.get(file) !== digest).map(([file]) => file);
    // Touched, or the same again: nothing to do.
    if (changed.length === 0) return void (this.#known = marks);
    if (!this.#goTogether()) return;
    if (!(await this.#parts.onChange(changed))) {
      this.#lastPause = this.#pause = Math.min(PAUSE_LOOKS_MAX, 2 * this.#lastPause + 1);
      return;
    }
    this.#known = marks;
    this.#contents = contents;
    this.#warned = "";
  }

  /** Says once what is wrong; it is looked at again once more has changed. */
  #goTogether(): boolean {
    try {
      this.#parts.check();
      return true;
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      if (thrown.message !== this.#warned)
        this.#parts.log.warn("files have changed and do not go together yet: what was read before stays", {
          reason: thrown.message,
        });
      this.#warned = thrown.message;
      this.#pause = 0;
      return false;
    }
  }
}

/** Files of certificates, keys and authorities, and with `all` the configuration and the cluster's keys too; none with `off`. */
export function watchedFiles(snapshot: Snapshot, configPath: string | null): readonly string[] {
  const { control, listeners, pools, cluster } = snapshot;
  if (control.watch === "off") return [];
  const ofBackends = pools.flatMap(({ tls }) => [
    tls.caFile,
    tls.clientCertificate?.certFile,
    tls.clientCertificate?.keyFile,
  ]);
  const others = control.watch === "all" ? [configPath, cluster.keyFile] : [];
  const all = [...listenerFiles(listeners), ...ofBackends, ...others];
  return [...new Set(all.filter((file) => file !== null && file !== undefined))];
}

/** What the system says of each, through links: another file in its place, or another time or size, is another text. */
function marksOf(files: readonly string[]): ReadonlyMap<string, string> {
  return new Map(files.map((file) => [file, markOf(file)]));
}

function markOf(file: string): string {
  try {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found === undefined) return "none";
    return [found.dev, found.ino, found.size, found.mtimeMs, found.ctimeMs].join(" ");
  } catch (thrown) {
    return messageOf(thrown);
  }
}

function contentsOf(files: readonly string[]): ReadonlyMap<string, string> {
  return new Map(files.map((file) => [file, digestOf(file)]));
}

function digestOf(file: string): string {
  try {
    return createHash("sha256").update(readRegularFile(file, LIMITS.configFileBytesMax)).digest("hex");
  } catch (thrown) {
    return messageOf(thrown);
  }
}

function textOf(marks: ReadonlyMap<string, string>): string {
  return JSON.stringify([...marks]);
}
