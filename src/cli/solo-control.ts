/** A program of one process, as it is told what to do: it can say how it is and open its log anew, but nobody could take over from it. */
import process from "node:process";
import type { Snapshot } from "../config/snapshot.ts";
import type { Doors } from "../control/doors.ts";
import { CounterSums } from "../control/counter-sums.ts";
import { checkFixedKeys } from "../control/fixed-keys.ts";
import type { Observable, Observed } from "../control/observed.ts";
import { processGauges } from "../control/worker-gauges.ts";
import type { NodeControl, NodeStatus, RenewalOutcome, RenewalRequest, Vitals } from "../control/renewal.ts";
import { unusablePools } from "../control/vitals.ts";
import { countersSeen } from "../core/counters.ts";
import { ProxyError } from "../core/error.ts";
import type { Log } from "../observe/log.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { systemTimers } from "../runtime/timers.ts";
import type { Library } from "../../ffi/library.ts";
import { buildInfo } from "./build-info.ts";
import { checkReferences } from "./references.ts";
import type { Configuration } from "./configuration.ts";
import { ReloadDesk, type Tell } from "./reload-desk.ts";
import type { Server } from "./server.ts";
import { tellWarnings } from "./server-parts.ts";

const REASON = "one process without a supervisor cannot become another program";
const REMEDY =
  "restart it; with `supervisor: auto` upgrades lose nothing, where the system can steer packets to workers";

/** What it speaks for. */
export interface SoloParts {
  /** Null: one that is built in, which nobody can change. */
  readonly configuration: Configuration | null;
  readonly runtime: Runtime;
  readonly server: Server;
  readonly log: Log;
  readonly snapshot: Snapshot;
  readonly library: Library;
}

/** Speaks for this process. */
export class SoloControl implements NodeControl, Observable {
  /** Where it is asked how it is; null before they are open. */
  doors: Doors | null = null;
  readonly #parts: SoloParts;
  readonly #startedEpochMs = Date.now();
  readonly #sums = new CounterSums();

  #generation = 1;
  #leaving = false;
  #configuration: Configuration;
  readonly #desk: ReloadDesk;

  constructor(parts: SoloParts) {
    this.#parts = parts;
    this.#configuration = parts.configuration ?? { path: "", text: "", snapshot: parts.server.snapshot };
    this.#desk = new ReloadDesk(this.#configuration, {
      log: parts.log,
      timers: systemTimers,
      generation: () => this.#generation,
      check: (configuration) => this.#check(configuration),
      inPlace: (configuration) => this.#reload(configuration),
      byNewWorkers: null,
      leaving: () => null,
    });
  }

  /** It serves as before and shall end soon: nothing new is begun any more. */
  announceStop(): void {
    this.#leaving = true;
  }

  renew({ kind }: RenewalRequest, tell?: Tell): Promise<RenewalOutcome> {
    if (this.#leaving) return Promise.resolve({ ok: false, reason: "the program stops", remedy: null });
    if (kind !== "upgrade" && this.#parts.configuration !== null) return this.#desk.ask(kind, tell);
    this.#parts.log.warn("renewal refused: all stays as it is", { reason: REASON });
    return Promise.resolve({ ok: false, reason: REASON, remedy: REMEDY });
  }

  #check({ snapshot }: Configuration): void {
    checkReferences(snapshot, this.#parts.runtime);
    // That there is no supervisor is no choice of the configuration where the system has none.
    const { workers } = this.#configuration.snapshot;
    checkFixedKeys(this.#configuration.snapshot, { ...snapshot, workers: { ...workers, supervised: true } }, 1, 1);
  }

  /** Throws `ProxyError` with all as before. Once both are ready nothing can fail, and nothing comes between. */
  async #reload(configuration: Configuration): Promise<number> {
    const { server, log } = this.#parts;
    const { snapshot } = configuration;
    const doors = (await this.doors?.prepare(snapshot.observability)) ?? null;
    try {
      if (server.isLeaving) throw new ProxyError("DRAINING", "the program stops");
      server.prepare(snapshot).commit();
    } catch (thrown) {
      doors?.abandon();
      throw thrown;
    }
    doors?.commit();
    this.#configuration = configuration;
    tellWarnings(log, snapshot);
    return (this.#generation += 1);
  }

  reopenLogs(): void {
    this.#parts.log.reopen();
  }

  status(): NodeStatus {
    const { server } = this.#parts;
    const { connectionCount: connections } = server;
    const pools = unusablePools(server.snapshot.pools, server.gauges());
    const worker = { slot: 0, pid: process.pid, phase: "serving", connections, unusablePools: pools } as const;
    return {
      pid: process.pid,
      version: buildInfo().version,
      generation: this.#generation,
      configPath: this.#configuration.path,
      listeners: server.addresses,
      startedEpochMs: this.#startedEpochMs,
      configuration: this.#desk.status,
      crews: [{ generation: this.#generation, role: "active", workers: [worker] }],
      notice: null,
      counts: countersSeen(server.counters),
    };
  }

  /** Counts with labels are told as changes: here they are kept, as a supervisor does for its workers. */
  observed(): Observed {
    const { server, library } = this.#parts;
    const { counters, connectionCount } = server;
    this.#sums.report(0, Object.fromEntries(server.requestCounts.takeChanged()));
    return {
      snapshot: this.#configuration.snapshot,
      generation: this.#generation,
      startedEpochMs: this.#startedEpochMs,
      reloads: this.#desk.status,
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
    const { server } = this.#parts;
    const serving = server.isServing ? 1 : 0;
    const pools = unusablePools(server.snapshot.pools, server.gauges());
    const isStopping = this.#leaving || server.isLeaving;
    return { serving, starting: 1 - serving, isStopping, unusablePools: pools };
  }
}
