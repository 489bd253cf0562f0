/** The contract of transports: one side is slow, which is not the same as late. The clock is the test's. */
import { expect } from "bun:test";
import { PushBody } from "../support/upstream-calls.ts";
import type { ContractCase } from "./contract-bench.ts";

const IDLE_MS = 5000;
/** Between two bytes: some of them are longer than the time-out. */
const PAUSE_MS = 4000;
const ROUNDS = 3;

/** Cases. */
export const SLOW_CASES: readonly ContractCase[] = [
  {
    name: "an answer that comes a byte at a time is not late",
    timeouts: { backendBodyIdleMs: IDLE_MS, backendResponseHeadMs: IDLE_MS },
    run: async (bench) => {
      const { outcome, call } = bench.begin("/drip?bytes=100000&ms=3");
      await outcome.received(1);
      for (let round = 0; round < ROUNDS; round++) {
        await bench.passes(PAUSE_MS);
        await outcome.received(outcome.lengthBytes + 1);
      }
      expect([outcome.failure, outcome.ended]).toEqual([null, false]);
      call.cancel();
      await bench.next();
    },
  },
  {
    name: "a request that goes a byte at a time is not late, with its length and without one",
    timeouts: { clientBodyIdleMs: IDLE_MS, backendResponseHeadMs: IDLE_MS },
    run: async (bench) => {
      for (const contentLengthBytes of [ROUNDS, -1]) {
        const body = new PushBody();
        const { outcome } = bench.begin("/upload", { method: "POST", body, contentLengthBytes });
        const { bytesRead } = await bench.seen();
        for (let round = 0; round < ROUNDS; round++) {
          body.push(".");
          await bench.sees((seen) => seen.bytesRead > bytesRead + round);
          await bench.passes(PAUSE_MS);
        }
        body.end();
        await outcome.over;
        expect([outcome.failure, outcome.status, JSON.parse(outcome.text).length]).toEqual([null, 200, ROUNDS]);
      }
    },
  },
];
