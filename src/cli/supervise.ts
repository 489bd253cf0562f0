/** `spooky --config P`: a supervisor with its workers, or one process that serves. */
import { resolve } from "node:path";
import process from "node:process";
import type { Snapshot } from "../config/snapshot.ts";
import { ControlSocket } from "../control/control-socket.ts";
import { Doors, type DoorsParts } from "../control/doors.ts";
import type { Handover } from "../control/handover.ts";
import type { NodeControl } from "../control/renewal.ts";
import type { ServiceNotice } from "../control/service-notice.ts";
import { must } from "../core/assert.ts";
import { Counters } from "../core/counters.ts";
import { ProxyError } from "../core/error.ts";
import { readHistograms } from "../core/histogram.ts";
import { LIMITS } from "../core/limits.ts";
import { Log } from "../observe/log.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { systemTimers } from "../runtime/timers.ts";
import { type Library, openLibrary } from "../../ffi/library.ts";
import { steeringSupport } from "../../ffi/steering.ts";
import { buildInfo } from "./build-info.ts";
import { type CommandContext, EXIT } from "./command.ts";
import { delayStop, flushLog, serve, stopSignals } from "./serve.ts";
import { checkReferences } from "./references.ts";
import { type Configuration, readConfiguration } from "./configuration.ts";
import { obeySignals } from "./control-signals.ts";
import { understand } from "./handover-check.ts";
import { Node } from "./node.ts";
import type { NodeContext } from "./node-parts.ts";
import { doorHandlers, doorSockets } from "./node-doors.ts";
import { libraryPlaces } from "./places.ts";
import { Legacy } from "./resume.ts";
import { serviceNotice } from "./service-manager.ts";
import { prepareProcess } from "./self.ts";
import { tellServing } from "./server-parts.ts";
import { watchFiles } from "./watch-files.ts";

/** Validates, then serves until a signal. */
export async function runServe(configPath: string, context: CommandContext): Promise<number> {
  const legacy = Legacy.find(context.runtime);
  if (legacy !== null) return goOn(legacy, context);
  const configuration = readConfiguration(configPath);
  const { snapshot } = configuration;
  if (!snapshot.workers.supervised) return serve(snapshot, configuration, context, () => Promise.resolve());
  const library = openLibrary(context.runtime.foreign, libraryPlaces(context.embedded, process.env));
  const { processes, name } = context.runtime;
  if (processes === null) return serveAlone(configuration, context, `${name} cannot hand a socket to another process`);
  const support = steeringSupport(library);
  if (!support.supported) return serveAlone(configuration, context, support.reason);
  // It is read again by whoever follows, when the folder that we began in may be gone.
  return supervise({ ...configuration, path: resolve(configPath) }, { ...context, library, processes });
}

/** Where packets cannot be brought to the worker that knows their connection, one process is all that is sound. */
function serveAlone(configuration: Configuration, context: CommandContext, reason: string): Promise<number> {
  return serve(configuration.snapshot, configuration, context, (_, log) => {
    log.warn("one process serves, without a supervisor", { reason });
    return Promise.resolve();
  });
}

type SuperviseContext = Omit<NodeContext, "log" | "counters">;

async function supervise(configuration: Configuration, context: SuperviseContext): Promise<number> {
  const { snapshot } = configuration;
  checkReferences(snapshot, context.runtime);
  const counters = new Counters();
  const log = openLog(snapshot, counters);
  try {
    const node = new Node(configuration, { ...context, log, counters });
    const notice = serviceNotice(context.runtime, node);
    const serving = heedSignals(node, notice, context, log);
    const { library, runtime } = context;
    const doors = await openDoors(node, snapshot, { log, counters, library, runtime });
    const socket = await openControl(notice.around(node), snapshot, log, counters);
    awaitReplacement(node, socket, doors);
    return await serving(socket, async () => {
      await node.start();
      watchFiles(notice.around(node), node, log);
      const workers = node.supervisor.crews.reduce((sum, crew) => sum + crew.workers.length, 0);
      tellServing(log, snapshot, node.listening, { workers });
    });
  } finally {
    await flushLog(log);
  }
}

/** Goes on from what the program before has left, in the same process; or goes back to it. */
async function goOn(legacy: Legacy, context: CommandContext): Promise<number> {
  let log: Log | null = null;
  try {
    prepareProcess(context.runtime, legacy.again(), context.early.names);
    const library = openLibrary(context.runtime.foreign, libraryPlaces(context.embedded, process.env));
    const processes = must(context.runtime.processes, "only a runtime with processes has had a supervisor");
    const handover = legacy.read();
    const { configuration, secrets } = understand(handover, context.runtime);
    const counters = new Counters();
    log = openLog(configuration.snapshot, counters);
    const program = legacy.programOf(handover);
    const before = { handover, secrets, program };
    const node = new Node(configuration, { ...context, library, processes, log, counters }, before);
    if (legacy.failure !== null) node.notify(`the new program could not go on as the supervisor: ${legacy.failure}`);
    // From here on there is no way back: the loop hears the workers.
    legacy.settle(handover);
    const notice = serviceNotice(context.runtime, node);
    const serving = heedSignals(node, notice, context, log);
    tellGoingOn(log, handover, legacy.failure);
    // What cannot be had is done without from here on: workers serve.
    const without = (what: string) => (thrown: unknown) => {
      if (!(thrown instanceof ProxyError)) throw thrown;
      log?.error(what, { reason: thrown.message });
      return null;
    };
    const { snapshot } = configuration;
    const doorParts = { log, counters, library, runtime: context.runtime, before: handover.doors ?? [] };
    const doors = await openDoors(node, snapshot, doorParts).catch(without("no place for metrics and health"));
    const socket = await openControl(notice.around(node), snapshot, log, counters).catch(without("no control socket"));
    awaitReplacement(node, socket, doors);
    watchFiles(notice.around(node), node, log);
    reloadIfPending(notice.around(node), node, log);
    return await serving(socket, () => Promise.resolve());
  } catch (thrown) {
    legacy.goBack(thrown, context.early);
    throw thrown;
  } finally {
    if (log !== null) await flushLog(log);
  }
}

function tellGoingOn(log: Log, { programVersion, supervisor }: Handover, failure: string | null): void {
  const fields = { generation: supervisor.active.generation, before: programVersion, version: buildInfo().version };
  if (failure === null) return log.info("the supervisor goes on as another program", fields);
  log.error("the new program could not go on: the supervisor stays the program that it was", { reason: failure });
}

/** Who asked the program before by the control socket asks again; who sent it a signal does not. */
function reloadIfPending(control: NodeControl, node: Node, log: Log): void {
  if (!node.isReloadPending) return;
  log.info("asked for before the program was replaced", { what: "reload" });
  void control.renew({ kind: "reload", binary: null });
}

function openLog({ log }: Snapshot, counters: Counters): Log {
  const terminal = process.stdout.isTTY === true;
  const journal = process.env["JOURNAL_STREAM"];
  return new Log(log, { counters, epochMs: () => Date.now(), terminal, journal, shared: true });
}

async function openControl(
  control: NodeControl,
  snapshot: Snapshot,
  log: Log,
  counters: Counters,
): Promise<ControlSocket> {
  const parts = { control, timers: systemTimers, log, counters, env: process.env };
  return await ControlSocket.open(snapshot.control.socket, parts);
}

type DoorContext = Pick<DoorsParts, "log" | "counters" | "before"> & {
  readonly library: Library;
  readonly runtime: Runtime;
};

async function openDoors(node: Node, snapshot: Snapshot, { library, runtime, ...parts }: DoorContext): Promise<Doors> {
  const doors = await Doors.open(snapshot.observability, {
    ...parts,
    timers: systemTimers,
    handlers: doorHandlers(node, { runtime, library }),
    sockets: doorSockets(library),
  });
  node.doors = doors;
  return doors;
}

/** Who speaks to this program when another one takes its place is told, or waits for that one. */
function awaitReplacement(node: Node, socket: ControlSocket | null, doors: Doors | null): void {
  node.onReplacing = async (generation) => {
    await socket?.announceReplacement(generation);
    await doors?.pause();
  };
  node.onStaying = async () => {
    await doors?.goOn();
    await socket?.openAgain();
  };
}

/** Acts on signals from now on; what it gives serves until it has been told to stop and nobody is left. `begin` resolves when it serves. */
function heedSignals(
  node: Node,
  notice: ServiceNotice,
  { early }: CommandContext,
  log: Log,
): (socket: ControlSocket | null, begin: () => Promise<void>) => Promise<number> {
  const stop = stopSignals();
  obeySignals(notice.around(node), log);
  early.release();
  const { supervisor } = node;
  return async (socket, begin) => {
    const serving = await Promise.race([begin().then(() => true), stop.first.then(() => false)]);
    if (serving) {
      notice.serving();
      await stop.first;
    }
    const { shutdownDelayMs, drainMs } = node.timeouts;
    const delayMs = serving ? shutdownDelayMs : 0;
    supervisor.announceStop();
    notice.stopping(delayMs + drainMs + LIMITS.workerEndMsMax);
    await delayStop(delayMs, stop, log);
    log.info("draining");
    await Promise.race([supervisor.drain(), stop.second.then(() => supervisor.end())]);
    node.close();
    socket?.close();
    node.doors?.close();
    log.info("counted", readHistograms(supervisor.counts).counters);
    log.info("stopped", {
      requests: supervisor.counts["requests_started"] ?? 0,
      native_handles: supervisor.nativeHandles,
    });
    return EXIT_BY_ENDING[supervisor.ending];
  };
}

const EXIT_BY_ENDING = { well: EXIT.ok, "cut-off": EXIT.cutOff, badly: EXIT.failure } as const;
