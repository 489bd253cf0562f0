/** What a crew is made of, and what it goes on from. */
import type { Logger } from "../observe/log.ts";
import type { SlotRange } from "../quic/steer.ts";
import type { Timers } from "../runtime/timers.ts";
import type { CounterSums } from "./counter-sums.ts";
import type { CrewHandover } from "./handover.ts";
import type { AdoptWorker, LaunchWorker } from "./seat.ts";

/** What a crew is made of. */
export interface CrewParts {
  readonly generation: number;
  readonly slots: SlotRange;
  readonly timers: Timers;
  readonly log: Logger;
  /** Shared by all crews; their slots are apart. */
  readonly sums: CounterSums;
  /** Of the crew's own configuration. */
  readonly drainMs: number;
  readonly launch: LaunchWorker;
  /** A worker is started in place of one that has ended. */
  readonly onRestart: () => void;
  /** Other slots than before have nobody who reads them. */
  readonly onReadersChanged: () => void;
  /** The last worker has ended, and none comes any more. Once. */
  readonly onGone: () => void;
}

/** A crew of the program that ran in this process before. */
export interface CrewBefore {
  readonly handover: CrewHandover;
  readonly state: "serving" | "retired";
  readonly adopt: AdoptWorker;
}
