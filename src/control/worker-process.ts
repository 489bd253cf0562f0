/** A worker as a process: its descriptors, its channel, its end. */
import { must } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import type { Channel, ChildProcess, Processes } from "../runtime/processes.ts";
import { systemTimers } from "../runtime/timers.ts";
import type { Library } from "../../ffi/library.ts";
import { openSocketPair } from "../../ffi/socket-pair.ts";
import type { WorkerHandover } from "./handover.ts";
import type { WorkerEvents, WorkerPort } from "./seat.ts";
import { LineCutter, type Order, readReport, type StartOrder, writeMessage } from "./worker-link.ts";

/** Where a worker finds what it was handed. */
export const WORKER_FDS = { socket: 3, channel: 4, furtherSockets: 5 } as const;

/** Where it finds the sockets of so many listeners. */
export function workerSocketFds(listeners: number): readonly number[] {
  const { socket, furtherSockets } = WORKER_FDS;
  return Array.from({ length: listeners }, (_, i) => (i === 0 ? socket : furtherSockets + i - 1));
}

/** What a worker is started with. */
export interface LaunchParts {
  readonly processes: Processes;
  readonly library: Library;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** As in `ChildOptions`. */
  readonly program: string | null;
  /** Argument that makes this program a worker. */
  readonly argument: string;
  /** The bound sockets of its slot, one for each listener; the supervisor keeps them, so that what comes while nobody reads waits there. */
  readonly socketFds: readonly number[];
  readonly order: StartOrder;
}

/** Starts a worker and hands it its sockets, its channel and its order. Throws what the system says when there is no process for it. */
export function launchWorker(parts: LaunchParts, events: WorkerEvents): WorkerPort {
  const { processes, library, order } = parts;
  const [socketFd, ...furtherFds] = parts.socketFds;
  const [near, far] = openSocketPair(library);
  let child: ChildProcess;
  try {
    child = processes.spawn({
      program: parts.program,
      args: [parts.argument],
      name: workerName(order.slot),
      env: parts.env,
      descriptors: [must(socketFd, "a worker serves a listener"), far, ...furtherFds],
    });
  } catch (thrown) {
    library.libc.close(near);
    throw thrown;
  } finally {
    // The worker's alone: when it ends, however it does, the channel ends too.
    library.libc.close(far);
  }
  const nothingYet = { unread: "", unsent: writeMessage(order) };
  return new WorkerProcess(processes, child, { pid: child.pid, channelFd: near, ...nothingYet }, events);
}

/** A worker that the program before this one has started, in the same process. It may have ended meanwhile. */
export function adoptWorker(
  processes: Processes,
  child: ChildProcess,
  worker: WorkerHandover,
  events: WorkerEvents,
): WorkerPort {
  return new WorkerProcess(processes, child, worker, events);
}

/** The name of a worker's process; the supervisor's alone is the program's. */
export function workerName(slot: number): string {
  return `h3-worker-${slot}`;
}

/** A process with its channel. */
class WorkerProcess implements WorkerPort {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #channelFd: number;
  readonly #events: WorkerEvents;
  readonly #cutter: LineCutter;
  readonly #opening: Promise<Channel>;
  #channel: Channel | null = null;
  /** Its process or its channel has ended, and the other one is about to. */
  #ending = false;

  constructor(processes: Processes, child: ChildProcess, worker: WorkerHandover, events: WorkerEvents) {
    this.pid = worker.pid;
    this.#child = child;
    this.#channelFd = worker.channelFd;
    this.#events = events;
    this.#cutter = new LineCutter(worker.unread);
    const closed = Promise.withResolvers<void>();
    const onClosed = (): void => {
      this.#ending = true;
      closed.resolve();
    };
    this.#opening = processes.openChannel(worker.channelFd, { onClosed, onText: (text) => this.#onText(text) });
    this.#opening.then(
      (channel) => (this.#channel = channel),
      () => {
        onClosed();
        child.kill();
      },
    );
    void child.ended.then(async (end) => {
      this.#ending = true;
      // What it said last may still be on its way; but whatever it has started may hold the channel for as long as it likes.
      const patience = systemTimers.after(LIMITS.workerLastWordsMsMax, onClosed);
      await closed.promise;
      patience.stop();
      this.#channel?.close();
      events.onEnded(end);
    });
    if (worker.unsent !== "") this.#say(worker.unsent);
  }

  send(order: Order): void {
    this.#say(writeMessage(order));
  }

  kill(): void {
    this.#child.kill();
  }

  handOver(): WorkerHandover | null {
    if (this.#ending || this.#channel === null) return null;
    const unsent = new TextDecoder("latin1").decode(this.#channel.unsent);
    return { pid: this.pid, channelFd: this.#channelFd, unread: this.#cutter.rest, unsent };
  }

  #say(line: string): void {
    this.#opening.then(
      (channel) => channel.send(line),
      () => undefined,
    );
  }

  #onText(text: string): void {
    const lines = this.#cutter.push(text);
    if (lines === null) return this.#events.onGibberish();
    for (const line of lines) {
      const report = readReport(line);
      if (report === null) return this.#events.onGibberish();
      this.#events.onReport(report);
    }
  }
}
