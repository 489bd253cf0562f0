/** Descriptors that outlive this program in its own process, and files that are nothing but memory. */
import { writeSync } from "node:fs";
import { ProxyError } from "../src/core/error.ts";
import { PROCESS, SOCKET } from "./layout.ts";
import type { Libc } from "./library.ts";

/** Does the program that is executed in this one's place find the descriptor open? Throws `SYSTEM_CALL` when it is not open now. */
export function keepOnExec(libc: Libc, fd: number, kept: boolean): void {
  if (libc.fcntl(fd, PROCESS.F_SETFD, kept ? 0 : PROCESS.FD_CLOEXEC) === 0) return;
  throw new ProxyError("SYSTEM_CALL", `descriptor ${fd} is not open`);
}

/** Is the descriptor open, and kept? Null when it is not open. */
export function isKeptOnExec(libc: Libc, fd: number): boolean | null {
  const flags = libc.fcntl(fd, PROCESS.F_GETFD, 0);
  return flags < 0 ? null : (flags & PROCESS.FD_CLOEXEC) === 0;
}

/**
 * A file without a place in any folder, readable by whoever has its descriptor and gone with the last one; not kept on exec. `name`
 * is what `/proc/PID/fd` shows. Throws `SYSTEM_CALL`.
 */
export function openMemoryFile(libc: Libc, name: string, bytes: Uint8Array): number {
  const fd = libc.memfd_create(new TextEncoder().encode(`${name}\0`), SOCKET.MFD_CLOEXEC);
  if (fd < 0) throw new ProxyError("SYSTEM_CALL", "the kernel gives no memory file (memfd_create)");
  try {
    let at = 0;
    while (at < bytes.length) at += writeSync(fd, bytes, at);
    return fd;
  } catch (thrown) {
    libc.close(fd);
    throw thrown;
  }
}
