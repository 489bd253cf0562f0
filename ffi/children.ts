/** Children that the runtime knows nothing of, since it was not there when they were started. */
import { constants } from "node:os";
import { ProxyError } from "../src/core/error.ts";
import type { ProcessEnd } from "../src/runtime/processes.ts";
import { ERRNO, PROCESS } from "./layout.ts";
import type { Library } from "./library.ts";
import { Arena } from "./memory.ts";

/** Of a wait status (wait(2)): the signal that ended the process, and its exit code. */
const SIGNAL_MASK = 0x7f;
const CODE_SHIFT = 8;

/**
 * How a child has ended, or null while it runs. Its number is free for other processes after that. Somebody else's child, and one whose
 * end was asked for before, has ended in ways unknown. Never waits.
 */
export function reapChild(library: Library, pid: number): ProcessEnd | null {
  const arena = new Arena(library.foreign, 8);
  const status = arena.take(4);
  const result = library.libc.waitpid(pid, arena.address + status, PROCESS.WNOHANG);
  if (result === 0) return null;
  if (result === pid) return endOf(arena.view.getInt32(status, true));
  const errno = library.errno();
  if (errno === ERRNO.EINTR) return null;
  if (errno === ERRNO.ECHILD) return { code: null, signal: null };
  throw new ProxyError("SYSTEM_CALL", `waitpid failed (errno ${errno})`);
}

function endOf(status: number): ProcessEnd {
  const number = status & SIGNAL_MASK;
  if (number === 0) return { code: status >> CODE_SHIFT, signal: null };
  const known = Object.entries(constants.signals).find(([, value]) => value === number);
  return { code: null, signal: known?.[0] ?? `signal ${number}` };
}
