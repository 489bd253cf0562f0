/** A running program as metrics show it: what its processes say of themselves, what the kernel says of them, what is configured. */
import process from "node:process";
import type { Snapshot } from "../config/snapshot.ts";
import type { MetricsScene, ReloadScene, WorkerScene } from "../observe/metrics/scene.ts";
import { machineMemoryBytes, type ProcessUse, processUse } from "../runtime/process-facts.ts";
import { certificateScenes } from "./certificates.ts";
import type { Counts } from "./counter-sums.ts";
import type { ReloadStatus } from "./renewal.ts";
import type { Supervisor } from "./supervisor.ts";
import { limitScenes } from "./limit-scenes.ts";

/** A process that serves. */
export interface ObservedWorker {
  readonly slot: number;
  readonly pid: number;
  readonly isActive: boolean;
  readonly connections: number;
  /** By names of `gaugeName`; zeros are left out. */
  readonly gauges: ReadonlyMap<string, number>;
}

/** A program, as whoever runs it knows it. */
export interface Observed {
  /** The configuration in force. */
  readonly snapshot: Snapshot;
  readonly generation: number;
  readonly startedEpochMs: number;
  readonly reloads: ReloadStatus;
  /** Of all processes that there are and were; those with labels too. */
  readonly counts: Counts;
  readonly nativeHandles: number;
  readonly workers: readonly ObservedWorker[];
}

/** Whoever can be observed. */
export interface Observable {
  observed(): Observed;
}

/** A supervised program. */
export function observeCrews(
  supervisor: Supervisor,
  others: Pick<Observed, "snapshot" | "startedEpochMs" | "reloads">,
): Observed {
  const { crews, generation, counts, nativeHandles, sums } = supervisor;
  const workers = crews.flatMap(({ role, workers: seats }) =>
    seats.flatMap(({ slot, pid, connections }): ObservedWorker[] =>
      pid === null ? [] : [{ slot, pid, isActive: role === "active", connections, gauges: sums.gaugesOf(slot) }],
    ),
  );
  return { ...others, generation, counts, nativeHandles, workers };
}

const MS_PER_SECOND = 1000;
/** The kernel counts in these: a sum shows no digits beyond them. */
const TICKS_PER_SECOND = 100;

/** Makes scenes of one program, each later than the one before. */
export class SceneMaker {
  readonly #node: Observable;
  readonly #build: MetricsScene["build"];
  readonly #machineMemoryBytes = machineMemoryBytes();
  /** A worker that ends between two looks may be missed once: the time of all never goes back. */
  #cpuSeconds = 0;
  #certificates: { readonly of: Snapshot; readonly scenes: MetricsScene["certificates"] } | null = null;

  constructor(node: Observable, build: MetricsScene["build"]) {
    this.#node = node;
    this.#build = build;
  }

  /** How things are now. Reads some files of /proc: 80 us for each process. */
  scene(): MetricsScene {
    const observed = this.#node.observed();
    const { snapshot, generation, startedEpochMs, counts, nativeHandles, workers } = observed;
    const uses = workers.map(({ pid }) => (pid === process.pid ? null : processUse(pid)));
    const own = processUse("self");
    const scenes = workers.map((worker, i) => workerScene(worker, worker.pid === process.pid ? own : uses[i]));
    return {
      ...{ counts, generation, nativeHandles, workers: scenes },
      pools: snapshot.pools,
      limits: limitScenes(snapshot, scenes),
      certificates: this.#certificatesOf(snapshot),
      reloads: reloadScene(observed),
      startedEpochSeconds: startedEpochMs / MS_PER_SECOND,
      cpuSeconds: this.#cpuOf(own, uses),
      residentBytes:
        own === null ? null : uses.reduce((sum, use) => sum + (use?.residentBytes ?? 0), own.residentBytes),
      machineMemoryBytes: this.#machineMemoryBytes,
      build: this.#build,
    };
  }

  /** Workers that are gone count as children whose end was heard of, so that nothing of theirs is lost. */
  #cpuOf(own: ProcessUse | null, uses: readonly (ProcessUse | null)[]): number | null {
    if (own === null) return null;
    const alive = uses.reduce((sum, use) => sum + (use?.cpuSeconds ?? 0), 0);
    const all = Math.round((own.cpuSeconds + own.childrenCpuSeconds + alive) * TICKS_PER_SECOND) / TICKS_PER_SECOND;
    this.#cpuSeconds = Math.max(this.#cpuSeconds, all);
    return this.#cpuSeconds;
  }

  /** Read once for each configuration: a reload for new files makes another one. */
  #certificatesOf(snapshot: Snapshot): MetricsScene["certificates"] {
    if (this.#certificates?.of !== snapshot)
      this.#certificates = {
        of: snapshot,
        scenes: certificateScenes(snapshot.listeners.flatMap(({ certificates }) => certificates)),
      };
    return this.#certificates.scenes;
  }
}

function reloadScene({ reloads, startedEpochMs }: Observed): ReloadScene {
  const { reloads: results, lastSuccessful: isLastSuccessful, lastSuccessEpochMs } = reloads;
  const lastSuccessEpochSeconds = (lastSuccessEpochMs ?? startedEpochMs) / MS_PER_SECOND;
  return { results, isLastSuccessful, lastSuccessEpochSeconds };
}

function workerScene(
  { slot, isActive, connections, gauges }: ObservedWorker,
  use: ProcessUse | null = null,
): WorkerScene {
  return { slot, isActive, connections, residentBytes: use?.residentBytes ?? null, gauges };
}
