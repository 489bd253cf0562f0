/**
 * What it costs to count a request with its labels, and what one scrape costs of 100 pools with 10 backends each.
 * Run: `bun bench/micro/metrics.ts`.
 */
import { Counters, countersSeen } from "../../src/core/counters.ts";
import { exposition, type MetricsForm } from "../../src/observe/metrics/exposition.ts";
import { RequestCounts } from "../../src/observe/metrics/request-counts.ts";
import type { MetricsScene } from "../../src/observe/metrics/scene.ts";
import type { ExchangeOutcome } from "../../src/proxy/ports.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS = 1_000_000;
const SCRAPES = 20;
const [POOLS, BACKENDS] = [100, 10];

const pools = Array.from({ length: POOLS }, (_, p) => ({
  name: `pool-${p}`,
  backends: Array.from({ length: BACKENDS }, (_, b) => ({ id: `backend-${p}-${b}` })),
}));
const outcomes = pools.flatMap(({ name, backends }) =>
  backends.flatMap(({ id }) => [200, 404, 502].map((status) => outcomeOf(name, id, status))),
);

function outcomeOf(pool: string, backend: string, status: number): ExchangeOutcome {
  return {
    ...{ requestId: "r", method: "GET", path: "/", authority: "a", status, pool, backend },
    ...{
      durationMs: 3,
      bytesIn: 0,
      bytesOut: 0,
      clientIp: "::1",
      clientPort: 1,
      clientSubject: "",
      attempts: 1,
      error: null,
      fields: null,
      accessLog: "on",
    },
  };
}

const requests = new RequestCounts(new Counters(), { record: () => undefined });
const count = (call: number, among: number): number => {
  const outcome = outcomes[call % among];
  if (outcome !== undefined) requests.record(outcome);
  return call;
};
report(
  "a request, always to one backend",
  nanosecondsPerCall(CALLS, (call) => count(call, 1)),
);
report(
  "a request, to one backend after the other of 1,000",
  nanosecondsPerCall(CALLS, (call) => count(call, outcomes.length)),
);

const scene: MetricsScene = {
  counts: { ...countersSeen(new Counters()), ...Object.fromEntries(requests.takeChanged()) },
  ...{ pools, workers: [], limits: [], certificates: [], generation: 1, nativeHandles: 0 },
  ...{ startedEpochSeconds: 0, cpuSeconds: 0, residentBytes: 0, machineMemoryBytes: 0 },
  reloads: { results: {}, isLastSuccessful: true, lastSuccessEpochSeconds: 0 },
  build: { version: "", commit: "", quiche: "", runtime: "" },
};
for (const form of ["prometheus", "openmetrics"] satisfies readonly MetricsForm[]) {
  const { length } = exposition(scene, form);
  report(
    `one scrape, ${form}, ${length} bytes`,
    nanosecondsPerCall(SCRAPES, () => exposition(scene, form).length),
  );
}
