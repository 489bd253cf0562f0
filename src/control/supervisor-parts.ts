/** What a supervisor is made of, what its crews are made of, and what it goes on from. */
import { ProxyError } from "../core/error.ts";
import type { Logger } from "../observe/log.ts";
import type { SlotRange, SteeringPlan } from "../quic/steer.ts";
import type { Timers } from "../runtime/timers.ts";
import type { Counts } from "./counter-sums.ts";
import type { Crew } from "./crew.ts";
import type { CrewRole, CrewStatus, SeatStatus, RenewalOutcome } from "./renewal.ts";
import type { CrewHandover, SupervisorHandover } from "./handover.ts";
import type { AdoptWorker, LaunchWorker } from "./seat.ts";
import type { PrepareOrder } from "./worker-link.ts";

/** Which workers get which datagrams. */
export type Ways = Pick<SteeringPlan, "active" | "draining" | "standIns">;

/** What a supervisor is made of. */
export interface SupervisorParts {
  /** Slots of each of the two banks: no crew has more workers. */
  readonly bankSlots: number;
  readonly timers: Timers;
  readonly log: Logger;
  /** From one datagram to the next, all go these ways. Throws `ProxyError` when the kernel refuses; the ways are as before then. */
  readonly steer: (ways: Ways) => void;
  /** What this process has counted beside its workers. */
  readonly counted?: () => Counts;
}

/** A configuration, as workers are told of it. */
export type Configured = Pick<PrepareOrder, "configPath" | "configText">;

/** A crew to be. */
export interface CrewPlan {
  readonly workers: number;
  readonly drainMs: number;
  readonly launch: LaunchWorker;
  /** The crew gets these slots. No datagram has gone their way for a while: what lies in their sockets is for workers that are gone. */
  readonly onSlots: (slots: SlotRange) => void;
  /** The crew takes the new connections from now on. Gives the names of listeners that only the crew before has. */
  readonly onTakenOver: () => readonly string[];
  /** Nobody of this crew is left, and none comes any more. */
  readonly onGone: () => void;
}

/** A supervisor of the program that ran in this process before. */
export interface SupervisorBefore {
  readonly handover: SupervisorHandover;
  readonly adopt: AdoptWorker;
  /** For workers that take new connections and have to be started again. */
  readonly plan: Pick<CrewPlan, "launch" | "onGone">;
  /** Nobody of those that only finish what they have is left. */
  readonly onDrainingGone: () => void;
}

/** What a supervisor counts itself. */
export const OWN_COUNTS = ["worker_restarts", "renewals", "renewals_failed"] as const;

/** Nobody of a retired crew is started again. */
export const RETIRED_PLAN: Pick<CrewPlan, "launch"> = {
  launch: () => {
    throw new ProxyError("DRAINING", "others take the new connections");
  },
};

/** Why there is no renewal. */
export type Refused = Extract<RenewalOutcome, { readonly ok: false }>;

/** There are two crews already. */
export function stillFinishes({ generation, leftMs }: Crew): Refused {
  const reason = `generation ${generation} still finishes what it has, for ${Math.ceil(leftMs / 1000)} s at most`;
  const remedy = "ask again then; performance.shutdown_drain_timeout_ms is the time that it gets";
  return { ok: false, reason, remedy };
}

/** Nothing is begun any more. */
export function stops(): ProxyError {
  return new ProxyError("DRAINING", "the program stops");
}

/** Where a crew is and how long it may take to end. */
export interface CrewLayout {
  readonly generation: number;
  readonly slots: SlotRange;
  readonly drainMs: number;
}

/** That of a crew which another program has left. */
export function layoutOf({ generation, firstSlot, seats, drainMs }: CrewHandover): CrewLayout {
  return { generation, slots: { first: firstSlot, count: seats.length }, drainMs };
}

/** As it looks from outside, among the one that takes new connections and the one that finishes what it has. */
export function statusOfCrew(crew: Crew, active: Crew | null, draining: Crew | null): CrewStatus<SeatStatus> {
  const { generation, workers, started } = crew;
  const role: CrewRole = crew === draining ? "draining" : crew === active && started ? "active" : "starting";
  return { generation, role, workers };
}
