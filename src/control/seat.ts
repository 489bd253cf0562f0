/** One worker of a crew: its process as a port, and what the crew knows of it. */
import { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { LogFields } from "../observe/line.ts";
import type { Logger } from "../observe/log.ts";
import type { SlotRange } from "../quic/steer.ts";
import type { ProcessEnd } from "../runtime/processes.ts";
import type { TimerHandle } from "../runtime/timers.ts";
import { RestartBackoff } from "./backoff.ts";
import type { SeatHandover, WorkerHandover } from "./handover.ts";
import type { SeatPhase, SeatStatus } from "./renewal.ts";
import type { Beat, Order, Report } from "./worker-link.ts";

/** A worker's process with its channel. */
export interface WorkerPort {
  readonly pid: number;
  send(order: Order): void;
  /** SIGKILL. */
  kill(): void;
  /** What another program in this process needs to go on with it; null when it is not steady: just started, or about to end. */
  handOver(): WorkerHandover | null;
}

/** What a worker's port tells. */
export interface WorkerEvents {
  onReport(report: Report): void;
  /** It said something that does not read. */
  onGibberish(): void;
  /** It has ended, and everything it said has been told. */
  onEnded(end: ProcessEnd): void;
}

/** Starts the worker of a slot. Throws when the system has no process for it. */
export type LaunchWorker = (slot: number, events: WorkerEvents) => WorkerPort;

/** Goes on with a worker that the program before this one has started. */
export type AdoptWorker = (worker: WorkerHandover, events: WorkerEvents) => WorkerPort;

/** A slot without a worker for longer than this gets a stand-in, milliseconds: until then its socket keeps what comes. */
export const UNREAD_MS_MAX = 500;

/** A slot and whoever has it. */
export interface Seat {
  readonly slot: number;
  readonly backoff: RestartBackoff;
  phase: SeatPhase;
  worker: WorkerPort | null;
  startedMs: number;
  readyMs: number;
  /** Heartbeats left out, by our own count of time: when the whole machine stood still, ours did too. */
  missed: number;
  restart: TimerHandle | null;
  /** When it is started again; Infinity when it is not. */
  restartAtMs: number;
  /** Its socket is not read, and is not meant to be soon. */
  unread: boolean;
  nativeHandles: number;
  /** Alive when its worker last said so. */
  connections: number;
}

/** Those of a crew: empty ones, or as the program before had them, their workers not in them yet. */
export function makeSeats(slots: SlotRange, before: readonly SeatHandover[] | null, nowMs: number): readonly Seat[] {
  if (before !== null) return before.map((seat) => takeOverSeat(seat, nowMs));
  return Array.from({ length: slots.count }, (_, i) => makeSeat(slots.first + i));
}

function makeSeat(slot: number): Seat {
  const times = { startedMs: 0, readyMs: Infinity, missed: 0, nativeHandles: 0, connections: 0 };
  return {
    slot,
    backoff: new RestartBackoff(),
    phase: "waiting",
    worker: null,
    restart: null,
    restartAtMs: Infinity,
    unread: false,
    ...times,
  };
}

/** What another program needs to go on with seats; null when one of them has to settle first. */
export function handOverSeats(seats: readonly Seat[], nowMs: number): readonly SeatHandover[] | null {
  const all = seats.map((seat) => handOverSeat(seat, nowMs));
  return all.every((seat) => seat !== null) ? all : null;
}

function handOverSeat(seat: Seat, nowMs: number): SeatHandover | null {
  const { slot, phase, missed, unread, nativeHandles, connections } = seat;
  const worker = seat.worker?.handOver() ?? null;
  if (worker === null && seat.worker !== null) return null;
  return {
    ...{ slot, phase, worker, missed, unread, nativeHandles, connections },
    aliveMs: nowMs - seat.startedMs,
    servingMs: seat.readyMs === Infinity ? null : nowMs - seat.readyMs,
    restartInMs: seat.restartAtMs === Infinity ? null : Math.max(0, seat.restartAtMs - nowMs),
    failures: seat.backoff.failures,
  };
}

function takeOverSeat(before: SeatHandover, nowMs: number): Seat {
  const { slot, phase, missed, unread, nativeHandles, connections, servingMs, restartInMs } = before;
  return {
    ...{ slot, phase, worker: null, missed, restart: null, unread, nativeHandles, connections },
    backoff: new RestartBackoff(before.failures),
    startedMs: nowMs - before.aliveMs,
    readyMs: servingMs === null ? Infinity : nowMs - servingMs,
    restartAtMs: restartInMs === null ? Infinity : nowMs + restartInMs,
  };
}

/** Why a start has failed that a worker's end came first. */
export function endedEarly(slot: number, { code, signal }: ProcessEnd): ProxyError {
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  return new ProxyError("WORKER_FAILED", `worker ${slot} ended ${how} before it served`);
}

/** What to do about a script that runs the program and waits for it: its process is not the program's. */
export const EXEC_REMEDY = "a script that runs the program has to become it: write exec before the command";
/** What is said of a worker that is not the process that was started. */
export const IS_ANOTHER = {
  what: "is another process than the one that was started: killed",
  details: { remedy: EXEC_REMEDY },
} as const;

/** Whether somebody else than the seat's process has said so. Workers of releases that do not say who they are count as the right ones. */
export function isAnother({ worker }: Seat, { pid }: { readonly pid?: number }): boolean {
  return pid !== undefined && pid !== worker?.pid;
}

/** Nobody is in it, and nobody comes. */
export function vacate(seat: Seat): void {
  seat.phase = "ended";
  seat.unread = true;
}

/** Counts one more heartbeat as missed. True when its worker has said nothing for too long; then the count begins anew. */
export function missedTooMany(seat: Seat): boolean {
  seat.missed += 1;
  const allowed = seat.phase === "starting" ? LIMITS.workerStartMsMax / LIMITS.heartbeatMs : LIMITS.heartbeatsMissedMax;
  if (seat.missed <= allowed) return false;
  // The end of a process follows its SIGKILL; not to be asked for each second until it does.
  seat.missed = 0;
  return true;
}

/** Its worker has said how it is. */
export function noteBeat(seat: Seat, beat: Beat): void {
  seat.nativeHandles = beat.nativeHandles;
  seat.connections = beat.connections ?? 0;
}

/** As it looks from outside. */
export function statusOf({ slot, worker, phase, connections }: Seat): SeatStatus {
  const pid = worker?.pid ?? null;
  return { slot, pid, phase, connections: pid === null ? 0 : connections };
}

/** Its worker serves: for the log. */
export function startOf({ slot, worker, readyMs, startedMs }: Seat): LogFields {
  return { slot, pid: worker?.pid ?? 0, started_in_ms: Math.round(readyMs - startedMs) };
}

/** Its worker has ended and another one comes: after how long. */
export function restartDelayMs(seat: Seat, nowMs: number): number {
  const servedMs = seat.readyMs === Infinity ? 0 : nowMs - seat.readyMs;
  seat.nativeHandles = seat.missed = 0;
  seat.phase = "waiting";
  return seat.backoff.delayAfter(servedMs);
}

/** Others take the new connections, and do not have the listeners `gone`. */
export function retireSeat(seat: Seat, gone: readonly string[]): void {
  seat.restart?.stop();
  if (seat.worker === null) vacate(seat);
  // One that is being started has datagrams in its socket to answer; it is retired once it serves.
  else if (seat.phase === "serving") seat.worker.send({ type: "retire", gone });
}

/** It shall end. */
export function stopSeat(seat: Seat, type: "drain" | "end"): void {
  seat.restart?.stop();
  if (seat.worker === null) seat.phase = "ended";
  // One that does not serve yet has nothing to finish.
  else seat.worker.send({ type: seat.phase === "starting" ? "end" : type });
}

/** Time is up for all that still live. */
export function killAll(seats: readonly Seat[], log: Logger): void {
  for (const { slot, worker } of seats) {
    if (worker === null) continue;
    log.error("worker does not end: killed", { slot, pid: worker.pid });
    worker.kill();
  }
}

/** It has a worker, which serves. */
export function serves({ phase, worker }: Seat): boolean {
  return phase === "serving" && worker !== null;
}
