/**
 * Where log lines go: a descriptor that may be slow, full or gone. Writing never blocks the loop and never throws: lines wait in a
 * bounded queue, one asynchronous write runs at a time, and what does not fit is dropped, counted and told of later.
 */
import { Buffer } from "node:buffer";
import { closeSync, openSync, write, writeSync } from "node:fs";
import process from "node:process";
import { setImmediate, setTimeout } from "node:timers";
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import { lineMarks, markLines } from "./journal.ts";

/** A place for lines. */
export interface LineSink {
  /** Takes a line without its newline. */
  write(line: string): void;
  /** Nothing waits, and nothing is being written. */
  readonly idle: boolean;
  /** Resolves when everything written so far is out or cannot get out. */
  flush(): Promise<void>;
  /** Opens the file anew (after rotation); nothing to do for descriptors. */
  reopen(): void;
}

/** The system below a sink, so that tests can make it slow, full or broken. */
export interface SinkSystem {
  /** Throws what the system throws. */
  open(path: string): number;
  /** `done` gets the error's code, "" for none, and how many bytes were written. */
  write(fd: number, bytes: Uint8Array, from: number, done: (code: string, written: number) => void): void;
  close(fd: number): void;
  /** Runs after the present turn. */
  soon(run: () => void): void;
  later(ms: number, run: () => void): void;
}

/** A full pipe is asked again after this. */
const RETRY_MS = 20;
/** A full disk is asked again after this. */
const DISK_RETRY_MS = 1000;
const FILE_MODE = 0o640;

/** Lines on their way out. */
interface Batch {
  readonly bytes: Uint8Array;
  readonly lines: number;
  /** What they count against the bound. */
  readonly heldBytes: number;
  from: number;
}

/** A sink over a descriptor, or over a file that it opens itself. */
export class DescriptorSink implements LineSink {
  readonly #counters: Counters;
  readonly #path: string | null;
  /** The line that says how many were dropped. */
  readonly #droppedLine: (count: number) => string;
  readonly #system: SinkSystem;
  readonly #writeBytesMax: number;
  #fd: number;
  #lines: string[] = [];
  /** Characters of the lines that wait and of those being written; log lines are ASCII but for rare values. */
  #heldBytes = 0;
  #droppedHere = 0;
  #busy = false;
  /** A line was cut by an error: its rest is lost, and the next one must not go on where it broke off. */
  #torn = false;
  #closed = false;
  #reopenWanted = false;
  #flushed: (() => void)[] = [];

  /** `writeBytesMax` bounds one write of several lines. Throws what `open` throws when `target` is a path that cannot be opened. */
  constructor(
    target: number | string,
    counters: Counters,
    droppedLine: (count: number) => string,
    system: SinkSystem = nodeSystem,
    writeBytesMax: number = LIMITS.logWriteBytesMax,
  ) {
    this.#writeBytesMax = writeBytesMax;
    this.#counters = counters;
    this.#droppedLine = droppedLine;
    this.#system = system;
    this.#path = typeof target === "string" ? target : null;
    this.#fd = typeof target === "string" ? system.open(target) : target;
  }

  write(line: string): void {
    const bytes = line.length + 1;
    if (this.#closed || this.#heldBytes + bytes > LIMITS.logBufferBytesMax) return this.#drop(1);
    this.#heldBytes += bytes;
    this.#lines.push(line);
    if (this.#busy) return;
    this.#busy = true;
    // Whatever is written in one turn goes out in one write.
    this.#system.soon(() => this.#next());
  }

  get idle(): boolean {
    return this.#closed || !this.#busy;
  }

  flush(): Promise<void> {
    if (this.#closed || !this.#busy) return Promise.resolve();
    return new Promise((resolve) => this.#flushed.push(resolve));
  }

  reopen(): void {
    if (this.#path === null) return;
    this.#reopenWanted = true;
    // Between two writes, so that no write runs on a descriptor that is closed and may be another file by then.
    if (!this.#busy) this.#next();
  }

  #next(): void {
    if (this.#reopenWanted) this.#openAnew();
    if (this.#closed || this.#lines.length === 0) return this.#settle();
    this.#busy = true;
    this.#writeOn(this.#take());
  }

  #take(): Batch {
    let count = 0;
    let size = 0;
    while (count < this.#lines.length) {
      const bytes = (this.#lines[count]?.length ?? 0) + 1;
      if (count > 0 && size + bytes > this.#writeBytesMax) break;
      size += bytes;
      count += 1;
    }
    const lines = this.#lines.splice(0, count);
    if (this.#droppedHere > 0 && this.#lines.length === 0) {
      const line = this.#droppedLine(this.#droppedHere);
      // Else a later write says it.
      if (size + line.length < this.#writeBytesMax) {
        lines.push(line);
        this.#droppedHere = 0;
      }
    }
    const text = `${this.#torn ? "\n" : ""}${lines.join("\n")}\n`;
    this.#torn = false;
    return { bytes: Buffer.from(text), lines: count, heldBytes: size, from: 0 };
  }

  #writeOn(batch: Batch): void {
    this.#system.write(this.#fd, batch.bytes, batch.from, (code, written) => {
      batch.from += written;
      if (code === "EAGAIN" || code === "EINTR" || (code === "" && written === 0)) {
        this.#system.later(RETRY_MS, () => this.#writeOn(batch));
      } else if (code !== "") this.#onError(code, batch);
      else if (batch.from < batch.bytes.length) this.#writeOn(batch);
      else {
        this.#heldBytes -= batch.heldBytes;
        this.#next();
      }
    });
  }

  #onError(code: string, batch: Batch): void {
    this.#counters.logWriteErrors += 1;
    this.#torn = batch.from > 0;
    this.#heldBytes -= batch.heldBytes;
    this.#drop(batch.lines);
    // A full disk may have room again. A reader that has gone away (EPIPE) never comes back; a file may, by `reopen`.
    if (DISK_FULL.has(code)) {
      this.#system.later(DISK_RETRY_MS, () => this.#next());
      return;
    }
    this.#closed = true;
    this.#drop(this.#lines.length);
    this.#lines = [];
    this.#heldBytes = 0;
    this.#next();
  }

  #openAnew(): void {
    this.#reopenWanted = false;
    try {
      const fresh = this.#system.open(this.#path ?? "");
      this.#system.close(this.#fd);
      this.#fd = fresh;
      this.#closed = false;
      this.#torn = false;
    } catch {
      // The old descriptor still takes lines: better a moved file than none.
      this.#counters.logWriteErrors += 1;
    }
  }

  #drop(lines: number): void {
    this.#droppedHere += lines;
    this.#counters.logLinesDropped += lines;
  }

  #settle(): void {
    this.#busy = false;
    const waiting = this.#flushed;
    this.#flushed = [];
    for (const resolve of waiting) resolve();
  }
}

const DISK_FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EIO"]);

/** Node's files, which both runtimes have. Their write runs on another thread, so that a full pipe holds up that one only. */
export const nodeSystem: SinkSystem = {
  open: (path) => openSync(path, "a", FILE_MODE),
  write(fd, bytes, from, done) {
    write(fd, bytes, from, bytes.length - from, null, (error, written) => {
      done(error === null || error === undefined ? "" : (error.code ?? "EUNKNOWN"), written ?? 0);
    });
  },
  close: closeSync,
  soon: (run) => void setImmediate(run),
  later: (ms, run) => void setTimeout(run, ms).unref(),
};

/** For messages before and after there is a logger: written at once, errors ignored. What goes to standard error is one for a journal. */
export function writeNow(fd: 1 | 2, text: string): void {
  try {
    writeSync(fd, fd === 1 ? text : markLines(text, lineMarks(fd, process.env["JOURNAL_STREAM"]).error));
  } catch {
    // Nobody reads; there is nobody to tell.
  }
}
