/**
 * Wakes the loop on Bun, which has no way to watch a descriptor of ours. Under traffic the process sleeps in a `poll(2)` of our own
 * over the sockets and the epoll descriptor that Bun's loop waits on: it returns when either has something, and never later than
 * `LIMITS.sleepMsMax`, because Bun's timers do not run meanwhile. When the sockets are quiet, a native thread watches them and
 * writes a byte to a socketpair that Bun's loop listens on: a thread costs more for each wake-up and nothing between them.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { Handle } from "../../ffi/handle.ts";
import type { Library } from "../../ffi/library.ts";
import { Sleeper } from "../../ffi/sleeper.ts";
import { Arena } from "../../ffi/memory.ts";
import { openSocketPair } from "../../ffi/socket-pair.ts";
import type { Waker, WakerHost } from "./runtime.ts";

const ARM_READABLE = 1;
const ARM_WRITABLE = 2;

/** Makes the waker. `SPOOKY_WAKER=thread` in the environment leaves all waking to the thread. */
export async function createBunWaker(
  library: Library,
  fds: readonly number[],
  host: WakerHost,
  sleepMsMax: number = LIMITS.sleepMsMax,
): Promise<Waker> {
  const thread = new WakerThread(library, fds);
  const waker = new BunWaker(thread, host, sleepMsMax);
  await thread.adopt(() => waker.onThread());
  const runtimeFd = process.env["SPOOKY_WAKER"] === "thread" ? -1 : findRuntimeEpoll(thread.nearFd);
  if (runtimeFd >= 0) waker.sleepOn(new Sleeper(library, fds, runtimeFd));
  return waker;
}

class BunWaker implements Waker {
  readonly #thread: WakerThread;
  readonly #host: WakerHost;
  readonly #sleepMsMax: number;
  readonly #doze = (): void => this.#sleep();
  #sleeper: Sleeper | null = null;
  /** Wanted and not fired yet. */
  #armed = false;
  #alsoWritable = false;
  /** The thread watches, and has not fired. */
  #threaded = false;
  #scheduled = false;
  /** When a socket was last ready, or a turn was due. */
  #busyMs = -Infinity;
  #closed = false;

  constructor(thread: WakerThread, host: WakerHost, sleepMsMax: number) {
    this.#thread = thread;
    this.#host = host;
    this.#sleepMsMax = sleepMsMax;
  }

  /** From now on it may sleep by itself. */
  sleepOn(sleeper: Sleeper): void {
    this.#sleeper = sleeper;
  }

  arm(alsoWritable: boolean): void {
    this.#armed = true;
    this.#alsoWritable = alsoWritable;
    if (this.#sleeper === null || this.#threaded) this.#watch();
    else this.#soon();
  }

  /** The thread has seen a ready socket. */
  onThread(): void {
    this.#threaded = false;
    this.#fire();
  }

  close(): void {
    this.#closed = true;
    this.#thread.close();
  }

  #fire(): void {
    if (!this.#armed || this.#closed) return;
    this.#armed = false;
    this.#busyMs = performance.now();
    this.#host.onWake();
  }

  #watch(): void {
    this.#threaded = true;
    this.#thread.arm(this.#alsoWritable);
  }

  /** After the runtime has looked at its own descriptors and timers once. */
  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#doze);
  }

  #sleep(): void {
    this.#scheduled = false;
    if (!this.#armed || this.#closed || this.#sleeper === null) return;
    const nowMs = performance.now();
    if (this.#host.turnDue) {
      this.#busyMs = nowMs;
      return this.#soon();
    }
    // The thread takes over once a whole sleep brought nothing.
    if (nowMs - this.#busyMs > this.#sleepMsMax) return this.#watch();
    const untilMs = Math.min(this.#busyMs + this.#sleepMsMax, this.#host.deadlineMs);
    // A timer that is due now fires in the runtime's next round, within the millisecond; to ask in a circle until then costs more.
    if (this.#sleeper.sleep(Math.max(1, untilMs - nowMs), this.#alsoWritable)) this.#fire();
    else this.#soon();
  }
}

/** The native thread, and the socketpair by which it wakes Bun's loop. */
class WakerThread {
  readonly nearFd: number;
  readonly #library: Library;
  readonly #farFd: number;
  readonly #handle: Handle;
  /** Owns the near end once adopted. */
  #near: { end(): void } | null = null;

  constructor(library: Library, fds: readonly number[]) {
    const { native, ledger } = library;
    this.#library = library;
    [this.nearFd, this.#farFd] = openSocketPair(library);
    const sockets = new Arena(library.foreign, 4 * fds.length);
    fds.forEach((fd, i) => sockets.view.setInt32(4 * i, fd, true));
    const address = native.spooky_waker_new(sockets.address, fds.length, this.#farFd);
    if (address === 0) throw new ProxyError("SYSTEM_CALL", `the waker could not be made (errno ${library.errno()})`);
    this.#handle = new Handle("waker", address, ledger, (at) => native.spooky_waker_free(at));
  }

  /** Bun's loop listens on the near end from here on. Bun takes an open descriptor here; its types do not say so. */
  async adopt(onData: () => void): Promise<void> {
    const connect = Bun.connect as unknown as (options: object) => Promise<{ end(): void }>;
    this.#near = await connect({ fd: this.nearFd, socket: { data: onData } });
  }

  arm(alsoWritable: boolean): void {
    const mask = alsoWritable ? ARM_READABLE | ARM_WRITABLE : ARM_READABLE;
    this.#library.native.spooky_waker_arm(this.#handle.address, mask);
  }

  close(): void {
    this.#handle.free();
    this.#near?.end();
    this.#library.libc.close(this.#farFd);
  }
}

/**
 * The descriptor of the epoll instance that watches `watchedFd`, which is a socket that Bun's main loop listens on; other threads of
 * Bun have instances of their own. -1 when there is none to be seen.
 */
function findRuntimeEpoll(watchedFd: number): number {
  const target = new RegExp(`^tfd:\\s*${watchedFd}\\s`, "m");
  try {
    for (const name of readdirSync("/proc/self/fd")) {
      if (linkOf(name) !== "anon_inode:[eventpoll]") continue;
      if (target.test(readFileSync(`/proc/self/fdinfo/${name}`, "latin1"))) return Number(name);
    }
  } catch {
    // Without /proc the thread does all the waking.
  }
  return -1;
}

/** Where a descriptor leads; "" when it was closed meanwhile. */
function linkOf(name: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${name}`);
  } catch {
    return "";
  }
}
