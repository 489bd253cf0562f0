/** The few things that differ between runtimes, as one interface; `bun.ts` and `deno.ts` implement it, `select.ts` chooses. */
import type { ForeignInterface } from "../../ffi/abi.ts";
import type { Library } from "../../ffi/library.ts";
import type { ConnectStream } from "./streams.ts";

/** Wakes the loop when a socket is ready. */
export interface Waker {
  /** Asks for one call of `onWake`, at once when a socket is ready already. */
  arm(alsoWritable: boolean): void;
  close(): void;
}

/** A runtime. */
export interface Runtime {
  readonly name: "bun" | "deno";
  readonly version: string;
  readonly foreign: ForeignInterface;
  readonly connectStream: ConnectStream;
  /** A waker over UDP sockets, which stay the caller's and must outlive it. */
  createWaker(library: Library, fds: readonly number[], onWake: () => void): Promise<Waker>;
}
