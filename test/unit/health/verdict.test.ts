import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { Random } from "../../../src/core/random.ts";
import { HealthVerdict, type VerdictSettings } from "../../../src/health/verdict.ts";

/** The guide's thresholds and the default cooldown. */
const GUIDE: VerdictSettings = { failureThreshold: 3, successThreshold: 2, cooldownMs: 5000 };

/**
 * Plays evidence, one event a second from 0 ms on: `+` probe succeeded, `-` probe failed, `c` request could not connect, `.`
 * nothing. Gives the state after each event: `H` or `U`, lower case when the event did not change it.
 */
function played(events: string, settings: Partial<VerdictSettings> = {}): string {
  const verdict = new HealthVerdict({ ...GUIDE, ...settings });
  let states = "";
  [...events].forEach((event, second) => {
    const nowMs = second * 1000;
    const changed =
      event === "c" ? verdict.onConnectFailure(nowMs) : event !== "." && verdict.onProbe(event === "+", nowMs);
    const state = verdict.isHealthy ? "h" : "u";
    states += changed ? state.toUpperCase() : state;
  });
  return states;
}

test("a backend starts healthy", () => {
  expect(new HealthVerdict(GUIDE).isHealthy).toBe(true);
});

describe("becoming unhealthy", () => {
  const cases: readonly (readonly [string, string, string, Partial<VerdictSettings>])[] = [
    ["takes as many failed probes in a row as the threshold", "---", "hhU", {}],
    ["takes a whole row: one success starts the count anew", "--+--+---", "hhhhhhhhU", {}],
    ["takes one failure where the threshold is 1", "-", "U", { failureThreshold: 1 }],
    ["happens once: more failures change nothing", "-----", "hhUuu", {}],
  ];
  for (const [name, events, states, settings] of cases) {
    test(name, () => {
      expect(played(events, settings)).toBe(states);
    });
  }
});

describe("becoming healthy again", () => {
  const cases: readonly (readonly [string, string, string, Partial<VerdictSettings>])[] = [
    ["takes as many successes in a row as the threshold", "---++", "hhUuH", { cooldownMs: 0 }],
    ["takes a whole row: one failure starts the count anew", "---+-+-++", "hhUuuuuuH", { cooldownMs: 0 }],
    ["takes one success where the threshold is 1", "---+", "hhUH", { cooldownMs: 0, successThreshold: 1 }],
    ["takes the whole cooldown, however many successes there are", "---++++++", "hhUuuuuHh", {}],
    ["comes with the first success after the cooldown, when the row is long enough", "---++.....+", "hhUuuuuuuuH", {}],
    ["waits for the row, when the cooldown is over first", "---.......++", "hhUuuuuuuuuH", {}],
    ["needs a probe: time alone changes nothing", "---..........", "hhUuuuuuuuuuu", {}],
    ["is not put off by failures during the cooldown", "---+-+-++", "hhUuuuuuH", {}],
    ["leaves a full row of failures to go until the next time", "---++--+---", "hhUuHhhhhhU", { cooldownMs: 0 }],
    ["starts another cooldown the next time", "---....++---++++++", "hhUuuuuuHhhUuuuuHh", {}],
  ];
  for (const [name, events, states, settings] of cases) {
    test(name, () => {
      expect(played(events, settings)).toBe(states);
    });
  }

  test("comes at the very millisecond at which the cooldown ends, and not one before", () => {
    for (const [atMs, healthy] of [
      [5999, false],
      [6000, true],
    ] as const) {
      const verdict = new HealthVerdict({ failureThreshold: 1, successThreshold: 1, cooldownMs: 5000 });
      verdict.onProbe(false, 1000);
      expect(verdict.onProbe(true, atMs)).toBe(healthy);
      expect(verdict.isHealthy).toBe(healthy);
    }
  });
});

describe("requests that could not connect", () => {
  const cases: readonly (readonly [string, string, string, Partial<VerdictSettings>])[] = [
    ["count as one failed probe", "c--", "hhU", {}],
    ["count once between two probes, so a burst does not outvote the threshold", "cccccccc", "hhhhhhhh", {}],
    ["count again after the next probe", "cc-cc", "hhhUu", {}],
    ["are forgotten with a probe that succeeds", "c-+c-", "hhhhh", {}],
    ["make a backend unhealthy at once where one failure is enough", "c", "U", { failureThreshold: 1 }],
    ["change nothing while it is unhealthy", "---+c+", "hhUuuH", { cooldownMs: 0 }],
    [
      "change nothing while it is unhealthy, though one failure be enough",
      "-c+c+",
      "UuuuH",
      { failureThreshold: 1, cooldownMs: 3500 },
    ],
    ["start the cooldown when they tip the balance", "--c++++++", "hhUuuuuHh", {}],
  ];
  for (const [name, events, states, settings] of cases) {
    test(name, () => {
      expect(played(events, settings)).toBe(states);
    });
  }
});

test("random evidence never breaks the rules: rows, thresholds and cooldown, checked against the whole history", () => {
  const random = Random.fromEntropy([99]);
  for (let round = 0; round < 300; round++) {
    const settings = {
      failureThreshold: 1 + random.nextBelow(4),
      successThreshold: 1 + random.nextBelow(4),
      cooldownMs: random.nextBelow(5) * 1000,
    };
    const verdict = new HealthVerdict(settings);
    let history = "";
    let ejectedMs = 0;
    for (let nowMs = 0; nowMs < 60_000; nowMs += 1 + random.nextBelow(1500)) {
      const ok = random.nextBelow(3) > 0;
      const before = verdict.isHealthy;
      const changed = verdict.onProbe(ok, nowMs);
      expect(verdict.isHealthy).toBe(changed ? !before : before);
      history = changed ? "" : history + (ok ? "+" : "-");
      if (changed && before) {
        ejectedMs = nowMs;
        expect(ok).toBe(false);
      }
      if (changed && !before) {
        expect(ok).toBe(true);
        expect(nowMs - ejectedMs).toBeGreaterThanOrEqual(settings.cooldownMs);
      }
      // Without a change since, no row of failures reaches the threshold, nor one of successes after the cooldown.
      if (verdict.isHealthy) expect(history).not.toContain("-".repeat(settings.failureThreshold));
      else if (nowMs - ejectedMs >= settings.cooldownMs) {
        expect(history.endsWith("+".repeat(settings.successThreshold))).toBe(false);
      }
    }
  }
});

test("thresholds that the configuration must have refused are a fault of the program", () => {
  expect(() => new HealthVerdict({ ...GUIDE, failureThreshold: 0 })).toThrow(AssertionFault);
  expect(() => new HealthVerdict({ ...GUIDE, successThreshold: 0 })).toThrow(AssertionFault);
  expect(() => new HealthVerdict({ ...GUIDE, cooldownMs: -1 })).toThrow(AssertionFault);
});
