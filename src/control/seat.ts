/** One worker of a crew: its process as a port, and what the crew knows of it. */
import { ProxyError } from "../core/error.ts";
import type { ProcessEnd } from "../runtime/processes.ts";
import type { TimerHandle } from "../runtime/timers.ts";
import { RestartBackoff } from "./backoff.ts";
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

/** Starts the worker of a slot. Throws when the system has no process for it. */
export type LaunchWorker = (slot: number, events: WorkerEvents) => WorkerPort;

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
  /** Its socket is not read, and is not meant to be soon. */
  unread: boolean;
  nativeHandles: number;
  /** Alive when its worker last said so. */
  connections: number;
}

/** An empty one. */
export function makeSeat(slot: number): Seat {
  const times = { startedMs: 0, readyMs: Infinity, missed: 0, nativeHandles: 0, connections: 0 };
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

/** Why a start has failed that a worker's end came first. */
export function endedEarly(slot: number, { code, signal }: ProcessEnd): ProxyError {
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  return new ProxyError("WORKER_FAILED", `worker ${slot} ended ${how} before it served`);
}
