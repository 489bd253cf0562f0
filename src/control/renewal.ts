/**
 * Renewals: another crew of workers takes over from the one that serves, with another program or with its configuration read anew. What
 * is asked for, what becomes of it, and how a running program looks from outside. Types only; `Supervisor` does the work.
 */
import type { Counts } from "./counter-sums.ts";

/**
 * What to do. `upgrade`: start the program that is installed now. `reload`: the program that runs. Both read the configuration
 * anew. `rollback`: the configuration that was at work before the present one. */
export interface RenewalRequest {
  readonly kind: "upgrade" | "reload" | "rollback";
  /** For an upgrade: another file than the one that this program was started from. */
  readonly binary: string | null;
}

/**
 * What became of it. With `ok` the crew of that generation serves, and the one before it finishes what it has. Without, whoever served
 * before serves on as if nothing had been asked; `reason` and `remedy` are for people.
 */
export type RenewalOutcome =
  | { readonly ok: true; readonly generation: number; readonly how?: ReloadResult; readonly text?: string }
  | { readonly ok: false; readonly reason: string; readonly remedy: string | null };

/** What became of a reload: put to work where the workers are, by new workers, nothing to do, or not at all. */
export type ReloadResult = "in_place" | "new_workers" | "unchanged" | "failed";

/** The configuration at work, and what became of reloads. */
export interface ReloadStatus {
  /** When the configuration at work was put to work. */
  readonly atWorkSinceEpochMs: number;
  readonly reloads: Readonly<Record<ReloadResult, number>>;
  /** Null before the first. */
  readonly lastSuccessEpochMs: number | null;
  readonly lastFailureEpochMs: number | null;
  /** Did the last one end well? True before the first. */
  readonly lastSuccessful: boolean;
  /** Configurations that can be gone back to. */
  readonly kept: number;
}

/** `starting`: takes nothing yet. `active`: takes new connections. `draining`: finishes what it has. */
export type CrewRole = "starting" | "active" | "draining";

/** `waiting`: its process has ended, the next one comes later. `ended`: no other comes. */
export type SeatPhase = "waiting" | "starting" | "serving" | "ended";

/** One worker, as the supervisor knows it. */
export interface SeatStatus {
  readonly slot: number;
  /** Null while there is no process. */
  readonly pid: number | null;
  readonly phase: SeatPhase;
  /** Alive when it last said so, at most a heartbeat ago. */
  readonly connections: number;
}

/** And what it says of backends. */
export interface WorkerStatus extends SeatStatus {
  /** Pools that are needed and without a healthy backend, as it last said. */
  readonly unusablePools: readonly string[];
}

/** Workers of one generation. */
export interface CrewStatus<Status extends SeatStatus = WorkerStatus> {
  readonly generation: number;
  readonly role: CrewRole;
  readonly workers: readonly Status[];
}

/** A running program. */
export interface NodeStatus {
  readonly pid: number;
  readonly version: string;
  /** Of the crew that takes new connections. */
  readonly generation: number;
  readonly configPath: string;
  /** Where clients reach it, `ip:port` each, in the order of the configuration. */
  readonly listeners: readonly string[];
  readonly startedEpochMs: number;
  readonly configuration: ReloadStatus;
  readonly crews: readonly CrewStatus[];
  /** Of all workers that there are and were. */
  readonly counts: Counts;
  /** What is not as it was asked for, for people; null while all is well. */
  readonly notice: string | null;
}

/** Whether a running program lives, and may be sent clients. */
export interface Vitals {
  /** Workers that serve, and that are being started; those that only finish what they have do not count. */
  readonly serving: number;
  readonly starting: number;
  /** It has been told to stop. */
  readonly isStopping: boolean;
  /** Pools that it needs (`upstream.<pool>.required`) and none of whose backends can be used. */
  readonly unusablePools: readonly string[];
}

/** How a running program is told what to do, by its control socket or by signals. */
export interface NodeControl {
  /** Never rejects. `tell` hears, in words for people, how far it has come. */
  renew(request: RenewalRequest, tell?: (progress: string) => void): Promise<RenewalOutcome>;
  /** All processes open their log files anew, after something has moved them away. */
  reopenLogs(): void;
  status(): NodeStatus;
  vitals(): Vitals;
}
