/** The few things that differ between runtimes, as one interface; `bun.ts` and `deno.ts` implement it, `select.ts` chooses. */
import type { ForeignInterface } from "../../ffi/abi.ts";
import type { Library } from "../../ffi/library.ts";
import type { Processes } from "./processes.ts";
import type { ConnectStream } from "./streams.ts";

/** Wakes the loop when a socket is ready. Asked for once, it wakes once. */
export interface Waker {
  /** Asks for one call of `onWake`, at once when a socket is ready already. */
  arm(alsoWritable: boolean): void;
  close(): void;
}

/** Whom a waker wakes. */
export interface WakerHost {
  /** A socket is ready. */
  onWake(): void;
  /** A turn was asked for and comes by itself: no time to sleep. */
  readonly turnDue: boolean;
  /** When the loop runs at the latest, by a timer of the runtime; monotonic milliseconds. */
  readonly deadlineMs: number;
}

/** A runtime. */
export interface Runtime {
  readonly name: "bun" | "deno";
  readonly version: string;
  readonly foreign: ForeignInterface;
  readonly connectStream: ConnectStream;
  /** null: it cannot hand descriptors on, so there is one process. */
  readonly processes: Processes | null;
  /** A waker over UDP sockets, which stay the caller's and must outlive it. */
  createWaker(library: Library, fds: readonly number[], host: WakerHost): Promise<Waker>;
}
