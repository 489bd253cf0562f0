/** How late the runtime's timers are: what its loop does or waits for outside keeps everything else waiting as long. */
import type { Histogram } from "../core/histogram.ts";
import { LIMITS } from "../core/limits.ts";
import type { TimerHandle, Timers } from "./timers.ts";

/** Looks now and then until it is stopped. */
export function watchLoopDelay(timers: Timers, into: Histogram): TimerHandle {
  let dueMs = timers.nowMs() + LIMITS.loopDelaySampleMs;
  return timers.every(LIMITS.loopDelaySampleMs, () => {
    const nowMs = timers.nowMs();
    into.record(Math.max(0, nowMs - dueMs));
    dueMs = nowMs + LIMITS.loopDelaySampleMs;
  });
}
