/** Makes, binds and sizes a UDP socket through libc; errors name what to do. */
import { isIP } from "node:net";
import { ProxyError } from "../src/core/error.ts";
import { ERRNO, SOCKET } from "./layout.ts";
import type { Library } from "./library.ts";
import { Arena } from "./memory.ts";
import { formatAddress, readSockaddr, SOCKADDR_BYTES, type SocketAddress, writeSockaddr } from "./sockaddr.ts";

/** What is asked of the kernel. */
export interface UdpOptions {
  /** IP literal; `0.0.0.0` and `::` are wildcards, `::` takes both families. */
  readonly ip: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;
  /** Joins, or begins, the SO_REUSEPORT group of this address: its sockets share what arrives (`steering.ts`). Off by default. */
  readonly sharePort?: boolean;
}

/** A bound socket. */
export interface BoundSocket {
  readonly fd: number;
  readonly local: SocketAddress;
  /** Bound to a wildcard: datagrams tell which address they came to, and answers must say which they leave from. */
  readonly wildcard: boolean;
  /** SO_RCVBUF and SO_SNDBUF as the kernel granted them (its bookkeeping doubles them; this is the half we can use), bytes. */
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;
}

const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];

/** Does an IP literal stand for all addresses? */
export function isWildcard(ip: string): boolean {
  return WILDCARDS.includes(ip);
}

/** Opens a socket. Throws `ADDRESS_IN_USE`, `ADDRESS_UNAVAILABLE` or `SYSTEM_CALL`; nothing is left open then. */
export function openUdpSocket(library: Library, options: UdpOptions): BoundSocket {
  const { libc } = library;
  const family = isIP(options.ip) === 4 ? SOCKET.AF_INET : SOCKET.AF_INET6;
  const fd = libc.socket(family, SOCKET.SOCK_DGRAM | SOCKET.SOCK_CLOEXEC | SOCKET.SOCK_NONBLOCK, 0);
  if (fd < 0) throw bindError(library.errno(), options);
  try {
    return configure(library, fd, family, options);
  } catch (thrown) {
    libc.close(fd);
    throw thrown;
  }
}

function configure(library: Library, fd: number, family: number, options: UdpOptions): BoundSocket {
  const arena = new Arena(library.foreign, 256);
  const option = arena.take(8);
  const length = arena.take(8);
  const name = arena.take(SOCKADDR_BYTES);
  const set = (level: number, which: number, value: number): boolean => {
    arena.view.setInt32(option, value, true);
    return library.libc.setsockopt(fd, level, which, arena.address + option, 4) === 0;
  };

  const wildcard = isWildcard(options.ip);
  if (family === SOCKET.AF_INET6) set(SOCKET.IPPROTO_IPV6, SOCKET.IPV6_V6ONLY, options.ip === "::" ? 0 : 1);
  if (options.sharePort === true && !set(SOCKET.SOL_SOCKET, SOCKET.SO_REUSEPORT, 1)) {
    throw new ProxyError(
      "SYSTEM_CALL",
      `UDP sockets cannot share a port here (SO_REUSEPORT: errno ${library.errno()})`,
    );
  }
  const nameLength = writeSockaddr(arena, name, options);
  if (library.libc.bind(fd, arena.address + name, nameLength) !== 0) throw bindError(library.errno(), options);

  // QUIC forbids fragments (RFC 9000 14). PROBE sets DF and ignores what the kernel believes of the path: the engine knows better.
  set(SOCKET.IPPROTO_IP, SOCKET.IP_MTU_DISCOVER, SOCKET.IP_PMTUDISC_PROBE);
  if (family === SOCKET.AF_INET6) set(SOCKET.IPPROTO_IPV6, SOCKET.IPV6_MTU_DISCOVER, SOCKET.IP_PMTUDISC_PROBE);
  set(SOCKET.SOL_SOCKET, SOCKET.SO_RXQ_OVFL, 1);
  if (wildcard && family === SOCKET.AF_INET) set(SOCKET.IPPROTO_IP, SOCKET.IP_PKTINFO, 1);
  if (wildcard && family === SOCKET.AF_INET6) set(SOCKET.IPPROTO_IPV6, SOCKET.IPV6_RECVPKTINFO, 1);
  const granted = sizeUdpSocket(library, fd, options);

  arena.view.setUint32(length, SOCKADDR_BYTES, true);
  library.libc.getsockname(fd, arena.address + name, arena.address + length);
  // A wildcard reads as it was written: `::ffff:0.0.0.0` would not help anybody.
  const local = { ip: options.ip, port: readSockaddr(arena, name).port };
  return { fd, local, wildcard, ...granted };
}

/** Asks for buffers of these sizes; gives what the kernel granted, as in `BoundSocket`. */
export function sizeUdpSocket(
  library: Library,
  fd: number,
  wanted: Pick<UdpOptions, "receiveBufferBytes" | "sendBufferBytes">,
): Pick<BoundSocket, "receiveBufferBytes" | "sendBufferBytes"> {
  const arena = new Arena(library.foreign, 32);
  const option = arena.take(8);
  const length = arena.take(8);
  const { setsockopt, getsockopt } = library.libc;
  const grow = (force: number, plain: number, wantedBytes: number): number => {
    arena.view.setInt32(option, wantedBytes, true);
    const set = (which: number): boolean => setsockopt(fd, SOCKET.SOL_SOCKET, which, arena.address + option, 4) === 0;
    if (!set(force)) set(plain);
    arena.view.setUint32(length, 4, true);
    getsockopt(fd, SOCKET.SOL_SOCKET, plain, arena.address + option, arena.address + length);
    return arena.view.getInt32(option, true) / 2;
  };
  return {
    receiveBufferBytes: grow(SOCKET.SO_RCVBUFFORCE, SOCKET.SO_RCVBUF, wanted.receiveBufferBytes),
    sendBufferBytes: grow(SOCKET.SO_SNDBUFFORCE, SOCKET.SO_SNDBUF, wanted.sendBufferBytes),
  };
}

function bindError(errno: number, options: UdpOptions): ProxyError {
  const where = `UDP ${formatAddress(options)}`;
  switch (errno) {
    case ERRNO.EADDRINUSE:
      return new ProxyError("ADDRESS_IN_USE", `${where} is already served by another process`, {
        remedy:
          "stop that process or choose another port; to test a configuration beside a running proxy use `spooky check`",
      });
    case ERRNO.EADDRNOTAVAIL:
      return new ProxyError("ADDRESS_UNAVAILABLE", `${where}: this machine has no such address`, {
        remedy: "set listen.address to an address of this machine, 0.0.0.0 or ::",
      });
    case ERRNO.EACCES:
    case ERRNO.EPERM:
      return new ProxyError("ADDRESS_UNAVAILABLE", `${where}: no permission for a port below 1024`, {
        remedy: "give the process CAP_NET_BIND_SERVICE or choose a port from 1024 on",
      });
    case ERRNO.EAFNOSUPPORT:
      return new ProxyError("ADDRESS_UNAVAILABLE", `${where}: this machine has no such address family`, {
        remedy: "use an IPv4 address",
      });
    default:
      return new ProxyError("SYSTEM_CALL", `${where} could not be opened (errno ${errno})`);
  }
}
