/**
 * Where log lines go: a descriptor that may be slow, full or gone. Writing never blocks the loop and never throws: lines wait in a
 * bounded queue, one asynchronous write runs at a time, and what does not fit is dropped and counted.
 */
import { Buffer } from "node:buffer";
import { close, openSync, write, writeSync } from "node:fs";
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";

/** A place for lines. */
export interface LineSink {
  /** Takes a line without its newline. */
  write(line: string): void;
  /** Resolves when everything written so far is out or cannot get out. */
  flush(): Promise<void>;
  /** Opens the file anew (after rotation); nothing to do for descriptors. */
  reopen(): void;
}

/** A full pipe is asked again after this. */
const RETRY_MS = 20;
const FILE_MODE = 0o640;

/** A sink over a descriptor, or over a file that it opens itself. */
export class DescriptorSink implements LineSink {
  readonly #counters: Counters;
  readonly #path: string | null;
  /** The line that says how many were dropped. */
  readonly #droppedLine: (count: number) => string;
  #fd: number;
  #lines: string[] = [];
  #waitingBytes = 0;
  #droppedHere = 0;
  #writing = false;
  #broken = false;
  #flushed: (() => void)[] = [];

  /** Throws what `openSync` throws when `target` is a path that cannot be opened. */
  constructor(target: number | string, counters: Counters, droppedLine: (count: number) => string) {
    this.#counters = counters;
    this.#droppedLine = droppedLine;
    this.#path = typeof target === "string" ? target : null;
    this.#fd = typeof target === "string" ? openSync(target, "a", FILE_MODE) : target;
  }

  write(line: string): void {
    // A character is at most three bytes; the bound is on memory, and so on the larger number.
    if (this.#broken || this.#waitingBytes + line.length > LIMITS.logBufferBytesMax) {
      this.#counters.logLinesDropped += 1;
      this.#droppedHere += 1;
      return;
    }
    this.#waitingBytes += line.length + 1;
    if (this.#lines.push(line) === 1 && !this.#writing) this.#start();
  }

  flush(): Promise<void> {
    if (this.#broken || (!this.#writing && this.#lines.length === 0)) return Promise.resolve();
    return new Promise((resolve) => this.#flushed.push(resolve));
  }

  reopen(): void {
    if (this.#path === null) return;
    const old = this.#fd;
    try {
      this.#fd = openSync(this.#path, "a", FILE_MODE);
      this.#broken = false;
    } catch {
      // The old descriptor still takes lines: better a moved file than none.
      return;
    }
    // A write that runs on the old descriptor ends before the kernel lets go of the file.
    setTimeout(() => close(old, () => undefined), RETRY_MS);
  }

  /** Whatever is written in one turn goes out in one write. */
  #start(): void {
    this.#writing = true;
    setImmediate(() => this.#writeWaiting());
  }

  #writeWaiting(): void {
    const lines = this.#lines;
    this.#lines = [];
    this.#waitingBytes = 0;
    if (this.#droppedHere > 0) {
      lines.push(this.#droppedLine(this.#droppedHere));
      this.#droppedHere = 0;
    }
    this.#writeFrom(Buffer.from(`${lines.join("\n")}\n`), 0);
  }

  #writeFrom(bytes: Buffer, from: number): void {
    write(this.#fd, bytes, from, bytes.length - from, null, (error, written) => {
      if (error !== null && error !== undefined) {
        this.#onError(error.code ?? "", bytes, from);
        return;
      }
      if (from + written < bytes.length) this.#writeFrom(bytes, from + written);
      else this.#onWritten();
    });
  }

  #onWritten(): void {
    if (this.#lines.length > 0) {
      this.#writeWaiting();
      return;
    }
    this.#writing = false;
    this.#settle();
  }

  #onError(code: string, bytes: Buffer, from: number): void {
    if (code === "EAGAIN" || code === "EINTR") {
      setTimeout(() => this.#writeFrom(bytes, from), RETRY_MS);
      return;
    }
    // The reader is gone (EPIPE) or the disk is full: the proxy goes on without a log. A file may come back by `reopen`.
    this.#broken = true;
    this.#writing = false;
    this.#counters.logLinesDropped += this.#lines.length + 1;
    this.#lines = [];
    this.#waitingBytes = 0;
    this.#settle();
  }

  #settle(): void {
    const waiting = this.#flushed;
    this.#flushed = [];
    for (const resolve of waiting) resolve();
  }
}

/** For messages before and after there is a logger: written at once, errors ignored. */
export function writeNow(fd: 1 | 2, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // Nobody reads; there is nobody to tell.
  }
}
