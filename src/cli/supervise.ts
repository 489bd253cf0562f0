/** `spooky --config P`: one process that serves, or a supervisor with its workers. */
import process from "node:process";
import type { Snapshot } from "../config/snapshot.ts";
import { allowedCores, workersForCores } from "../control/cores.ts";
import { makeNodeKeys, type NodeSecretLists, startSecrets, steeringKeys } from "../control/node-keys.ts";
import { Supervisor } from "../control/supervisor.ts";
import { launchWorker } from "../control/worker-process.ts";
import type { StartOrder } from "../control/worker-link.ts";
import { must } from "../core/assert.ts";
import { Counters } from "../core/counters.ts";
import { readHistograms } from "../core/histogram.ts";
import { Log } from "../observe/log.ts";
import { encodeProgram } from "../quic/cbpf.ts";
import { slotsOfBank, type StandIn, steeringProgram } from "../quic/steer.ts";
import type { Processes } from "../runtime/processes.ts";
import { systemTimers } from "../runtime/timers.ts";
import { type Library, openLibrary } from "../../ffi/library.ts";
import { attachSteering, steeringSupport } from "../../ffi/steering.ts";
import { openUdpGroup } from "../../ffi/udp-group.ts";
import type { BoundSocket, UdpOptions } from "../../ffi/udp-open.ts";
import { WORKER_COMMAND } from "./args.ts";
import { checkReferences, type CommandContext, EXIT, flushLog, serve, stopSignals } from "./commands.ts";
import { type Configuration, readConfiguration } from "./configuration.ts";
import { libraryPlaces } from "./places.ts";
import { prepareProcess, requestsEnvironment } from "./self.ts";
import { tellListening } from "./server.ts";

/** Validates, then serves until a signal. */
export async function runServe(configPath: string, context: CommandContext): Promise<number> {
  const configuration = readConfiguration(configPath);
  const { snapshot } = configuration;
  const wanted = snapshot.workers.count === "auto" ? workersForCores() : snapshot.workers.count;
  if (wanted === 1) return serve(snapshot, context, () => Promise.resolve());
  prepareProcess(context.runtime, process.env, context.early.names);
  const library = openLibrary(context.runtime.foreign, libraryPlaces(context.embedded, process.env));
  const { processes, name } = context.runtime;
  if (processes === null) return serveAlone(snapshot, context, `${name} cannot hand a socket to another process`);
  const support = steeringSupport(library);
  if (!support.supported) return serveAlone(snapshot, context, support.reason);
  return supervise(configuration, wanted, { ...context, library, processes });
}

/** Where packets cannot be brought to the worker that knows their connection, one process is all that is sound. */
function serveAlone(snapshot: Snapshot, context: CommandContext, reason: string): Promise<number> {
  return serve(snapshot, context, (_, log) => {
    log.warn("one process serves instead of several workers", { reason });
    return Promise.resolve();
  });
}

interface SuperviseContext extends CommandContext {
  readonly library: Library;
  readonly processes: Processes;
}

async function supervise(configuration: Configuration, workers: number, context: SuperviseContext): Promise<number> {
  const { snapshot } = configuration;
  checkReferences(snapshot, context.runtime);
  const terminal = process.stdout.isTTY === true;
  const log = new Log(snapshot.log, { counters: new Counters(), epochMs: () => Date.now(), terminal, shared: true });
  try {
    const node = new Node(configuration, workers, context, log);
    const stop = stopSignals(log);
    const { supervisor } = node;
    const serving = await Promise.race([supervisor.start().then(() => true), stop.first.then(() => false)]);
    if (serving) {
      tellListening(log, snapshot, node.first, { workers });
      await stop.first;
    }
    log.info("draining", { workers });
    await Promise.race([supervisor.drain(), stop.second.then(() => supervisor.end())]);
    node.close();
    log.info("counted", readHistograms(supervisor.counts).counters);
    log.info("stopped", {
      requests: supervisor.counts["requests_started"] ?? 0,
      native_handles: supervisor.nativeHandles,
    });
    return supervisor.endedWell ? EXIT.ok : EXIT.failure;
  } finally {
    await flushLog(log);
  }
}

/** Sockets, keys and steering of all workers, and their supervisor. */
class Node {
  readonly supervisor: Supervisor;
  readonly #library: Library;
  /** Two banks, so that another generation of workers finds its sockets here. */
  readonly #sockets: readonly BoundSocket[];
  readonly #secrets: NodeSecretLists;
  readonly #steering: ReturnType<typeof steeringKeys>;
  readonly #workers: number;

  /** Binds and steers. Throws `ProxyError` with nothing left open. */
  constructor(configuration: Configuration, workers: number, context: SuperviseContext, log: Log) {
    const { library, processes } = context;
    const { snapshot } = configuration;
    this.#library = library;
    this.#workers = workers;
    this.#secrets = startSecrets(snapshot.cluster);
    this.#steering = steeringKeys(makeNodeKeys(this.#secrets, snapshot.cluster));
    this.#sockets = openUdpGroup(library, socketOptions(snapshot), 2 * workers);
    this.#steer([]);
    const cores = snapshot.workers.pinned ? allowedCores() : [];
    this.supervisor = new Supervisor({
      slots: workers,
      timers: systemTimers,
      log,
      drainMs: snapshot.timeouts.drainMs,
      onStandIns: (standIns) => {
        log.warn("datagrams of slots without a worker go to others", {
          slots: standIns.map(({ slot }) => slot).join(),
        });
        this.#steer(standIns);
      },
      launch: (slot, events) =>
        launchWorker(
          {
            processes,
            library,
            env: { ...requestsEnvironment, ...process.env },
            argument: WORKER_COMMAND,
            socketFd: this.#sockets[slot]?.fd ?? -1,
            order: this.#orderFor(slot, configuration, cores),
          },
          events,
        ),
    });
  }

  /** What all sockets have in common can be seen at one of them. */
  get first(): BoundSocket {
    return must(this.#sockets[0], "there are at least four sockets");
  }

  close(): void {
    for (const { fd } of this.#sockets) this.#library.libc.close(fd);
  }

  #steer(standIns: readonly StandIn[]): void {
    const active = slotsOfBank(0, this.#workers, this.#workers);
    const plan = { ...this.#steering, active, draining: null, standIns };
    attachSteering(this.#library, this.first.fd, encodeProgram(steeringProgram(plan)));
  }

  #orderFor(slot: number, { path, text }: Configuration, cores: readonly number[]): StartOrder {
    const core = cores.length === 0 ? null : (cores[slot % cores.length] ?? null);
    return { type: "start", slot, configPath: path, configText: text, core, secrets: this.#secrets };
  }
}

function socketOptions({ listen, connections }: Snapshot): UdpOptions {
  return {
    ip: listen.address,
    port: listen.port,
    receiveBufferBytes: connections.udpReceiveBufferBytes,
    sendBufferBytes: connections.udpSendBufferBytes,
  };
}
