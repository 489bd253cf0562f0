/** What tests of renewals have in common: users who must not feel them. */
import { expect } from "bun:test";
import type { AioquicLoad } from "../interop/aioquic-load.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { logLine, stoppedLine } from "./log-lines.ts";

export const USERS = 8;
export const TIMES = { shutdown_drain_timeout_ms: 20_000, goaway_spread_ms: 300 };

/** Waits until nobody of the crew before is left: only then can there be another one. */
export function gone(proxy: RunningProxy, generation: number): Promise<unknown> {
  return logLine(proxy, { msg: "crew is gone", generation });
}

/** Ends both, and all that was asked was answered. */
export async function expectNoLoss(load: AioquicLoad, proxy: RunningProxy): Promise<void> {
  const result = await load.stop();
  expect(result.failures).toEqual([]);
  expect(result).toMatchObject({ failed: 0, ok: result.sent - result.moved });
  expect(result.sent).toBeGreaterThan(0);
  expect(result.closes["reset"] ?? 0).toBe(0);
  const stopped = await stoppedLine(proxy.process);
  expect(stopped).toMatchObject({ code: 0, native_handles: 0 });
  // Sums over all crews, the ones that are gone included.
  expect(Number(stopped["requests"])).toBeGreaterThanOrEqual(result.ok);
  const counted = await logLine(proxy, { msg: "counted" });
  expect([counted["resets_sent"] ?? 0, counted["worker_restarts"] ?? 0]).toEqual([0, 0]);
}
