/**
 * Keeps one worker alive in every slot: starts them, notices those that end or fall silent, starts them again, and ends them all.
 * Policy only: how a worker is started and spoken to is a port, time is given, sockets are nobody's business here.
 */
import { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Logger } from "../observe/log.ts";
import type { StandIn } from "../quic/steer.ts";
import type { ProcessEnd } from "../runtime/processes.ts";
import type { TimerHandle, Timers } from "../runtime/timers.ts";
import { RestartBackoff } from "./backoff.ts";
import { CounterSums } from "./counter-sums.ts";
import type { SeatPhase } from "./renewal.ts";
import type { Order, Report } from "./worker-link.ts";

/** A worker's process with its channel. */
export interface WorkerPort {
  readonly pid: number;
  send(order: Order): void;
  /** SIGKILL. */
  kill(): void;
}

/** What a worker's port tells. */
export interface WorkerEvents {
  onReport(report: Report): void;
  /** It said something that does not read. */
  onGibberish(): void;
  /** It has ended, and everything it said has been told. */
  onEnded(end: ProcessEnd): void;
}

/** What a supervisor is made of. */
export interface SupervisorParts {
  readonly slots: number;
  readonly timers: Timers;
  readonly log: Logger;
  readonly drainMs: number;
  /** Starts the worker of a slot. Throws when the system has no process for it. */
  readonly launch: (slot: number, events: WorkerEvents) => WorkerPort;
  /** These slots have nobody to read their sockets for a while; others shall get their datagrams. */
  readonly onStandIns: (standIns: readonly StandIn[]) => void;
}

/** A slot without a worker for longer than this gets a stand-in, milliseconds: until then its socket keeps what comes. */
const UNREAD_MS_MAX = 500;

interface Seat {
  readonly slot: number;
  readonly backoff: RestartBackoff;
  phase: SeatPhase;
  worker: WorkerPort | null;
  startedMs: number;
  readyMs: number;
  /** Heartbeats left out, by our own count of time: when the whole machine stood still, ours did too. */
  missed: number;
  restart: TimerHandle | null;
  /** Its socket is not read, and is not meant to be soon. */
  unread: boolean;
  nativeHandles: number;
}

/** Watches the workers. */
export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #seats: readonly Seat[];
  readonly #sums = new CounterSums();
  readonly #ticking: TimerHandle;
  #restarts = 0;
  /** Of the first start of all. */
  #started: { resolve: () => void; reject: (error: ProxyError) => void } | null = null;
  #stopped: (() => void) | null = null;
  #stopping = false;
  /** A worker had to be killed, or ended badly, while all were told to end. */
  #clean = true;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#seats = Array.from({ length: parts.slots }, (_, slot) => makeSeat(slot));
    this.#ticking = parts.timers.every(LIMITS.heartbeatMs, () => this.#tick());
  }

  /** Counters of all workers together, dead ones included; and how often one was started again. */
  get counts(): Record<string, number> {
    return this.#restarts === 0 ? this.#sums.sums() : { ...this.#sums.sums(), worker_restarts: this.#restarts };
  }

  /** Native objects that workers held when they last said so. */
  get nativeHandles(): number {
    return this.#seats.reduce((sum, seat) => sum + seat.nativeHandles, 0);
  }

  /** Did all workers end by themselves, and well? */
  get endedWell(): boolean {
    return this.#clean;
  }

  /** Starts all. Resolves when every one serves; rejects when one ends or fails before, and all others are ended then. */
  async start(): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#started = { resolve, reject };
        for (const seat of this.#seats) this.#launch(seat);
      });
    } catch (thrown) {
      await this.end();
      throw thrown;
    } finally {
      this.#started = null;
    }
  }

  /** Tells all to finish what runs; resolves when all have ended, by force after the drain time. */
  drain(): Promise<void> {
    return this.#stop("drain", this.#parts.drainMs + LIMITS.workerEndMsMax);
  }

  /** Tells all to end now; resolves when they have. */
  end(): Promise<void> {
    return this.#stop("end", LIMITS.workerEndMsMax);
  }

  #stop(type: "drain" | "end", killAfterMs: number): Promise<void> {
    this.#stopping = true;
    for (const seat of this.#seats) {
      seat.restart?.stop();
      if (seat.worker === null) seat.phase = "ended";
      // One that does not serve yet has nothing to finish.
      else if (seat.phase === "starting") seat.worker.send({ type: "end" });
      else seat.worker.send({ type });
    }
    const killing = this.#parts.timers.after(killAfterMs, () => this.#killAll());
    const before = this.#stopped;
    return new Promise((resolve) => {
      this.#stopped = () => {
        killing.stop();
        before?.();
        resolve();
      };
      this.#settleStop();
    });
  }

  #settleStop(): void {
    if (!this.#seats.every(({ phase }) => phase === "ended")) return;
    this.#ticking.stop();
    this.#stopped?.();
  }

  #killAll(): void {
    for (const { slot, worker } of this.#seats) {
      if (worker === null) continue;
      this.#parts.log.error("worker does not end: killed", { slot, pid: worker.pid });
      worker.kill();
    }
  }

  #launch(seat: Seat): void {
    const { timers, log } = this.#parts;
    seat.phase = "starting";
    seat.startedMs = timers.nowMs();
    seat.readyMs = Infinity;
    try {
      seat.worker = this.#parts.launch(seat.slot, {
        onReport: (report) => this.#onReport(seat, report),
        onGibberish: () => {
          log.error("worker says what nobody understands: killed", { slot: seat.slot });
          seat.worker?.kill();
        },
        onEnded: (end) => this.#onEnded(seat, end),
      });
    } catch (thrown) {
      log.error("worker cannot be started", { slot: seat.slot, reason: String(thrown) });
      this.#onEnded(seat, { code: null, signal: null });
    }
  }

  #onReport(seat: Seat, report: Report): void {
    seat.missed = 0;
    switch (report.type) {
      case "beat":
        seat.nativeHandles = report.nativeHandles;
        return this.#sums.report(seat.slot, report.counts);
      case "ready":
        return this.#onReady(seat);
      case "failed":
        this.#started?.reject(new ProxyError(report.isConfig ? "CONFIG_INVALID" : "WORKER_FAILED", report.text));
        return this.#parts.log.error("worker cannot serve", { slot: seat.slot, reason: report.text });
    }
  }

  #onReady(seat: Seat): void {
    const { timers, log } = this.#parts;
    seat.phase = "serving";
    seat.readyMs = timers.nowMs();
    log.info("worker serves", {
      slot: seat.slot,
      pid: seat.worker?.pid ?? 0,
      started_in_ms: Math.round(seat.readyMs - seat.startedMs),
    });
    if (seat.unread) {
      seat.unread = false;
      this.#steer();
    }
    if (this.#seats.every(({ phase }) => phase === "serving")) this.#started?.resolve();
  }

  #onEnded(seat: Seat, { code, signal }: ProcessEnd): void {
    const { slot, worker, readyMs } = seat;
    this.#sums.settle(slot);
    seat.worker = null;
    const fields = { slot, pid: worker?.pid ?? 0, code, signal };
    if (this.#stopping) {
      seat.phase = "ended";
      if (code !== 0) {
        this.#clean = false;
        this.#parts.log.warn("worker ended badly", fields);
      }
      return this.#settleStop();
    }
    if (this.#started !== null) {
      const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
      return this.#started.reject(new ProxyError("WORKER_FAILED", `worker ${slot} ended ${how} before it served`));
    }
    const servedMs = readyMs === Infinity ? 0 : this.#parts.timers.nowMs() - readyMs;
    const delayMs = seat.backoff.delayAfter(servedMs);
    this.#parts.log.error("worker ended: started again", { ...fields, after_ms: delayMs });
    this.#relaunch(seat, delayMs);
  }

  #relaunch(seat: Seat, delayMs: number): void {
    this.#restarts += 1;
    seat.nativeHandles = 0;
    seat.missed = 0;
    seat.phase = "waiting";
    if (delayMs === 0) return this.#launch(seat);
    if (delayMs > UNREAD_MS_MAX && !seat.unread) {
      seat.unread = true;
      this.#steer();
    }
    seat.restart = this.#parts.timers.after(delayMs, () => this.#launch(seat));
  }

  /** Slots that are not read get the nearest one after them that is. With none, nothing helps. */
  #steer(): void {
    const count = this.#seats.length;
    const standIns = this.#seats.flatMap(({ slot, unread }) => {
      if (!unread) return [];
      const others = Array.from({ length: count - 1 }, (_, i) => (slot + 1 + i) % count);
      const by = others.find((other) => this.#seats[other]?.unread === false);
      return by === undefined ? [] : [{ slot, by }];
    });
    this.#parts.onStandIns(standIns);
  }

  /** Once each heartbeat's time. */
  #tick(): void {
    for (const seat of this.#seats) {
      if (seat.worker === null) continue;
      seat.missed += 1;
      const allowed =
        seat.phase === "starting" ? LIMITS.workerStartMsMax / LIMITS.heartbeatMs : LIMITS.heartbeatsMissedMax;
      if (seat.missed <= allowed) continue;
      // The end of a process follows its SIGKILL; not to be asked for each second until it does.
      seat.missed = 0;
      this.#parts.log.error("worker says nothing: killed", {
        slot: seat.slot,
        pid: seat.worker.pid,
        phase: seat.phase,
      });
      seat.worker.kill();
    }
  }
}

function makeSeat(slot: number): Seat {
  const times = { startedMs: 0, readyMs: Infinity, missed: 0, nativeHandles: 0 };
  return {
    slot,
    backoff: new RestartBackoff(),
    phase: "waiting",
    worker: null,
    restart: null,
    unread: false,
    ...times,
  };
}
