/** Names that one process of a machine has at a time: abstract unix sockets, which the kernel takes back when the process ends, however it does. */
import { ERRNO, SOCKET } from "./layout.ts";
import type { Library } from "./library.ts";
import { Arena } from "./memory.ts";

/** What became of a name: held by the descriptor, somebody else's, or not to be had on this system. */
export type MachineName = { readonly fd: number } | "taken" | "impossible";

/** `struct sockaddr_un`: the family, then the path; an abstract one begins with a zero. */
const PATH_AT = 2;
const PATH_BYTES_MAX = 108;

/** Takes a name of up to 107 ASCII characters. It is this process's until the descriptor is closed; another program in its place has it no more. */
export function takeMachineName(library: Library, name: string): MachineName {
  const { libc, foreign } = library;
  const bytes = new TextEncoder().encode(name);
  if (bytes.length >= PATH_BYTES_MAX) return "impossible";
  const fd = libc.socket(SOCKET.AF_UNIX, SOCKET.SOCK_STREAM | SOCKET.SOCK_CLOEXEC, 0);
  if (fd < 0) return "impossible";
  const arena = new Arena(foreign, 256);
  const at = arena.take(PATH_AT + PATH_BYTES_MAX);
  arena.view.setUint16(at, SOCKET.AF_UNIX, true);
  arena.bytes.set(bytes, at + PATH_AT + 1);
  if (libc.bind(fd, arena.address + at, PATH_AT + 1 + bytes.length) === 0) return { fd };
  const isTaken = library.errno() === ERRNO.EADDRINUSE;
  libc.close(fd);
  return isTaken ? "taken" : "impossible";
}
