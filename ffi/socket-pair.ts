/** Two connected stream sockets. */
import { ProxyError } from "../src/core/error.ts";
import { SOCKET } from "./layout.ts";
import type { Library } from "./library.ts";
import { Arena } from "./memory.ts";

/** Their descriptors, which never wait and which a new program does not inherit unless it is handed one. Throws `SYSTEM_CALL`. */
export function openSocketPair(library: Library): readonly [near: number, far: number] {
  const arena = new Arena(library.foreign, 64);
  const pair = arena.take(8);
  const type = SOCKET.SOCK_STREAM | SOCKET.SOCK_CLOEXEC | SOCKET.SOCK_NONBLOCK;
  if (library.libc.socketpair(SOCKET.AF_UNIX, type, 0, arena.address + pair) !== 0) {
    throw new ProxyError("SYSTEM_CALL", `socketpair failed (errno ${library.errno()})`);
  }
  return [arena.view.getInt32(pair, true), arena.view.getInt32(pair + 4, true)];
}
