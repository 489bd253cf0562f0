/** A worker as a process: its descriptors, its channel, its end. */
import type { ChannelHost, ChildProcess, Processes } from "../runtime/processes.ts";
import type { Library } from "../../ffi/library.ts";
import { openSocketPair } from "../../ffi/socket-pair.ts";
import type { WorkerEvents, WorkerPort } from "./seat.ts";
import { LineCutter, readReport, type StartOrder, writeMessage } from "./worker-link.ts";

/** Where a worker finds what it was handed. */
export const WORKER_FDS = { socket: 3, channel: 4 } as const;

/** What a worker is started with. */
export interface LaunchParts {
  readonly processes: Processes;
  readonly library: Library;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** As in `ChildOptions`. */
  readonly program: string | null;
  /** Argument that makes this program a worker. */
  readonly argument: string;
  /** The bound socket of its slot; the supervisor keeps it, so that what comes while nobody reads waits there. */
  readonly socketFd: number;
  readonly order: StartOrder;
}

/** Starts a worker and hands it its socket, its channel and its order. Throws what the system says when there is no process for it. */
export function launchWorker(parts: LaunchParts, events: WorkerEvents): WorkerPort {
  const { processes, library, order } = parts;
  const [near, far] = openSocketPair(library);
  let child: ChildProcess;
  try {
    child = processes.spawn({
      program: parts.program,
      args: [parts.argument],
      name: workerName(order.slot),
      env: parts.env,
      descriptors: [parts.socketFd, far],
    });
  } catch (thrown) {
    library.libc.close(near);
    throw thrown;
  } finally {
    // The worker's alone: when it ends, however it does, the channel ends too.
    library.libc.close(far);
  }
  const closed = Promise.withResolvers<void>();
  const channel = processes.openChannel(
    near,
    reportsTo(events, () => closed.resolve()),
  );
  const send = (line: string): void => void channel.then((opened) => opened.send(line));
  channel.catch(() => {
    closed.resolve();
    child.kill();
  });
  // What it said last may still be on its way when its process is gone.
  void Promise.all([child.ended, closed.promise]).then(([end]) => events.onEnded(end));
  send(writeMessage(order));
  return { pid: child.pid, kill: () => child.kill(), send: (message) => send(writeMessage(message)) };
}

/** The name of a worker's process; the supervisor's alone is the program's. */
export function workerName(slot: number): string {
  return `h3-worker-${slot}`;
}

function reportsTo(events: WorkerEvents, onClosed: () => void): ChannelHost {
  const cutter = new LineCutter();
  return {
    onClosed,
    onText(text) {
      const lines = cutter.push(text);
      if (lines === null) return events.onGibberish();
      for (const line of lines) {
        const report = readReport(line);
        if (report === null) return events.onGibberish();
        events.onReport(report);
      }
    },
  };
}
