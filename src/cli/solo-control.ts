/** A program of one process, as it is told what to do: it can say how it is and open its log anew, but nobody could take over from it. */
import process from "node:process";
import type { Snapshot } from "../config/snapshot.ts";
import { CounterSums } from "../control/counter-sums.ts";
import type { Observable, Observed } from "../control/observed.ts";
import { processGauges } from "../control/worker-gauges.ts";
import type { NodeControl, NodeStatus, RenewalOutcome, Vitals } from "../control/renewal.ts";
import { countersSeen } from "../core/counters.ts";
import type { Log } from "../observe/log.ts";
import type { Library } from "../../ffi/library.ts";
import { buildInfo } from "./build-info.ts";
import type { Server } from "./server.ts";

const REASON = "one process without a supervisor can only be restarted";
const REMEDY =
  "restart it; with `supervisor: auto` upgrades and reloads lose nothing, where the system can steer packets to workers";

/** What it speaks for. */
export interface SoloParts {
  readonly configPath: string;
  readonly server: Server;
  readonly log: Log;
  readonly snapshot: Snapshot;
  readonly library: Library;
}

/** Speaks for this process. */
export class SoloControl implements NodeControl, Observable {
  readonly #parts: SoloParts;
  readonly #startedEpochMs = Date.now();
  readonly #sums = new CounterSums();

  constructor(parts: SoloParts) {
    this.#parts = parts;
  }

  renew(): Promise<RenewalOutcome> {
    this.#parts.log.warn("renewal refused: all stays as it is", { reason: REASON });
    return Promise.resolve({ ok: false, reason: REASON, remedy: REMEDY });
  }

  reopenLogs(): void {
    this.#parts.log.reopen();
  }

  status(): NodeStatus {
    const { server, configPath } = this.#parts;
    const { connectionCount: connections, unusablePools } = server;
    const worker = { slot: 0, pid: process.pid, phase: "serving", connections, unusablePools } as const;
    return {
      pid: process.pid,
      version: buildInfo().version,
      generation: 1,
      configPath,
      startedEpochMs: this.#startedEpochMs,
      crews: [{ generation: 1, role: "active", workers: [worker] }],
      notice: null,
      counts: countersSeen(server.counters),
    };
  }

  /** Counts with labels are told as changes: here they are kept, as a supervisor does for its workers. */
  observed(): Observed {
    const { server, snapshot, library } = this.#parts;
    const { counters, connectionCount } = server;
    this.#sums.report(0, Object.fromEntries(server.requestCounts.takeChanged()));
    return {
      snapshot,
      generation: 1,
      startedEpochMs: this.#startedEpochMs,
      counts: this.#sums.sums(countersSeen(counters)),
      nativeHandles: library.ledger.total,
      workers: [
        {
          ...{ slot: 0, pid: process.pid, isActive: true, connections: connectionCount },
          gauges: new Map([...server.gauges(), ...processGauges()]),
        },
      ],
    };
  }

  vitals(): Vitals {
    const { isServing, isLeaving, unusablePools } = this.#parts.server;
    const serving = isServing ? 1 : 0;
    return { serving, starting: 1 - serving, isStopping: isLeaving, unusablePools };
  }
}
