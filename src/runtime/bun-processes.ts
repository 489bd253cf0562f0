/** Processes and channels on Bun. */
import { existsSync, readlinkSync } from "node:fs";
import process from "node:process";
import { LIMITS } from "../core/limits.ts";
import { openLibc } from "../../ffi/library.ts";
import { bunForeign } from "../../ffi/open.bun.ts";
import { blockedSignals, blockSignals, unblockSignals } from "../../ffi/signal-mask.ts";
import { killLeftBehind, killWithGroup } from "./process-group.ts";
import type { Channel, ChannelHost, ChildOptions, ChildProcess, Processes } from "./processes.ts";

/** Bun's. */
export const bunProcesses: Processes = { spawn, openChannel };

/** The file that runs, be it replaced on disk by now; and the kernel names the process `exe` after it until it names itself. */
const SELF = "/proc/self/exe";
/** Where a compiled executable has its sources. */
const EMBEDDED = "/$bunfs/";

function spawn({ program, args, name, env, descriptors }: ChildOptions): ChildProcess {
  const [, script = EMBEDDED] = process.argv;
  const self = script.startsWith(EMBEDDED) ? [SELF] : [SELF, script];
  const command = [...(program === null ? self : [program]), ...args];
  const stdio = ["ignore", "inherit", "inherit", ...descriptors] as const;
  leaveGoneFolder();
  const child = withoutHeldSignals(() => Bun.spawn(command, { argv0: name, env, stdio: [...stdio], detached: true }));
  const { pid } = child;
  const ended = child.exited.then(() => {
    killLeftBehind(pid);
    const signal = child.signalCode;
    return { code: child.exitCode, signal: signal === null ? null : String(signal) };
  });
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return { pid, ended, kill: () => (hasEnded() ? undefined : killWithGroup(pid)) };
}

/** Bun does not begin in a folder that is gone, as that of a release is which was cleared away: neither our children nor whoever follows us. */
function leaveGoneFolder(): void {
  try {
    // The kernel marks what is gone, so that there is nothing of that name.
    if (!existsSync(readlinkSync("/proc/self/cwd"))) process.chdir("/");
  } catch {
    // Nobody says where we are; then it is as good as any.
  }
}

/** A child gets the mask of whoever starts it, and Bun leaves it so. What has waited is delivered now, which is as good as later. */
function withoutHeldSignals<T>(start: () => T): T {
  const libc = openLibc(bunForeign);
  const held = blockedSignals(bunForeign, libc);
  unblockSignals(bunForeign, libc, held);
  try {
    return start();
  } finally {
    blockSignals(bunForeign, libc, held);
  }
}

interface BunSocket {
  write(bytes: Uint8Array): number;
  end(): void;
}

/** Bun takes an open descriptor here; its types do not say so. */
type ConnectDescriptor = (options: {
  readonly fd: number;
  readonly socket: {
    data(socket: BunSocket, bytes: Uint8Array): void;
    drain(socket: BunSocket): void;
    close(): void;
    end(): void;
    error(): void;
  };
}) => Promise<BunSocket>;

async function openChannel(fd: number, host: ChannelHost): Promise<Channel> {
  const channel = new BunChannel(host);
  const connect = Bun.connect as unknown as ConnectDescriptor;
  channel.adopt(
    await connect({
      fd,
      socket: {
        data: (_, bytes) => channel.onBytes(bytes),
        drain: () => channel.onRoom(),
        close: () => channel.onClosed(),
        end: () => channel.onClosed(),
        error: () => channel.onClosed(),
      },
    }),
  );
  return channel;
}

class BunChannel implements Channel {
  readonly #host: ChannelHost;
  readonly #decoder = new TextDecoder();
  #socket: BunSocket | null = null;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #closed = false;

  constructor(host: ChannelHost) {
    this.#host = host;
  }

  adopt(socket: BunSocket): void {
    this.#socket = socket;
  }

  send(text: string): boolean {
    const bytes = new TextEncoder().encode(text);
    if (this.#closed || this.#waitingBytes + bytes.length > LIMITS.linkMessageBytesMax) return false;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.onRoom();
    return true;
  }

  get unsent(): Uint8Array {
    const bytes = new Uint8Array(this.#waitingBytes);
    let at = 0;
    for (const piece of this.#waiting) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  onRoom(): void {
    for (let first = this.#waiting[0]; first !== undefined && !this.#closed; first = this.#waiting[0]) {
      const written = Math.max(0, this.#socket?.write(first) ?? 0);
      this.#waitingBytes -= written;
      if (written < first.length) {
        this.#waiting[0] = first.subarray(written);
        return;
      }
      this.#waiting.shift();
    }
  }

  onBytes(bytes: Uint8Array): void {
    this.#host.onText(this.#decoder.decode(bytes, { stream: true }));
  }

  onClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket?.end();
    this.#host.onClosed();
  }

  close(): void {
    this.#closed = true;
    this.#socket?.end();
  }
}
