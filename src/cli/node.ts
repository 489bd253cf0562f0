/** A supervised program: the sockets, keys and steering of all workers, what their crews are made of, and how it is told what to do. */
import process from "node:process";
import type { Snapshot } from "../config/snapshot.ts";
import { allowedCores, workersForCores } from "../control/cores.ts";
import type { LaunchWorker } from "../control/seat.ts";
import { checkFixedKeys } from "../control/fixed-keys.ts";
import { makeNodeKeys, type NodeSecretLists, renewSecrets, startSecrets, steeringKeys } from "../control/node-keys.ts";
import { ownStartedPath, Program } from "../control/program.ts";
import type { NodeControl, NodeStatus, RenewalOutcome, RenewalRequest } from "../control/renewal.ts";
import { type CrewPlan, Supervisor, type Ways } from "../control/supervisor.ts";
import { launchWorker } from "../control/worker-process.ts";
import type { StartOrder } from "../control/worker-link.ts";
import { must } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../observe/log.ts";
import { encodeProgram } from "../quic/cbpf.ts";
import { steeringProgram } from "../quic/steer.ts";
import type { Processes } from "../runtime/processes.ts";
import { systemTimers } from "../runtime/timers.ts";
import type { Library } from "../../ffi/library.ts";
import { attachSteering } from "../../ffi/steering.ts";
import { openUdpGroup } from "../../ffi/udp-group.ts";
import type { BoundSocket, UdpOptions } from "../../ffi/udp-open.ts";
import { renewUdpSockets } from "../../ffi/udp-renew.ts";
import { WORKER_COMMAND } from "./args.ts";
import { buildInfo } from "./build-info.ts";
import { checkReferences, type CommandContext } from "./commands.ts";
import { type Configuration, readConfiguration } from "./configuration.ts";
import { requestsEnvironment } from "./self.ts";
import { tellWarnings } from "./server.ts";

/** What a node stands on. */
export interface NodeContext extends CommandContext {
  readonly library: Library;
  readonly processes: Processes;
  readonly log: Log;
}

/** What one generation of workers is made of. */
interface Generation {
  readonly configuration: Configuration;
  readonly program: Program;
  readonly secrets: NodeSecretLists;
}

/** The supervisor with all that it holds. */
export class Node implements NodeControl {
  readonly supervisor: Supervisor;
  readonly #context: NodeContext;
  /** Two banks, so that another generation of workers finds its sockets here. */
  readonly #sockets: readonly BoundSocket[];
  readonly #bankSlots: number;
  /** The same for as long as the program runs: ids must find their workers whatever generation these are of. */
  readonly #steering: ReturnType<typeof steeringKeys>;
  readonly #startedEpochMs = Date.now();
  readonly #startedPath: string | null;
  /** Of the workers that take new connections. */
  /** Only the first workers of a node that is alone know that nobody was before them. */
  #ticketsAreOlder = true;
  #generation: Generation;

  /** Opens the sockets. Throws `ProxyError` with nothing left open. */
  constructor(configuration: Configuration, context: NodeContext) {
    const { cluster } = configuration.snapshot;
    this.#context = context;
    this.#startedPath = context.embedded === null ? null : ownStartedPath();
    this.#generation = { configuration, program: Program.running(), secrets: startSecrets(cluster) };
    this.#steering = steeringKeys(makeNodeKeys(this.#generation.secrets, cluster));
    // So that the next configuration may have as many workers as there are cores.
    this.#bankSlots = Math.min(LIMITS.workersMax, Math.max(workersOf(configuration), workersForCores()));
    this.#sockets = openUdpGroup(context.library, socketOptions(configuration.snapshot), 2 * this.#bankSlots);
    this.supervisor = new Supervisor({
      bankSlots: this.#bankSlots,
      timers: systemTimers,
      log: context.log,
      steer: (ways) => this.#steer(ways),
    });
  }

  /** What all sockets have in common can be seen at one of them. */
  get first(): BoundSocket {
    return must(this.#sockets[0], "there are at least two sockets");
  }

  /** Starts the first workers; as `Supervisor.start`. */
  async start(): Promise<void> {
    this.#ticketsAreOlder = this.#generation.configuration.snapshot.cluster.keyFile !== null;
    await this.supervisor.start(this.#planOf(this.#generation));
    this.#ticketsAreOlder = true;
  }

  renew(request: RenewalRequest): Promise<RenewalOutcome> {
    return this.supervisor.renew(() => this.#planOf(this.#prepare(request)));
  }

  reopenLogs(): void {
    this.#context.log.reopen();
    this.supervisor.reopenLogs();
  }

  status(): NodeStatus {
    const { generation, crews, counts } = this.supervisor;
    return {
      pid: process.pid,
      version: buildInfo().version,
      generation,
      configPath: this.#generation.configuration.path,
      startedEpochMs: this.#startedEpochMs,
      crews,
      counts,
    };
  }

  /** Once nobody serves any more. */
  close(): void {
    for (const { fd } of this.#sockets) this.#context.library.libc.close(fd);
  }

  /** All that can be found wrong before a process is started. Throws `ProxyError`. */
  #prepare(request: RenewalRequest): Generation {
    const before = this.#generation;
    const configuration = readConfiguration(before.configuration.path);
    const { snapshot } = configuration;
    checkReferences(snapshot, this.#context.runtime);
    checkFixedKeys(before.configuration.snapshot, snapshot, workersOf(configuration), this.#bankSlots);
    const secrets = renewSecrets(before.secrets, snapshot.cluster);
    return { configuration, program: this.#programFor(request), secrets };
  }

  #programFor({ kind, binary }: RenewalRequest): Program {
    if (kind === "reload") return this.#generation.program.hold();
    const path = binary ?? this.#startedPath;
    // From source, the sources are what has changed.
    return path === null ? Program.running() : Program.open(path);
  }

  #planOf(generation: Generation): CrewPlan {
    const { configuration, program } = generation;
    const { snapshot } = configuration;
    const workers = workersOf(configuration);
    return {
      workers,
      drainMs: snapshot.timeouts.drainMs,
      launch: this.#launcherOf(generation),
      onSlots: ({ first, count }) => {
        const fds = this.#sockets.slice(first, first + count).map(({ fd }) => fd);
        const datagrams = renewUdpSockets(this.#context.library, fds, socketOptions(snapshot));
        if (datagrams > 0) this.#context.log.debug("late datagrams for workers that are gone", { datagrams });
      },
      onTakenOver: () => {
        this.#generation = generation;
        tellWarnings(this.#context.log, snapshot);
      },
      onGone: () => program.release(),
    };
  }

  #launcherOf({ configuration, program, secrets }: Generation): LaunchWorker {
    const { processes, library } = this.#context;
    const cores = configuration.snapshot.workers.pinned ? allowedCores() : [];
    const env = { ...requestsEnvironment, ...process.env };
    return (slot, events) => {
      const core = cores.length === 0 ? null : (cores[(slot % this.#bankSlots) % cores.length] ?? null);
      const { path: configPath, text: configText } = configuration;
      const ticketsAreOlder = this.#ticketsAreOlder;
      const order: StartOrder = { type: "start", slot, configPath, configText, core, secrets, ticketsAreOlder };
      const { fd: socketFd } = must(this.#sockets[slot], "every slot has a socket");
      const parts = { processes, library, env, program: program.path, argument: WORKER_COMMAND, socketFd, order };
      return launchWorker(parts, events);
    };
  }

  #steer(ways: Ways): void {
    const program = steeringProgram({ ...this.#steering, ...ways });
    attachSteering(this.#context.library, this.first.fd, encodeProgram(program));
  }
}

/** How many workers a configuration asks for here. */
function workersOf({ snapshot }: Configuration): number {
  return snapshot.workers.count === "auto" ? workersForCores() : snapshot.workers.count;
}

function socketOptions({ listen, connections }: Snapshot): UdpOptions {
  return {
    ip: listen.address,
    port: listen.port,
    receiveBufferBytes: connections.udpReceiveBufferBytes,
    sendBufferBytes: connections.udpSendBufferBytes,
  };
}
