/** Sockets that share one UDP address, and a socket that another process opened. */
import { ProxyError } from "../src/core/error.ts";
import { SOCKET } from "./layout.ts";
import type { Library } from "./library.ts";
import { Arena } from "./memory.ts";
import { readSockaddr, SOCKADDR_BYTES } from "./sockaddr.ts";
import { type BoundSocket, isWildcard, openUdpSocket, type UdpOptions } from "./udp-open.ts";

/**
 * Opens `count` sockets of one SO_REUSEPORT group; their order is the order of their indices. The first is bound before it shares its
 * port, so an address that anybody serves already is refused (`ADDRESS_IN_USE`) before a single datagram of his can go astray, and of
 * two instances that start together one wins. Throws what `openUdpSocket` throws; nothing is left open then.
 */
export function openUdpGroup(library: Library, options: UdpOptions, count: number): readonly BoundSocket[] {
  const sockets: BoundSocket[] = [];
  try {
    const first = openUdpSocket(library, { ...options, sharePort: false });
    sockets.push(first);
    sharePort(library, first.fd);
    const { port } = first.local;
    while (sockets.length < count) sockets.push(openUdpSocket(library, { ...options, port, sharePort: true }));
    return sockets;
  } catch (thrown) {
    for (const { fd } of sockets) library.libc.close(fd);
    throw thrown;
  }
}

function sharePort(library: Library, fd: number): void {
  const arena = new Arena(library.foreign, 8);
  const option = arena.take(4);
  arena.view.setInt32(option, 1, true);
  const { setsockopt } = library.libc;
  if (setsockopt(fd, SOCKET.SOL_SOCKET, SOCKET.SO_REUSEPORT, arena.address + option, 4) === 0) return;
  throw new ProxyError("SYSTEM_CALL", `UDP sockets cannot share a port here (SO_REUSEPORT: errno ${library.errno()})`);
}

/** A bound socket that came with this process, opened by `openUdpGroup` for `ip`. Throws `SYSTEM_CALL` when `fd` is none. */
export function adoptUdpSocket(library: Library, fd: number, ip: string): BoundSocket {
  const arena = new Arena(library.foreign, SOCKADDR_BYTES + 32);
  const name = arena.take(SOCKADDR_BYTES);
  const option = arena.take(8);
  const length = arena.take(8);
  arena.view.setUint32(length, SOCKADDR_BYTES, true);
  if (library.libc.getsockname(fd, arena.address + name, arena.address + length) !== 0) {
    throw new ProxyError("SYSTEM_CALL", `descriptor ${fd} is no socket (errno ${library.errno()})`);
  }
  const read = (which: number): number => {
    arena.view.setUint32(length, 4, true);
    library.libc.getsockopt(fd, SOCKET.SOL_SOCKET, which, arena.address + option, arena.address + length);
    return arena.view.getInt32(option, true) / 2;
  };
  return {
    fd,
    local: { ip, port: readSockaddr(arena, name).port },
    wildcard: isWildcard(ip),
    receiveBufferBytes: read(SOCKET.SO_RCVBUF),
    sendBufferBytes: read(SOCKET.SO_SNDBUF),
  };
}
