/** A program of which metrics are made, where a test says only what matters to it. */
import type { MetricsScene, WorkerScene } from "../../src/observe/metrics/scene.ts";

/** Nothing configured, nothing counted. */
export function metricsScene(parts: Partial<MetricsScene>): MetricsScene {
  return {
    ...{ counts: {}, workers: [], pools: [], limits: [], certificates: [], generation: 1, nativeHandles: 0 },
    ...{ startedEpochSeconds: 1e9, cpuSeconds: 1, residentBytes: 2, machineMemoryBytes: 3 },
    reloads: { results: {}, isLastSuccessful: true, lastSuccessEpochSeconds: 1e9 },
    build: { version: "1.2.3", commit: "abc", quiche: "0.30.0", runtime: "bun 1.4.5" },
    ...parts,
  };
}

/** A worker that has nothing. */
export function workerScene(parts: Partial<WorkerScene>): WorkerScene {
  return { slot: 0, isActive: true, connections: 0, residentBytes: null, gauges: new Map(), ...parts };
}
