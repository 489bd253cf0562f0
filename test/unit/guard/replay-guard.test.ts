/** First flights that were here before, and those of which nobody can say that they were not. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { ReplayGuard } from "../../../src/guard/replay-guard.ts";

const START_MS = 5000.5;
/** Ages are cut off to whole seconds, and may be wrong by ten either way. */
const REMEMBERED_MS = 23_000;

function randoms(seed: number): () => Uint8Array {
  const random = Random.fromEntropy([seed]);
  return () => Uint8Array.from({ length: 32 }, () => random.nextBelow(256));
}

describe("a first flight", () => {
  test("is new once, and seen ever after while it could be played again", () => {
    const guard = new ReplayGuard(START_MS, false);
    const [one, other] = [randoms(1)(), randoms(2)()];
    expect(guard.judge(one, 0, START_MS)).toBeNull();
    expect(guard.judge(one, 0, START_MS)).toBe("seen");
    expect(guard.judge(other, 0, START_MS + 1)).toBeNull();
    expect(guard.judge(one, 0, START_MS + REMEMBERED_MS - 1000)).toBe("seen");
    expect(guard.judge(other, -10, START_MS + REMEMBERED_MS - 1000)).toBe("seen");
  });

  test("is forgotten when its ticket's age gives it away", () => {
    const guard = new ReplayGuard(START_MS, false);
    const one = randoms(1)();
    expect(guard.judge(one, 10, START_MS)).toBeNull();
    // What its client says of the ticket stays the same, and what we reckon grows: 10 above has become 10 below by then, and more.
    expect(guard.judge(one, -10, START_MS + 20_999)).toBe("seen");
    expect(guard.judge(one, -14, START_MS + 24_001)).toBe("stale");
  });

  test.each([11, -11, 60, -60])("whose ticket's two ages are %i seconds apart is stale", (skew) => {
    expect(new ReplayGuard(START_MS, false).judge(randoms(1)(), skew, START_MS)).toBe("stale");
  });

  test("that was stale at first is known again when its age has come to fit", () => {
    const guard = new ReplayGuard(START_MS, false);
    const one = randoms(1)();
    expect(guard.judge(one, 15, START_MS)).toBe("stale");
    expect(guard.judge(one, 9, START_MS + 6000)).toBe("seen");
  });

  test("may have been with another process before this one began, where tickets are older", () => {
    const guard = new ReplayGuard(START_MS, true);
    const next = randoms(1);
    const one = next();
    expect(guard.judge(one, 0, START_MS)).toBe("young");
    expect(guard.judge(one, 0, START_MS)).toBe("seen");
    expect(guard.judge(next(), 0, START_MS + REMEMBERED_MS - 1)).toBe("young");
    expect(guard.judge(next(), 0, START_MS + REMEMBERED_MS)).toBeNull();
  });
});

test("as many are remembered as there is room for, and others are not taken for new", () => {
  const guard = new ReplayGuard(START_MS, false);
  const next = randoms(3);
  const remembered: Uint8Array[] = [];
  let full = 0;
  for (let i = 0; i < 2 * LIMITS.replaysRememberedMax; i++) {
    const one = next();
    const doubt = guard.judge(one, 0, START_MS);
    if (doubt === null) remembered.push(one);
    else expect(doubt).toBe("full");
    full += doubt === "full" ? 1 : 0;
  }
  expect(full).toBeGreaterThan(LIMITS.replaysRememberedMax - 1);
  expect(remembered.length).toBeLessThanOrEqual(LIMITS.replaysRememberedMax);
  expect(remembered.length).toBeGreaterThan(0.9 * LIMITS.replaysRememberedMax);
  for (const one of remembered) expect(guard.judge(one, 0, START_MS)).toBe("seen");
  expect(guard.judge(next(), 0, START_MS + REMEMBERED_MS + 1000)).toBeNull();
});

test("half of that finds room nearly always", () => {
  const guard = new ReplayGuard(START_MS, false);
  const next = randoms(4);
  let full = 0;
  for (let i = 0; i < LIMITS.replaysRememberedMax / 2; i++) full += guard.judge(next(), 0, START_MS) === null ? 0 : 1;
  expect(full).toBeLessThan(LIMITS.replaysRememberedMax / 50);
});
