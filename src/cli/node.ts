/** A supervised program: the sockets, keys and steering of all workers, what their crews are made of, and how it is told what to do. */
import process from "node:process";
import { workersForCores } from "../control/cores.ts";
import type { Handover, SupervisorHandover, WayBack } from "../control/handover.ts";
import { checkFixedKeys } from "../control/fixed-keys.ts";
import type { NodeClaim } from "../control/node-claim.ts";
import { makeNodeKeys, type NodeSecretLists, renewSecrets, startSecrets, steeringKeys } from "../control/node-keys.ts";
import { type Observable, type Observed, observeCrews } from "../control/observed.ts";
import { Program } from "../control/program.ts";
import type { Doors } from "../control/doors.ts";
import type { NodeControl, NodeStatus, RenewalOutcome, RenewalRequest, Vitals } from "../control/renewal.ts";
import { Supervisor } from "../control/supervisor.ts";
import type { CrewPlan, SupervisorBefore, SupervisorParts } from "../control/supervisor-parts.ts";
import { vitalsOf, withUnusablePools } from "../control/vitals.ts";
import { countersSeen } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../observe/log.ts";
import type { ChildProcess } from "../runtime/processes.ts";
import { systemTimers } from "../runtime/timers.ts";
import { formatAddress } from "../../ffi/sockaddr.ts";
import type { BoundSocket } from "../../ffi/udp-open.ts";
import { buildInfo } from "./build-info.ts";
import { checkReferences } from "./references.ts";
import { type Configuration, readConfigurationAgain, workersOf } from "./configuration.ts";
import { handoverOf } from "./node-handover.ts";
import { readLedger } from "./reload-ledger.ts";
import { ReloadDesk, type ReloadPorts, type Tell } from "./reload-desk.ts";
import { replaceProgram } from "./replace.ts";
import { bankOf, ListenerSockets } from "./listener-sockets.ts";
import { adopterOf, launcherOf, type NodeContext, type NodeGeneration, ownPath, tellListeners } from "./node-parts.ts";
import { claimOrClose } from "./node-sockets.ts";
import { startRotation } from "./rotation.ts";
import { tellWarnings } from "./server-parts.ts";

/** What the program before has left. */
export interface NodeBefore {
  readonly handover: Handover;
  readonly secrets: NodeSecretLists;
  /** What the workers that take new connections are made of. */
  readonly program: Program;
}

/** The supervisor with all that it holds. */
export class Node implements NodeControl, Observable {
  readonly supervisor: Supervisor;
  /** Another program is about to go on in place of this one, whose workers of that generation serve already. */
  onReplacing: ((generation: number) => Promise<void>) | null = null;
  /** It does not after all. */
  onStaying: (() => Promise<void>) | null = null;
  /** Where it is asked how it is; null before they are open. */
  doors: Doors | null = null;
  readonly #context: NodeContext;
  /** Two banks, so that another generation of workers finds its sockets here. */
  readonly #sockets: ListenerSockets;
  readonly #bankSlots: number;
  /** Nobody else on this machine is this node. */
  readonly #claim: NodeClaim;
  readonly #startedEpochMs: number;
  readonly #startedPath: string | null;
  #notice: string | null = null;
  #trial: ChildProcess | null = null;
  /** Only the first workers of a node that is alone know that nobody was before them. */
  #ticketsAreOlder = true;
  /** Of the workers that take new connections. */
  #generation: NodeGeneration;
  readonly #desk: ReloadDesk;
  readonly #isReloadPending: boolean;

  /** Opens the sockets, or goes on with those of the program before. Throws `ProxyError` with nothing left open that it has opened. */
  constructor(configuration: Configuration, context: NodeContext, before: NodeBefore | null = null) {
    const { snapshot } = configuration;
    const left = before?.handover ?? null;
    this.#context = context;
    this.#startedPath = left === null ? ownPath(context) : left.startedPath;
    this.#startedEpochMs = left?.startedEpochMs ?? Date.now();
    const secrets = before?.secrets ?? startSecrets(snapshot.cluster);
    this.#generation = { configuration, program: before?.program ?? Program.running(), secrets, doors: null };
    const keys = makeNodeKeys(secrets, snapshot.cluster);
    // So that the next configuration may have as many workers as there are cores.
    this.#bankSlots =
      left?.bankSlots ?? Math.min(LIMITS.workersMax, Math.max(workersOf(configuration), workersForCores()));
    // The same for as long as the program runs: ids must find their workers whatever generation these are of.
    const marks = steeringKeys(keys);
    const socketParts = { library: context.library, log: context.log, bankSlots: this.#bankSlots, marks };
    this.#sockets =
      left === null ? ListenerSockets.open(socketParts, snapshot) : ListenerSockets.adopt(socketParts, left, snapshot);
    this.#claim = claimOrClose(context, keys, { sockets: this.#sockets, goesOn: left !== null });
    const { log, counters } = context;
    const parts: SupervisorParts = {
      ...{ bankSlots: this.#bankSlots, timers: systemTimers, log },
      steer: (ways) => this.#sockets.steer(ways),
      counted: () => countersSeen(counters),
    };
    this.supervisor = new Supervisor(parts, left === null ? null : this.#supervisorBefore(left.supervisor));
    startRotation(this.supervisor, () => this.#generation);
    const ledger = readLedger(left?.reloads);
    this.#isReloadPending = ledger?.isReloadPending ?? false;
    this.#desk = new ReloadDesk(configuration, this.#reloadPorts(log), ledger);
  }

  #reloadPorts(log: Log): ReloadPorts {
    return {
      ...{ log, timers: systemTimers, generation: () => this.supervisor.generation },
      leaving: () => this.supervisor.draining,
      check: (configuration) => this.#check(configuration),
      inPlace: (configuration) => this.#reloadInPlace(configuration),
      byNewWorkers: (configuration, tell) =>
        this.#byCrew(() => this.#generationOf(configuration, this.#generation.program.hold()), tell),
    };
  }

  #supervisorBefore(handover: SupervisorHandover): SupervisorBefore {
    const { active, draining } = handover;
    return {
      ...{ handover, adopt: adopterOf(this.#context) },
      plan: this.#planOf(this.#generation, bankOf(active.firstSlot)),
      onDrainingGone: () => (draining === null ? undefined : this.#sockets.leave(bankOf(draining.firstSlot))),
    };
  }

  /** A socket of each listener: what all of a listener have in common can be seen at it. */
  get listening(): readonly BoundSocket[] {
    return this.#sockets.examplesOf(this.#generation.configuration.snapshot);
  }

  /** Starts the first workers; as `Supervisor.start`. */
  async start(): Promise<void> {
    this.#ticketsAreOlder = this.#generation.configuration.snapshot.cluster.keyFile !== null;
    await this.supervisor.start(this.#planOf(this.#generation));
    this.#ticketsAreOlder = true;
  }

  /** The program before was asked for a reload that it had not begun. */
  get isReloadPending(): boolean {
    return this.#isReloadPending;
  }

  async renew(request: RenewalRequest, tell?: (progress: string) => void): Promise<RenewalOutcome> {
    if (request.kind !== "upgrade") return this.#desk.ask(request.kind, tell);
    const upgrade = (): Promise<RenewalOutcome> => this.#upgrade(request, tell);
    return this.supervisor.crews.some(({ role }) => role === "starting") ? upgrade() : this.#desk.alone(upgrade);
  }

  async #upgrade(request: RenewalRequest, tell?: (progress: string) => void): Promise<RenewalOutcome> {
    const outcome = await this.#byCrew(() => this.#prepare(request), tell);
    if (!outcome.ok) return outcome;
    this.#desk.onAtWork(this.#generation.configuration, outcome.generation);
    await this.#replaceSelf(outcome.generation, tell);
    return outcome;
  }

  async #byCrew(prepare: () => NodeGeneration, tell: Tell): Promise<RenewalOutcome> {
    const prepared: NodeGeneration[] = [];
    const outcome = await this.supervisor.renew(() => {
      const generation = prepare();
      prepared.push(generation);
      return this.#planOf(generation);
    }, tell);
    if (!outcome.ok) {
      for (const { doors } of prepared) doors?.abandon();
      this.#sockets.discard();
    }
    return outcome;
  }

  /** Where the workers are. */
  async #reloadInPlace(configuration: Configuration): Promise<number> {
    const { snapshot, path: configPath, text: configText } = configuration;
    const doors = this.doors?.prepareHeld(snapshot.observability) ?? null;
    try {
      return await this.supervisor.reload({ configPath, configText }, snapshot.timeouts.drainMs, () => {
        this.#generation.configuration = configuration;
        doors?.commit();
        this.#context.log.configure(snapshot.log);
        tellWarnings(this.#context.log, snapshot);
      });
    } catch (thrown) {
      doors?.abandon();
      throw thrown;
    }
  }

  /** The supervisor follows its workers. When it cannot, they have another build than it has, and serve all the same. */
  async #replaceSelf(generation: number, tell?: (progress: string) => void): Promise<void> {
    const { runtime, processes, log } = this.#context;
    tell?.(`generation ${generation} serves; the supervisor follows`);
    const program = this.#generation.program.hold();
    const reason = await replaceProgram({
      ...{ runtime, processes, log, program },
      write: (back) => this.#handOver(back),
      isStopping: () => this.supervisor.isStopping,
      onTrial: (trial) => (this.#trial = trial),
      onReplacing: () => this.onReplacing?.(generation) ?? Promise.resolve(),
    });
    program.release();
    await this.onStaying?.();
    this.notify(`the workers are those of the new program, the supervisor is not: ${reason}`);
    log.error("the supervisor stays the program that it was; its workers are those of the new one", { reason });
  }

  #handOver(back: Omit<WayBack, "fds">): Handover | null {
    return handoverOf({
      ...{ supervisor: this.supervisor, generation: this.#generation, sockets: this.#sockets, doors: this.doors, back },
      ...{ startedEpochMs: this.#startedEpochMs, startedPath: this.#startedPath, bankSlots: this.#bankSlots },
      reloads: this.#desk.ledger,
    });
  }

  observed(): Observed {
    const [{ snapshot }, reloads] = [this.#generation.configuration, this.#desk.status];
    return observeCrews(this.supervisor, { snapshot, startedEpochMs: this.#startedEpochMs, reloads });
  }

  /** For the status: something is not as it was asked for. An upgrade that succeeds ends it, for it ends this program. */
  notify(notice: string): void {
    this.#notice = notice;
  }

  reopenLogs(): void {
    this.#context.log.reopen();
    this.supervisor.tell({ type: "reopen" });
  }

  status(): NodeStatus {
    const { generation, counts } = this.supervisor;
    return {
      pid: process.pid,
      version: buildInfo().version,
      generation,
      configPath: this.#generation.configuration.path,
      listeners: this.listening.map(({ local }) => formatAddress(local)),
      startedEpochMs: this.#startedEpochMs,
      configuration: this.#desk.status,
      crews: withUnusablePools(this.supervisor, this.#generation.configuration),
      counts,
      notice: this.#notice,
    };
  }

  vitals(): Vitals {
    return vitalsOf(withUnusablePools(this.supervisor, this.#generation.configuration), this.supervisor.isStopping);
  }

  /** Once nobody serves any more. */
  close(): void {
    this.#trial?.kill();
    this.#sockets.close();
    this.#claim.release();
  }

  /** Of the configuration at work. */
  get timeouts(): Configuration["snapshot"]["timeouts"] {
    return this.#generation.configuration.snapshot.timeouts;
  }

  /** All that can be found wrong before a process is started. Throws `ProxyError`. */
  #prepare(request: RenewalRequest): NodeGeneration {
    const configuration = readConfigurationAgain(this.#generation.configuration.path);
    this.#check(configuration);
    return this.#generationOf(configuration, this.#programFor(request));
  }

  #check(configuration: Configuration): void {
    const { snapshot } = configuration;
    checkReferences(snapshot, this.#context.runtime);
    checkFixedKeys(this.#generation.configuration.snapshot, snapshot, workersOf(configuration), this.#bankSlots);
  }

  #generationOf(configuration: Configuration, program: Program): NodeGeneration {
    const { cluster, observability } = configuration.snapshot;
    try {
      const secrets = renewSecrets(this.#generation.secrets, cluster);
      this.#sockets.prepare(configuration.snapshot);
      return { configuration, program, secrets, doors: this.doors?.prepareHeld(observability) ?? null };
    } catch (thrown) {
      program.release();
      throw thrown;
    }
  }

  #programFor({ binary }: RenewalRequest): Program {
    const path = binary ?? this.#startedPath;
    // From source, the sources are what has changed.
    return path === null ? Program.running() : Program.open(path);
  }

  /** `bank`: whose slots it has when nobody tells. */
  #planOf(generation: NodeGeneration, bank = 0): CrewPlan {
    const { configuration, program } = generation;
    const { snapshot } = configuration;
    let ownBank = bank;
    return {
      workers: workersOf(configuration),
      drainMs: snapshot.timeouts.drainMs,
      launch: launcherOf(generation, {
        ...{ context: this.#context, sockets: this.#sockets, bankSlots: this.#bankSlots },
        ticketsAreOlder: () => this.#ticketsAreOlder,
      }),
      onSlots: (slots) => {
        ownBank = bankOf(slots.first);
        this.#sockets.enter(snapshot, slots);
      },
      onTakenOver: () => this.#onTakenOver(generation),
      onGone: () => {
        program.release();
        this.#sockets.leave(ownBank);
      },
    };
  }

  #onTakenOver(generation: NodeGeneration): readonly string[] {
    const { log } = this.#context;
    const { snapshot } = generation.configuration;
    const before = this.#generation.configuration.snapshot;
    this.#generation = generation;
    generation.doors?.commit();
    tellWarnings(log, snapshot);
    return tellListeners(this.#sockets, log, before, snapshot);
  }
}
