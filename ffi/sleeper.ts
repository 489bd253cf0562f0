/** A sleep of the whole process until a socket of ours or the runtime's own loop has something to do. */
import { SOCKET } from "./layout.ts";
import type { Library } from "./library.ts";
import { Arena } from "./memory.ts";

const POLLFD_BYTES = 8;
const EVENTS_AT = 4;
const REVENTS_AT = 6;

/** `poll(2)` over our sockets and the descriptor that the runtime's loop waits on. */
export class Sleeper {
  readonly #library: Library;
  readonly #arena: Arena;
  readonly #sockets: number;
  #alsoWritable = false;

  constructor(library: Library, fds: readonly number[], runtimeFd: number) {
    this.#library = library;
    this.#sockets = fds.length;
    this.#arena = new Arena(library.foreign, POLLFD_BYTES * (fds.length + 1));
    [...fds, runtimeFd].forEach((fd, i) => {
      this.#arena.view.setInt32(POLLFD_BYTES * i, fd, true);
      this.#arena.view.setUint16(POLLFD_BYTES * i + EVENTS_AT, SOCKET.POLLIN, true);
    });
  }

  /**
   * Sleeps for at most `maxMs`, rounded up to whole milliseconds. True: one of the sockets is ready. False: the runtime has something
   * to do, or the time is over, or a signal came.
   */
  sleep(maxMs: number, alsoWritable: boolean): boolean {
    if (alsoWritable !== this.#alsoWritable) this.#want(alsoWritable);
    const ready = this.#library.libc.poll(this.#arena.address, this.#sockets + 1, Math.ceil(maxMs));
    if (ready <= 0) return false;
    for (let i = 0; i < this.#sockets; i++) {
      if (this.#arena.view.getUint16(POLLFD_BYTES * i + REVENTS_AT, true) !== 0) return true;
    }
    return false;
  }

  #want(alsoWritable: boolean): void {
    this.#alsoWritable = alsoWritable;
    const events = alsoWritable ? SOCKET.POLLIN | SOCKET.POLLOUT : SOCKET.POLLIN;
    for (let i = 0; i < this.#sockets; i++) this.#arena.view.setUint16(POLLFD_BYTES * i + EVENTS_AT, events, true);
  }
}
