/** A program that begins in place of another one: what it finds, and how it goes back when it cannot go on. */
import { readFileSync } from "node:fs";
import process from "node:process";
import { type Handover, readHandover, readWayBack } from "../control/handover.ts";
import { Program } from "../control/program.ts";
import { messageOf } from "../core/error.ts";
import { writeNow } from "../observe/sink.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { keepOnExec } from "../../ffi/descriptors.ts";
import { openLibc } from "../../ffi/library.ts";
import type { EarlySignals } from "./early-signals.ts";
import { execute, HANDOVER_FAILED_KEY, HANDOVER_KEY } from "./replace.ts";

/** What the program before has left. */
export class Legacy {
  /** Why another program could not go on, after which this one was gone back to; null when it is the other one. */
  readonly failure: string | null;
  readonly #document: number;
  readonly #runtime: Runtime;
  #settled = false;

  /** Null for a program that begins by itself. Those that this one starts find nothing of it in their environment. */
  static find(runtime: Runtime): Legacy | null {
    const { [HANDOVER_KEY]: document, [HANDOVER_FAILED_KEY]: failure } = process.env;
    delete process.env[HANDOVER_KEY];
    delete process.env[HANDOVER_FAILED_KEY];
    return document === undefined ? null : new Legacy(runtime, Number(document), failure ?? null);
  }

  private constructor(runtime: Runtime, document: number, failure: string | null) {
    this.#runtime = runtime;
    this.#document = document;
    this.failure = failure;
  }

  /**
   * For a program that may execute itself once more before it goes on: what it was started with, its descriptors kept. The runtime has
   * closed them to whoever is executed.
   */
  again(): Readonly<Record<string, string | undefined>> {
    const libc = openLibc(this.#runtime.foreign);
    for (const fd of [this.#document, ...(readWayBack(this.#text())?.fds ?? [])]) keepOnExec(libc, fd, true);
    const failed = this.failure === null ? {} : { [HANDOVER_FAILED_KEY]: this.failure };
    return { ...process.env, ...failed, [HANDOVER_KEY]: String(this.#document) };
  }

  /** Throws `HANDOVER`. */
  read(): Handover {
    return readHandover(this.#text());
  }

  /** What the workers that take new connections are made of: the file that this program runs, unless it was gone back to. */
  programOf({ program }: Handover): Program {
    return this.failure === null || program === null ? Program.running() : Program.held(program.name, program.fd);
  }

  /** This program goes on: nobody goes back any more, and nobody inherits what is left. */
  settle({ back, program }: Handover): void {
    this.#settled = true;
    const libc = openLibc(this.#runtime.foreign);
    const over = new Set([this.#document, back.programFd]);
    // Its workers are made of the file that it runs itself.
    if (this.failure === null && program !== null) over.add(program.fd);
    for (const fd of over) libc.close(fd);
    for (const fd of back.fds) if (!over.has(fd)) keepOnExec(libc, fd, false);
  }

  /**
   * Executes the program before once more, with the same document; signals that were heard go with it. Returns when there is no way back:
   * it has been settled that this one goes on, or this is the way back already, or the kernel refuses.
   */
  goBack(thrown: unknown, early: EarlySignals): void {
    const back = this.failure === null && !this.#settled ? readWayBack(this.#text()) : null;
    if (back === null) return;
    const failure = messageOf(thrown);
    writeNow(2, `spooky: cannot take over: ${failure}; the program before goes on\n`);
    early.release();
    const { programFd, args, fds } = back;
    const path = `/proc/self/fd/${programFd}`;
    execute(this.#runtime, openLibc(this.#runtime.foreign), { path, args, document: this.#document, fds, failure });
  }

  /** By its path, so that it is read from its beginning. */
  #text(): string {
    return readFileSync(`/proc/self/fd/${this.#document}`, "utf8");
  }
}
