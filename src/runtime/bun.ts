/** Bun. */
import { ProxyError } from "../core/error.ts";
import { bunForeign } from "../../ffi/open.bun.ts";
import { Handle } from "../../ffi/handle.ts";
import { SOCKET } from "../../ffi/layout.ts";
import type { Library } from "../../ffi/library.ts";
import { Arena } from "../../ffi/memory.ts";
import { connectBunStream } from "./bun-streams.ts";
import type { Runtime, Waker } from "./runtime.ts";

const ARM_READABLE = 1;
const ARM_WRITABLE = 2;

/** The runtime Bun. */
export const bunRuntime: Runtime = {
  name: "bun",
  version: Bun.version,
  foreign: bunForeign,
  connectStream: connectBunStream,
  createWaker: createBunWaker,
};

/**
 * A native thread sleeps on the sockets and writes a byte to one end of a socketpair; Bun's own loop listens on the other. Bun has
 * no way to watch a descriptor of ours directly.
 */
async function createBunWaker(library: Library, fds: readonly number[], onWake: () => void): Promise<Waker> {
  const { libc, native, ledger } = library;
  const arena = new Arena(library.foreign, 64);
  const pair = arena.take(8);
  const type = SOCKET.SOCK_STREAM | SOCKET.SOCK_CLOEXEC | SOCKET.SOCK_NONBLOCK;
  if (libc.socketpair(SOCKET.AF_UNIX, type, 0, arena.address + pair) !== 0) {
    throw new ProxyError("SYSTEM_CALL", `socketpair failed (errno ${library.errno()})`);
  }
  const near = arena.view.getInt32(pair, true);
  const far = arena.view.getInt32(pair + 4, true);
  const sockets = new Arena(library.foreign, 4 * fds.length);
  fds.forEach((fd, i) => sockets.view.setInt32(4 * i, fd, true));
  const address = native.spooky_waker_new(sockets.address, fds.length, far);
  if (address === 0) throw new ProxyError("SYSTEM_CALL", `the waker could not be made (errno ${library.errno()})`);
  const handle = new Handle("waker", address, ledger, (at) => native.spooky_waker_free(at));
  // The socket owns the near end from here on and closes it.
  const socket = await adopt(near, onWake);
  return {
    arm(alsoWritable) {
      native.spooky_waker_arm(handle.address, alsoWritable ? ARM_READABLE | ARM_WRITABLE : ARM_READABLE);
    },
    close() {
      handle.free();
      socket.end();
      libc.close(far);
    },
  };
}

/** Bun takes an open descriptor here; its types do not say so. */
function adopt(fd: number, onData: () => void): Promise<{ end(): void }> {
  const connect = Bun.connect as unknown as (options: object) => Promise<{ end(): void }>;
  return connect({ fd, socket: { data: onData } });
}
