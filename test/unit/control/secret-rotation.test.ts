import { describe, expect, test } from "bun:test";
import { SecretRotation } from "../../../src/control/secret-rotation.ts";
import { ManualTimers } from "../../support/manual-timers.ts";

const HOUR_MS = 3_600_000;

function make(period: number | null) {
  const timers = new ManualTimers();
  const made = { timers, period, can: true, rotated: [] as number[] };
  const rotation = new SecretRotation({
    timers,
    periodMs: () => made.period,
    rotate: () => {
      if (made.can) made.rotated.push(timers.nowMs());
      return made.can;
    },
  });
  const startMs = timers.nowMs();
  return { made, rotation, hours: (): readonly number[] => made.rotated.map((ms) => (ms - startMs) / HOUR_MS) };
}

describe("SecretRotation", () => {
  test("rotates once each period until it is stopped", () => {
    const { made, rotation, hours } = make(12 * HOUR_MS);
    made.timers.advance(36 * HOUR_MS);
    expect(hours()).toEqual([12, 24, 36]);
    rotation.stop();
    made.timers.advance(36 * HOUR_MS);
    expect(hours()).toHaveLength(3);
  });

  test("follows another period, and leaves secrets alone that are not its own", () => {
    const { made, hours } = make(12 * HOUR_MS);
    made.timers.advance(6 * HOUR_MS);
    made.period = 8 * HOUR_MS;
    made.timers.advance(3 * HOUR_MS);
    expect(hours()).toEqual([8]);
    made.period = null;
    made.timers.advance(20 * HOUR_MS);
    expect(hours()).toEqual([8]);
    // The first full period after they have become its own.
    made.period = 2 * HOUR_MS;
    made.timers.advance(HOUR_MS);
    expect(hours()).toEqual([8]);
    made.timers.advance(2 * HOUR_MS);
    expect(hours()).toHaveLength(2);
  });

  test("tries again soon what could not be done", () => {
    const { made, hours } = make(HOUR_MS);
    made.can = false;
    made.timers.advance(HOUR_MS + 5000);
    expect(hours()).toEqual([]);
    made.can = true;
    made.timers.advance(1000);
    expect(hours()).toHaveLength(1);
  });
});
