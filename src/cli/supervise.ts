/** `spooky --config P`: a supervisor with its workers, or one process that serves. */
import process from "node:process";
import { ControlSocket } from "../control/control-socket.ts";
import { Counters } from "../core/counters.ts";
import { readHistograms } from "../core/histogram.ts";
import { Log } from "../observe/log.ts";
import { systemTimers } from "../runtime/timers.ts";
import { openLibrary } from "../../ffi/library.ts";
import { steeringSupport } from "../../ffi/steering.ts";
import { checkReferences, type CommandContext, EXIT, flushLog, serve, stopSignals } from "./commands.ts";
import { type Configuration, readConfiguration } from "./configuration.ts";
import { obeySignals } from "./control-signals.ts";
import { Node, type NodeContext } from "./node.ts";
import { libraryPlaces } from "./places.ts";
import { prepareProcess } from "./self.ts";
import { tellListening } from "./server.ts";

/** Validates, then serves until a signal. */
export async function runServe(configPath: string, context: CommandContext): Promise<number> {
  const configuration = readConfiguration(configPath);
  const { snapshot } = configuration;
  if (!snapshot.workers.supervised) return serve(snapshot, configPath, context, () => Promise.resolve());
  prepareProcess(context.runtime, process.env, context.early.names);
  const library = openLibrary(context.runtime.foreign, libraryPlaces(context.embedded, process.env));
  const { processes, name } = context.runtime;
  if (processes === null) return serveAlone(configuration, context, `${name} cannot hand a socket to another process`);
  const support = steeringSupport(library);
  if (!support.supported) return serveAlone(configuration, context, support.reason);
  return supervise(configuration, { ...context, library, processes });
}

/** Where packets cannot be brought to the worker that knows their connection, one process is all that is sound. */
function serveAlone({ snapshot, path }: Configuration, context: CommandContext, reason: string): Promise<number> {
  return serve(snapshot, path, context, (_, log) => {
    log.warn("one process serves, without a supervisor", { reason });
    return Promise.resolve();
  });
}

async function supervise(configuration: Configuration, parts: Omit<NodeContext, "log">): Promise<number> {
  const { snapshot } = configuration;
  checkReferences(snapshot, parts.runtime);
  const terminal = process.stdout.isTTY === true;
  const counters = new Counters();
  const log = new Log(snapshot.log, { counters, epochMs: () => Date.now(), terminal, shared: true });
  try {
    const node = new Node(configuration, { ...parts, log });
    const stop = stopSignals();
    obeySignals(node, log);
    parts.early.release();
    const control = { control: node, timers: systemTimers, log, counters, env: process.env };
    const socket = await ControlSocket.open(snapshot.control.socket, control);
    const { supervisor } = node;
    const serving = await Promise.race([node.start().then(() => true), stop.first.then(() => false)]);
    const workers = supervisor.crews.reduce((sum, crew) => sum + crew.workers.length, 0);
    if (serving) {
      tellListening(log, snapshot, node.first, { workers });
      await stop.first;
    }
    log.info("draining");
    await Promise.race([supervisor.drain(), stop.second.then(() => supervisor.end())]);
    node.close();
    socket.close();
    log.info("counted", readHistograms(supervisor.counts).counters);
    log.info("stopped", {
      requests: supervisor.counts["requests_started"] ?? 0,
      native_handles: supervisor.nativeHandles,
    });
    return EXIT_BY_ENDING[supervisor.ending];
  } finally {
    await flushLog(log);
  }
}

const EXIT_BY_ENDING = { well: EXIT.ok, "cut-off": EXIT.cutOff, badly: EXIT.failure } as const;
