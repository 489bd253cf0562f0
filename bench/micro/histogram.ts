/**
 * What it costs to take note of a duration, and what the heartbeat of a worker grows by that carries what was noted.
 * Run: `bun bench/micro/histogram.ts`.
 */
import { Counters, countersSeen } from "../../src/core/counters.ts";
import { Histogram } from "../../src/core/histogram.ts";
import { writeMessage } from "../../src/control/worker-link.ts";
import { nanosecondsPerCall, report } from "./measure.ts";

const CALLS = 1_000_000;
/** Longer than the processor can learn by heart, from 0.2 ms to 2 s. */
const durations = Float64Array.from({ length: 65_536 }, () => 0.2 * 10 ** (4 * Math.random()));

const histogram = new Histogram();
const overhead = nanosecondsPerCall(CALLS, (call) => durations[call & 65_535] ?? 0);
report("nothing: a duration from the array", overhead);
report(
  "record",
  nanosecondsPerCall(CALLS, (call) => {
    const ms = durations[call & 65_535] ?? 0;
    histogram.record(ms);
    return ms;
  }),
);
report(
  "the clock that is asked for it",
  nanosecondsPerCall(CALLS, () => performance.now()),
);

/** Counters of a worker that has seen everything once. */
function busyCounters(): Counters {
  const counters = new Counters();
  for (const [name, value] of Object.entries(counters))
    if (typeof value === "number") Reflect.set(counters, name, 123_456);
  return counters;
}

function fill({ requestMs, upstreamHeadMs, handshakeMs }: Counters, times: number): void {
  for (let i = 0; i < times; i++) {
    const ms = durations[i] ?? 0;
    requestMs.record(ms);
    upstreamHeadMs.record(ms);
    handshakeMs.record(ms);
  }
}

for (const [name, times] of [
  ["no duration", 0],
  ["durations in every bucket from 0.2 ms to 2 s", 65_536],
] as const) {
  const counters = busyCounters();
  fill(counters, times);
  const beat = (): string => writeMessage({ type: "beat", counts: countersSeen(counters), nativeHandles: 1 });
  report(
    `a heartbeat with ${name} (${beat().length} bytes)`,
    nanosecondsPerCall(2000, () => beat().length),
  );
}
