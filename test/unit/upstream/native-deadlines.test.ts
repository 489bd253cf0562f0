import { describe, expect, test } from "bun:test";
import { Counters } from "../../../src/core/counters.ts";
import type { ProxyError } from "../../../src/core/error.ts";
import { expireLate, type TimedCall } from "../../../src/upstream/native/deadlines.ts";
import { backendOf, PATIENT, poolOf, requestTo } from "../../support/upstream-calls.ts";

const TIMEOUTS = {
  ...PATIENT,
  backendResponseHeadMs: 5000,
  backendBodyIdleMs: 3000,
  clientBodyIdleMs: 4000,
};

/** What a call that last moved at 0 is ended with at `nowMs`; null when it is not. */
function endOf(state: Partial<TimedCall>, nowMs: number): { code: string | null; counters: Counters } {
  const counters = new Counters();
  let code: string | null = null;
  const call: TimedCall = {
    ...{ request: requestTo(poolOf([backendOf("http://127.0.0.1:1")])), movedMs: 0 },
    ...{ answered: false, waitsForReceiver: false, waitsForClient: false, ...state },
    expire: (error: ProxyError) => void (code = error.code),
  };
  expireLate({ size: 1, at: () => call }, nowMs, TIMEOUTS, counters);
  return { code, counters };
}

describe("deadlines of native calls", () => {
  test.each([
    ["a backend that does not answer", {}, 5000, "UPSTREAM_HEAD_TIMEOUT"],
    ["a client that does not send its body", { waitsForClient: true }, 4000, "REQUEST_TIMEOUT"],
    ["a body that stops coming", { answered: true }, 3000, "UPSTREAM_BODY_TIMEOUT"],
    [
      "a body that waits while the client still sends its own",
      { answered: true, waitsForClient: true },
      3000,
      "UPSTREAM_BODY_TIMEOUT",
    ],
  ] as const)("%s is given up at its own time and not before", (_name, state, atMs, code) => {
    expect(endOf(state, atMs - 1).code).toBeNull();
    expect(endOf(state, atMs).code).toBe(code);
  });

  test("a client that takes its time is not given up here: its stream knows whether it takes nothing at all", () => {
    expect(endOf({ answered: true, waitsForReceiver: true }, 1e9).code).toBeNull();
  });

  test("whose fault it was is what is counted", () => {
    const client = endOf({ waitsForClient: true }, 4000).counters;
    expect([client.clientDeadlines, client.upstreamDeadlines]).toEqual([1, 0]);
    const backend = endOf({}, 5000).counters;
    expect([backend.clientDeadlines, backend.upstreamDeadlines]).toEqual([0, 1]);
  });
});
