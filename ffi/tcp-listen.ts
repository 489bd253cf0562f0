/** TCP sockets that listen, made through libc, so that their descriptors are ours to keep when another program goes on in this process. */
import { isIP } from "node:net";
import { ERRNO, SOCKET } from "./layout.ts";
import type { Library } from "./library.ts";
import { Arena } from "./memory.ts";
import { readSockaddr, SOCKADDR_BYTES, type SocketAddress, writeSockaddr } from "./sockaddr.ts";

/** The same on every Linux that we build for. */
const SO_REUSEADDR = 2;
const F_DUPFD_CLOEXEC = 1030;
/** Connections that wait to be accepted, such as while another program takes this one's place. */
const BACKLOG = 128;

/** What came of it: a socket that listens, or the system's word for why not. */
export type TcpListening = { readonly fd: number; readonly port: number } | { readonly refusal: string };

/** Listens on an address; port 0 lets the kernel choose. The descriptor is the caller's. */
export function openTcpListener(library: Library, address: SocketAddress): TcpListening {
  const { libc } = library;
  const family = isIP(address.ip) === 4 ? SOCKET.AF_INET : SOCKET.AF_INET6;
  const fd = libc.socket(family, SOCKET.SOCK_STREAM | SOCKET.SOCK_CLOEXEC | SOCKET.SOCK_NONBLOCK, 0);
  if (fd < 0) return refused(library);
  const arena = new Arena(library.foreign, 256);
  const option = arena.take(8);
  const length = arena.take(8);
  const name = arena.take(SOCKADDR_BYTES);
  const set = (level: number, which: number, value: number): void => {
    arena.view.setInt32(option, value, true);
    libc.setsockopt(fd, level, which, arena.address + option, 4);
  };
  // Connections of a program that has just ended still linger under the address; nobody listens there all the same.
  set(SOCKET.SOL_SOCKET, SO_REUSEADDR, 1);
  if (family === SOCKET.AF_INET6) set(SOCKET.IPPROTO_IPV6, SOCKET.IPV6_V6ONLY, address.ip === "::" ? 0 : 1);
  const nameLength = writeSockaddr(arena, name, address);
  if (libc.bind(fd, arena.address + name, nameLength) !== 0 || libc.listen(fd, BACKLOG) !== 0) {
    const refusal = refused(library);
    libc.close(fd);
    return refusal;
  }
  arena.view.setUint32(length, SOCKADDR_BYTES, true);
  libc.getsockname(fd, arena.address + name, arena.address + length);
  return { fd, port: readSockaddr(arena, name).port };
}

/** Another descriptor of the same socket, which the next program does not find. -1 when there are no more. */
export function duplicate({ libc }: Library, fd: number): number {
  return libc.fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

function refused(library: Library): TcpListening {
  const errno = library.errno();
  return { refusal: WORDS.get(errno) ?? `errno ${errno}` };
}

const WORDS: ReadonlyMap<number, string> = new Map([
  [ERRNO.EADDRINUSE, "EADDRINUSE"],
  [ERRNO.EADDRNOTAVAIL, "EADDRNOTAVAIL"],
  [ERRNO.EACCES, "EACCES"],
  [ERRNO.EPERM, "EACCES"],
  [ERRNO.EAFNOSUPPORT, "EAFNOSUPPORT"],
]);
