/** The service manager's socket (sd_notify(3)): datagrams to a path or to an abstract name, and the clock that it reads. */
import { SOCKET } from "./layout.ts";
import type { ForeignInterface } from "./abi.ts";
import type { Libc } from "./library.ts";
import { Arena } from "./memory.ts";

/** The same on every Linux that we build for. */
const SOCK_DGRAM = 2;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1;
/** `struct sockaddr_un`: the family, then the path; an abstract one begins with a zero. */
const PATH_AT = 2;
const PATH_BYTES_MAX = 108;
/** Bytes of one message: a few lines. */
const MESSAGE_BYTES_MAX = 2048;

/** A socket that only sends. */
export class NotifySocket {
  readonly #libc: Libc;
  readonly #arena: Arena;
  readonly #fd: number;
  readonly #name: number;
  readonly #nameBytes: number;
  readonly #text: number;

  /** `path` as NOTIFY_SOCKET has it: absolute, or with an `@` for an abstract name. Null for any other, and where there are no sockets. */
  static open(foreign: ForeignInterface, libc: Libc, path: string): NotifySocket | null {
    const bytes = new TextEncoder().encode(path);
    if (!/^[/@]./.test(path) || bytes.length >= PATH_BYTES_MAX) return null;
    const fd = libc.socket(SOCKET.AF_UNIX, SOCK_DGRAM | SOCKET.SOCK_CLOEXEC | SOCKET.SOCK_NONBLOCK, 0);
    return fd < 0 ? null : new NotifySocket(foreign, libc, fd, bytes);
  }

  private constructor(foreign: ForeignInterface, libc: Libc, fd: number, path: Uint8Array) {
    this.#libc = libc;
    this.#fd = fd;
    this.#arena = new Arena(foreign, PATH_AT + PATH_BYTES_MAX + MESSAGE_BYTES_MAX + 64);
    this.#name = this.#arena.take(PATH_AT + PATH_BYTES_MAX);
    this.#text = this.#arena.take(MESSAGE_BYTES_MAX);
    this.#arena.view.setUint16(this.#name, SOCKET.AF_UNIX, true);
    this.#arena.bytes.set(path, this.#name + PATH_AT);
    const isAbstract = path[0] === "@".charCodeAt(0);
    if (isAbstract) this.#arena.bytes[this.#name + PATH_AT] = 0;
    // A path ends with its zero, an abstract name with its length.
    this.#nameBytes = PATH_AT + path.length + (isAbstract ? 0 : 1);
  }

  /** Sends `NAME=value` lines. False when nobody takes them. */
  send(text: string): boolean {
    const bytes = new TextEncoder().encode(text).subarray(0, MESSAGE_BYTES_MAX);
    const { address } = this.#arena;
    this.#arena.bytes.set(bytes, this.#text);
    const sent = this.#libc.sendto(
      this.#fd,
      address + this.#text,
      bytes.length,
      MSG_NOSIGNAL,
      address + this.#name,
      this.#nameBytes,
    );
    return sent === bytes.length;
  }
}

/** CLOCK_MONOTONIC in microseconds: the runtime's own clock counts from the start of the process. */
export function monotonicMicroseconds(foreign: ForeignInterface, libc: Libc): number {
  const arena = new Arena(foreign, 64);
  libc.clock_gettime(CLOCK_MONOTONIC, arena.address);
  return arena.getWide(0) * 1e6 + Math.floor(arena.getWide(8) / 1000);
}
