/** Sockets of a bank that nobody has read for a while, made fit for new workers. */
import { MMSGHDR, SOCKET } from "./layout.ts";
import type { Library } from "./library.ts";
import { Arena } from "./memory.ts";
import { sizeUdpSocket, type UdpOptions } from "./udp-open.ts";

/** Datagrams that one call throws away. */
const BATCH = 64;
/** Calls for one socket: more than the largest receive buffer holds, so only a socket that is still fed gets here. */
const CALLS_MAX = 4096;

/** Throws away what lies in sockets and gives them the buffer sizes of `options`. Returns how many datagrams were thrown away. */
export function renewUdpSockets(
  library: Library,
  fds: readonly number[],
  options: Pick<UdpOptions, "receiveBufferBytes" | "sendBufferBytes">,
): number {
  const arena = new Arena(library.foreign, BATCH * MMSGHDR.size + 64);
  // Headers full of zeros have no room for anything: the kernel drops what does not fit.
  const headers = arena.take(BATCH * MMSGHDR.size);
  let dropped = 0;
  for (const fd of fds) {
    sizeUdpSocket(library, fd, options);
    for (let call = 0; call < CALLS_MAX; call++) {
      const count = library.libc.recvmmsg(fd, arena.address + headers, BATCH, SOCKET.MSG_DONTWAIT, 0);
      if (count <= 0) break;
      dropped += count;
    }
  }
  return dropped;
}
