/** One process that serves, from its start to its exit code. */
import { once } from "node:events";
import process from "node:process";
import type { Snapshot } from "../config/snapshot.ts";
import { Doors } from "../control/doors.ts";
import { ControlSocket } from "../control/control-socket.ts";
import { Counters, countersSeen } from "../core/counters.ts";
import { readHistograms } from "../core/histogram.ts";
import { Log } from "../observe/log.ts";
import { systemTimers } from "../runtime/timers.ts";
import { openLibrary } from "../../ffi/library.ts";
import { type CommandContext, EXIT } from "./command.ts";
import type { Configuration } from "./configuration.ts";
import { obeySignals } from "./control-signals.ts";
import { doorHandlers } from "./node-doors.ts";
import { libraryPlaces } from "./places.ts";
import { isCapLifted, letSignalsIn } from "./self.ts";
import { serviceNotice } from "./service-manager.ts";
import { SoloControl } from "./solo-control.ts";
import { Server, type Unfinished } from "./server.ts";
import { watchFiles } from "./watch-files.ts";

/** A log line that cannot get out must not keep the process. */
const FLUSH_MS_MAX = 1000;

/**
 * Serves a snapshot in this process until a signal. `configuration` is where it is from; null for one that is built in, which nobody can ask
 * anything. `onListening` runs once it does.
 */
export async function serve(
  snapshot: Snapshot,
  configuration: Configuration | null,
  context: CommandContext,
  onListening: (server: Server, log: Log) => Promise<void>,
): Promise<number> {
  const { runtime, embedded } = context;
  const lifted = isCapLifted(runtime, process.env);
  const counters = new Counters();
  const terminal = process.stdout.isTTY === true;
  const journal = process.env["JOURNAL_STREAM"];
  const log = new Log(snapshot.log, { counters, epochMs: () => Date.now(), terminal, journal });
  try {
    const library = openLibrary(runtime.foreign, libraryPlaces(embedded, process.env));
    const server = new Server(snapshot, { runtime, library, log, counters });
    if (!lifted)
      log.warn("requests to backends by fetch are capped at 256 at once: the program could not start itself anew");
    const stop = stopSignals();
    const control = new SoloControl({ configuration, runtime, server, log, snapshot, library });
    const notice = serviceNotice(runtime, control);
    obeySignals(notice.around(control), log);
    letSignalsIn(runtime, context.early.names);
    const { socket: setting } = snapshot.control;
    const parts = { control: notice.around(control), timers: systemTimers, log, counters, env: process.env };
    const doors =
      configuration === null
        ? null
        : await Doors.open(snapshot.observability, {
            ...parts,
            handlers: doorHandlers(control, { runtime, library }),
            sockets: null,
          });
    control.doors = doors;
    const socket = await ControlSocket.open(configuration === null ? null : setting, parts);
    await server.start();
    await onListening(server, log);
    notice.serving();
    const watch = configuration === null ? null : watchFiles(notice.around(control), control, log);
    await stop.first;
    watch?.stop();
    const { shutdownDelayMs, drainMs } = server.snapshot.timeouts;
    control.announceStop();
    notice.stopping(shutdownDelayMs + drainMs);
    await delayStop(shutdownDelayMs, stop, log);
    const asked = await Promise.race([server.drain(), stop.second.then(() => true)]);
    const end = endOf(server.close(), asked === true);
    socket.close();
    doors?.close();
    log.info("counted", readHistograms(countersSeen(counters)).counters);
    log.info("stopped", { requests: counters.requestsStarted, native_handles: library.ledger.total });
    return end;
  } finally {
    await flushLog(log);
  }
}

/** The exit code of a process that has served. `asked`: whoever told it to end at once knows that this breaks something off. */
export function endOf({ requests }: Unfinished, asked: boolean): number {
  return requests === 0 || asked ? EXIT.ok : EXIT.cutOff;
}

/** Waits for the lines that can get out. */
export async function flushLog(log: Log): Promise<void> {
  await Promise.race([log.flush(), new Promise((resolve) => setTimeout(resolve, FLUSH_MS_MAX))]);
}

/** Promises for the first and the second stop signal. */
export interface StopSignals {
  readonly first: Promise<unknown>;
  readonly second: Promise<unknown>;
}

/** All goes on for so long after the first stop signal, so that whoever sends clients here hears that no more are wanted; no longer than to the second. */
export async function delayStop(delayMs: number, { second }: StopSignals, log: Log): Promise<void> {
  if (delayMs === 0) return;
  log.info("stopping: not ready, and serving on for a while", { ms: delayMs });
  const { promise, resolve } = Promise.withResolvers<void>();
  const over = systemTimers.after(delayMs, resolve);
  await Promise.race([promise, second]);
  over.stop();
}

/** Listens for them from now on. */
export function stopSignals(): StopSignals {
  const next = (): Promise<unknown> => Promise.race(["SIGTERM", "SIGINT"].map((signal) => once(process, signal)));
  const first = next();
  return { first, second: first.then(next) };
}
