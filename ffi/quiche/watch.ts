/** What is written down of chosen connections, on the native side: files that quiche writes to, with a bound for all of them together. */
import type { Library } from "../library.ts";
import { Arena } from "../memory.ts";

/** Where a connection is written down. */
export interface Watched {
  /** Open for appending, for longer than the connection lives; null: no secrets. */
  readonly keylogFd: number | null;
  /** The connection's own, which it closes; null: no qlog. */
  readonly qlogFd: number | null;
  /** About the size at which its qlog ends. */
  readonly qlogBytesMax: number;
}

/** Chooses connections. */
export interface EngineWatch {
  /** For a client's address (text) and the first id of its connection; null: not this one. */
  watch(ip: string, id: Uint8Array): Watched | null;
}

/** Of the whole process, since it began. */
export interface WatchCounts {
  readonly bytesWritten: number;
  /** Writes that failed; a qlog ends with its first. */
  readonly errors: number;
  /** Files that ended, and secrets that were left out, because a bound was reached. */
  readonly cut: number;
  readonly qlogsOpen: number;
}

const WORDS = 4;

/** The native side's bound and counts. */
export class WatchLedger {
  readonly #library: Library;
  readonly #out: Arena;
  readonly #at: number;

  /** `bytesMax`: what may be written from now on, by all connections of the process. */
  constructor(library: Library, bytesMax: number) {
    this.#library = library;
    this.#out = new Arena(library.foreign, 8 * WORDS);
    this.#at = this.#out.take(8 * WORDS);
    library.native.spooky_watch_budget(bytesMax);
  }

  read(): WatchCounts {
    this.#library.native.spooky_watch_counts(this.#out.address + this.#at);
    const word = (i: number): number => this.#out.getWide(this.#at + 8 * i);
    return { bytesWritten: word(0), errors: word(1), cut: word(2), qlogsOpen: word(3) };
  }
}
