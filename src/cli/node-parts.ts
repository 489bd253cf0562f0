/** What a node is made of, and how its workers are started. */
import process from "node:process";
import type { Snapshot } from "../config/snapshot.ts";
import { allowedCores } from "../control/cores.ts";
import type { HeldFiles } from "../control/certificates.ts";
import type { PreparedDoors } from "../control/doors.ts";
import type { NodeSecretLists } from "../control/node-keys.ts";
import { ownStartedPath, type Program } from "../control/program.ts";
import type { AdoptWorker, LaunchWorker, WorkerEvents } from "../control/seat.ts";
import type { StartOrder } from "../control/worker-link.ts";
import { adoptWorker, launchWorker } from "../control/worker-process.ts";
import type { Counters } from "../core/counters.ts";
import type { Log } from "../observe/log.ts";
import { AdoptedChildren } from "../runtime/adopted-children.ts";
import { killLeftBehind, killWithGroup } from "../runtime/process-group.ts";
import type { ProcessEnd, Processes } from "../runtime/processes.ts";
import { reapChild } from "../../ffi/children.ts";
import type { Library } from "../../ffi/library.ts";
import { WORKER_COMMAND } from "./args.ts";
import { KeptFiles } from "./kept-files.ts";
import type { CommandContext } from "./command.ts";
import type { Configuration } from "./configuration.ts";
import type { ListenerSockets } from "./listener-sockets.ts";
import { childEnvironment } from "./self.ts";
import { tellListening } from "./server-parts.ts";

/** What a node stands on. */
export interface NodeContext extends CommandContext {
  readonly library: Library;
  readonly processes: Processes;
  readonly log: Log;
  readonly counters: Counters;
}

/** What one generation of workers is made of. */
export interface NodeGeneration {
  /** The one at work: another one may take its place where the workers are. */
  configuration: Configuration;
  readonly program: Program;
  /** Those at work: others follow where they are random. */
  secrets: NodeSecretLists;
  /** Where it is asked how it is, from when it serves. */
  readonly doors: PreparedDoors | null;
}

/** What workers are started from. */
interface LaunchGround {
  readonly context: NodeContext;
  readonly sockets: ListenerSockets;
  readonly bankSlots: number;
  readonly ticketsAreOlder: () => boolean;
}

/** Starts workers of a generation, each with the configuration that is at work then. */
export function launcherOf(
  generation: NodeGeneration,
  { context, sockets, bankSlots, ticketsAreOlder }: LaunchGround,
): LaunchWorker {
  const { processes, library } = context;
  const { program } = generation;
  const cores = generation.configuration.snapshot.workers.pinned ? allowedCores() : [];
  const env = childEnvironment();
  const kept = new KeptFiles();
  kept.keep(generation.configuration.snapshot);
  return (slot, events) => {
    const core = cores.length === 0 ? null : (cores[(slot % bankSlots) % cores.length] ?? null);
    const { secrets } = generation;
    const { path: configPath, text: configText, snapshot } = generation.configuration;
    const order: StartOrder = {
      ...{ type: "start", slot, configPath, configText, core, secrets },
      ticketsAreOlder: ticketsAreOlder(),
      held: heldFor(kept, slot, snapshot, context.log),
    };
    const socketFds = sockets.fdsOf(snapshot, slot);
    const parts = { processes, library, env, program: program.path, argument: WORKER_COMMAND, socketFds, order };
    return launchWorker(
      parts,
      keepingEvents(events, () => kept.keep(generation.configuration.snapshot)),
    );
  };
}

/** Null: the files, which it may say itself what is wrong with. */
function heldFor(kept: KeptFiles, slot: number, snapshot: Snapshot, log: Log): HeldFiles | null {
  const reason = kept.keep(snapshot);
  const held = reason === null ? null : kept.of(snapshot);
  if (reason !== null && held !== null)
    log.warn("certificates cannot be used now: a worker is started with those that the others have", { slot, reason });
  return held;
}

/** A worker has another configuration at work, and with it what the files hold now. */
function keepingEvents(events: WorkerEvents, keep: () => void): WorkerEvents {
  return {
    onReport: (report) => {
      events.onReport(report);
      if (report.type === "committed") keep();
    },
    onGibberish: () => events.onGibberish(),
    onEnded: (end) => events.onEnded(end),
  };
}

/** The file to look at for a new build; null from source. */
export function ownPath({ embedded }: CommandContext): string | null {
  return embedded === null ? null : ownStartedPath();
}

/** Goes on with workers that the program before this one has started in this process. */
export function adopterOf({ processes, library }: NodeContext): AdoptWorker {
  const reap = (pid: number): ProcessEnd | null => reapChild(library, pid);
  const children = new AdoptedChildren({ reap, kill: killWithGroup, killLeftBehind });
  process.on("SIGCHLD", () => children.look());
  return (worker, events) => adoptWorker(processes, children.adopt(worker.pid), worker, events);
}

/** Tells which listeners are new and which are left, now that another configuration is at work. Gives the names of those that are left. */
export function tellListeners(
  sockets: ListenerSockets,
  log: Log,
  before: Snapshot,
  snapshot: Snapshot,
): readonly string[] {
  for (const bound of sockets.added(before, snapshot)) tellListening(log, snapshot, bound);
  const left = sockets.beside(snapshot);
  for (const { address } of left) log.info("listener is left: its connections finish what they have", { address });
  return left.map(({ name }) => name);
}
