/**
 * Gives the kernel the program that steers datagrams among the sockets of a SO_REUSEPORT group, and finds out whether it follows one.
 *
 * The index that a program gives is the order in which the sockets were bound. It stays for as long as somebody holds a socket open,
 * be it under another descriptor; when one is closed for good the last of the group takes its index. No privilege is needed.
 */
import { ProxyError } from "../src/core/error.ts";
import { BPF_CODES, ERRNO, SOCK_FPROG, SOCKADDR_IN, SOCKET } from "./layout.ts";
import type { Library } from "./library.ts";
import { Arena } from "./memory.ts";
import { SOCKADDR_BYTES, writeSockaddr } from "./sockaddr.ts";
import { openUdpSocket } from "./udp-open.ts";

/** What this machine can do. `reason` is for people. */
export type SteeringSupport = { readonly supported: true } | { readonly supported: false; readonly reason: string };

/**
 * Attaches a program, an array of `struct sock_filter`, to the group that `fd` belongs to, in place of the one before. From one datagram
 * to the next; none is lost. Throws `SYSTEM_CALL`.
 */
export function attachSteering(library: Library, fd: number, program: Uint8Array): void {
  const arena = new Arena(library.foreign, SOCK_FPROG.size + program.length + 16);
  const header = arena.take(SOCK_FPROG.size);
  const filters = arena.take(program.length);
  arena.bytes.set(program, filters);
  arena.view.setUint16(header + SOCK_FPROG.len, program.length / SOCK_FPROG.filterSize, true);
  arena.setWide(header + SOCK_FPROG.filter, arena.address + filters);
  const { setsockopt } = library.libc;
  const option = SOCKET.SO_ATTACH_REUSEPORT_CBPF;
  const result = setsockopt(fd, SOCKET.SOL_SOCKET, option, arena.address + header, SOCK_FPROG.size);
  if (result !== 0) throw attachError(library.errno());
}

function attachError(errno: number): ProxyError {
  const details = { remedy: "run one worker, or on Linux 4.5 or newer without a filter that forbids the call" };
  switch (errno) {
    case ERRNO.ENOPROTOOPT:
      return new ProxyError("SYSTEM_CALL", "this kernel cannot steer datagrams (no SO_ATTACH_REUSEPORT_CBPF)", details);
    case ERRNO.EPERM:
    case ERRNO.EACCES:
      return new ProxyError("SYSTEM_CALL", "steering datagrams is forbidden here (SO_ATTACH_REUSEPORT_CBPF)", details);
    case ERRNO.ENOMEM:
      return new ProxyError("SYSTEM_CALL", "the kernel has no memory for the program that steers datagrams", {
        remedy: "raise the sysctl net.core.optmem_max",
      });
    default:
      return new ProxyError("SYSTEM_CALL", `datagrams cannot be steered: SO_ATTACH_REUSEPORT_CBPF, errno ${errno}`);
  }
}

/** Datagrams of a trial, each from a port of its own: without a program one half of them would go to each socket. */
const TRIAL_DATAGRAMS = 8;
/** How long a datagram may take through the loopback interface, milliseconds. */
const TRIAL_MS_MAX = 1000;
const POLLFD_BYTES = 8;
const POLLFD_REVENTS = 6;

/** Tries it with two sockets on the loopback address: some kernels take a program and do not follow it. */
export function steeringSupport(library: Library): SteeringSupport {
  const fds: number[] = [];
  try {
    const options = { ip: "127.0.0.1", receiveBufferBytes: 65_536, sendBufferBytes: 65_536, sharePort: true };
    const first = openUdpSocket(library, { ...options, port: 0 });
    fds.push(first.fd);
    fds.push(openUdpSocket(library, { ...options, port: first.local.port }).fd);
    attachSteering(library, first.fd, constantProgram(1));
    sendTrials(library, first.local.port);
    const [strays, steered] = readable(library, fds);
    if (steered === true && strays === false) return { supported: true };
    return { supported: false, reason: "the kernel takes the program that steers datagrams and does not follow it" };
  } catch (thrown) {
    if (thrown instanceof ProxyError) return { supported: false, reason: thrown.message };
    throw thrown;
  } finally {
    for (const fd of fds) library.libc.close(fd);
  }
}

/** The program that always answers `index`. */
function constantProgram(index: number): Uint8Array {
  const bytes = new Uint8Array(2 * SOCK_FPROG.filterSize);
  const view = new DataView(bytes.buffer);
  view.setUint16(SOCK_FPROG.filterCode, BPF_CODES.LD_IMM, true);
  view.setUint32(SOCK_FPROG.filterK, index, true);
  view.setUint16(SOCK_FPROG.filterSize + SOCK_FPROG.filterCode, BPF_CODES.RET_A, true);
  return bytes;
}

function sendTrials({ foreign, libc }: Library, port: number): void {
  const arena = new Arena(foreign, SOCKADDR_BYTES);
  const name = arena.take(SOCKADDR_BYTES);
  writeSockaddr(arena, name, { ip: "127.0.0.1", port });
  for (let i = 0; i < TRIAL_DATAGRAMS; i++) {
    const fd = libc.socket(SOCKET.AF_INET, SOCKET.SOCK_DGRAM | SOCKET.SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    libc.sendto(fd, arena.address + name, 1, 0, arena.address + name, SOCKADDR_IN.size);
    libc.close(fd);
  }
}

/** Which sockets have datagrams, as soon as one has. */
function readable({ foreign, libc }: Library, fds: readonly number[]): boolean[] {
  const arena = new Arena(foreign, fds.length * POLLFD_BYTES);
  const at = arena.take(fds.length * POLLFD_BYTES);
  for (const [i, fd] of fds.entries()) {
    arena.view.setInt32(at + i * POLLFD_BYTES, fd, true);
    arena.view.setInt16(at + i * POLLFD_BYTES + 4, SOCKET.POLLIN, true);
  }
  libc.poll(arena.address + at, fds.length, TRIAL_MS_MAX);
  return fds.map((_, i) => (arena.view.getInt16(at + i * POLLFD_BYTES + POLLFD_REVENTS, true) & SOCKET.POLLIN) !== 0);
}
