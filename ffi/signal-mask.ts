/**
 * Which signals wait instead of being delivered: the mask of the calling thread, which threads that it starts, children and a program
 * executed in its place inherit. On Linux `sigprocmask` is of the calling thread alone; `pthread_sigmask` is in another library before
 * glibc 2.32.
 */
import { constants } from "node:os";
import { assert } from "../src/core/assert.ts";
import type { ForeignInterface } from "./abi.ts";
import { PROCESS } from "./layout.ts";
import type { Libc } from "./library.ts";
import { Arena } from "./memory.ts";

/** Names as the system's header has them. */
export type SignalName = keyof typeof constants.signals;

/** Adds to the mask. */
export function blockSignals(foreign: ForeignInterface, libc: Libc, names: readonly SignalName[]): void {
  change(foreign, libc, PROCESS.SIG_BLOCK, names);
}

/** Takes from the mask; of those that waited each is delivered once. */
export function unblockSignals(foreign: ForeignInterface, libc: Libc, names: readonly SignalName[]): void {
  change(foreign, libc, PROCESS.SIG_UNBLOCK, names);
}

/** What is in the mask. */
export function blockedSignals(foreign: ForeignInterface, libc: Libc): readonly SignalName[] {
  const arena = new Arena(foreign, PROCESS.sigsetSize);
  const result = libc.sigprocmask(PROCESS.SIG_BLOCK, 0, arena.address);
  assert(result === 0, "a mask can always be read");
  const names = Object.keys(constants.signals) as SignalName[];
  return names.filter((name) => {
    const bit = constants.signals[name] - 1;
    return (((arena.bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1;
  });
}

/** A `sigset_t` is an array of words, low bit first, and signal 1 is bit 0; the processors that we run on store low bytes first. */
function change(foreign: ForeignInterface, libc: Libc, how: number, names: readonly SignalName[]): void {
  const arena = new Arena(foreign, PROCESS.sigsetSize);
  for (const name of names) {
    const bit = constants.signals[name] - 1;
    arena.bytes[bit >> 3] = (arena.bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  const result = libc.sigprocmask(how, arena.address, 0);
  assert(result === 0, "the kernel takes every mask");
}
