/** A supervisor over workers that do what the test says, on a clock that stands still until the test moves it. */
import { must } from "../../src/core/assert.ts";
import { ProxyError } from "../../src/core/error.ts";
import { LIMITS } from "../../src/core/limits.ts";
import type { WorkerHandover } from "../../src/control/handover.ts";
import type { WorkerEvents, WorkerPort } from "../../src/control/seat.ts";
import type { RenewalOutcome } from "../../src/control/renewal.ts";
import { Supervisor } from "../../src/control/supervisor.ts";
import type { CrewPlan, Ways } from "../../src/control/supervisor-parts.ts";
import type { Report } from "../../src/control/worker-link.ts";
import { ManualTimers } from "./manual-timers.ts";
import { RememberingLog } from "./remembering-log.ts";

export const DRAIN_MS = 30_000;
export const KILLED = { code: null, signal: "SIGKILL" };
export const WELL = { code: 0, signal: null };
/** The second bank begins with this slot. */
export const BANK = 4;

/** A worker that does what the test says. */
export class FakeWorker {
  readonly orders: string[] = [];
  /** Names of listeners that it was told nobody has after it. */
  listenersGone: readonly string[] = [];
  killed = 0;
  steady = true;
  readonly slot: number;
  readonly pid: number;
  readonly events: WorkerEvents;

  constructor(slot: number, pid: number, events: WorkerEvents) {
    this.slot = slot;
    this.pid = pid;
    this.events = events;
  }

  get port(): WorkerPort {
    const left: WorkerHandover = { pid: this.pid, channelFd: 50 + this.slot, unread: "", unsent: "" };
    return {
      pid: this.pid,
      send: (order) => {
        this.orders.push(order.type);
        if (order.type === "retire") this.listenersGone = order.gone;
      },
      kill: () => void (this.killed += 1),
      handOver: () => (this.steady ? left : null),
    };
  }

  say(report: Report): void {
    this.events.onReport(report);
  }

  ready(): void {
    this.say({ type: "ready" });
  }

  count(requests: number): void {
    this.say({ type: "beat", counts: { requests }, nativeHandles: 1 });
  }

  /** Ends in order: all that it held is given back. */
  finish(): void {
    this.say({ type: "beat", counts: {}, nativeHandles: 0 });
    this.events.onEnded(WELL);
  }
}

/** The supervisor and what it does to its ports. */
export class SupervisorBed {
  readonly timers = new ManualTimers();
  readonly log = new RememberingLog();
  /** In the order of their starts. */
  readonly workers: FakeWorker[] = [];
  /** All that the kernel was told. */
  readonly ways: Ways[] = [];
  /** Slots handed to crews, and what became of their plans, by the names that `renew` gave them. */
  readonly told: string[] = [];
  /** Names of listeners that the next crew does not have. */
  listenersGone: readonly string[] = [];
  /** So many launches fail. */
  refusals = 0;
  /** The kernel refuses other ways. */
  isUnsteerable = false;
  readonly supervisor: Supervisor;
  readonly started: Promise<"started" | ProxyError>;

  constructor(workers: number) {
    this.supervisor = new Supervisor({
      bankSlots: BANK,
      timers: this.timers,
      log: this.log,
      steer: (ways) => {
        if (this.isUnsteerable) throw new ProxyError("SYSTEM_CALL", "no");
        this.ways.push(ways);
      },
    });
    const outcome = this.supervisor.start(this.plan("first", workers)).then(() => "started" as const);
    this.started = outcome.catch((thrown: unknown) => {
      if (thrown instanceof ProxyError) return thrown;
      throw thrown;
    });
  }

  plan(name: string, workers: number): CrewPlan {
    return {
      workers,
      drainMs: DRAIN_MS,
      onSlots: ({ first, count }) => void this.told.push(`${name} has ${first}+${count}`),
      onTakenOver: () => {
        this.told.push(`${name} took over`);
        return this.listenersGone;
      },
      onGone: () => void this.told.push(`${name} is gone`),
      launch: (slot, events) => {
        if (this.refusals > 0) {
          this.refusals -= 1;
          throw new Error("no process");
        }
        const worker = new FakeWorker(slot, 100 + this.workers.length, events);
        this.workers.push(worker);
        return worker.port;
      },
    };
  }

  worker(index: number): FakeWorker {
    return must(this.workers[index], `worker ${index} was launched`);
  }

  /** Asks for another crew. */
  renew(name: string, workers: number): Promise<RenewalOutcome> {
    return this.supervisor.renew(() => this.plan(name, workers));
  }

  /** Another crew takes over, with all its workers in order. */
  async renewed(name: string, workers: number): Promise<readonly FakeWorker[]> {
    const before = this.workers.length;
    const outcome = this.renew(name, workers);
    const crew = this.workers.slice(before);
    for (const worker of crew) worker.ready();
    must((await outcome).ok ? true : null, "the renewal has gone well");
    return crew;
  }

  /** What the kernel was told last. */
  get lastWays(): Ways {
    return must(this.ways.at(-1), "the kernel was told something");
  }

  /** Time passes, heartbeats are said. */
  live(seconds: number, silent: readonly FakeWorker[] = []): void {
    for (let i = 0; i < seconds; i++) {
      this.timers.advance(LIMITS.heartbeatMs);
      for (const worker of this.workers) if (!silent.includes(worker)) worker.count(0);
    }
  }
}

/** A bed whose first crew serves. */
export async function servingBed(workers: number): Promise<SupervisorBed> {
  const bed = new SupervisorBed(workers);
  for (const worker of [...bed.workers]) worker.ready();
  must((await bed.started) === "started" ? true : null, "the first crew serves");
  return bed;
}
