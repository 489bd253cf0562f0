/** The contract of transports: cancelled calls, broken answers and deadlines. */
import { expect } from "bun:test";
import type { ResponseSink, UpstreamCall } from "../../src/proxy/ports.ts";
import { requestTo, PushBody } from "../support/upstream-calls.ts";
import { expectSilence, type ContractBench, type ContractCase } from "./contract-bench.ts";

/** Cases. */
export const BREAK_CASES: readonly ContractCase[] = [
  {
    name: "cancelled at once, a call is silent and the next goes well",
    run: async (bench) => {
      const { outcome, call } = bench.begin("/small");
      call.cancel();
      call.cancel();
      await bench.next();
      expectSilence(outcome);
      await bench.sees(({ active }) => active === 0);
    },
  },
  {
    name: "cancelled before its head, a call is silent and the server learns of it",
    run: async (bench) => {
      await bench.good("/small");
      const { outcome, call } = bench.begin("/hold");
      await bench.server.holding(1);
      call.cancel();
      call.resume();
      await bench.sees(({ aborted }) => aborted === 1);
      await bench.next();
      expectSilence(outcome);
    },
  },
  {
    name: "cancelled in its body, a call is silent and the server learns of it",
    run: async (bench) => {
      const { outcome, call } = bench.begin("/hold-body");
      await outcome.received(100);
      call.cancel();
      call.cancel();
      await bench.sees(({ aborted }) => aborted === 1);
      await bench.next();
      expectSilence(outcome);
    },
  },
  {
    name: "cancelled while its request's body goes, a call is silent and the server learns of it",
    run: async (bench) => {
      const body = new PushBody().push("begun");
      const { outcome, call } = bench.begin("/upload", { method: "POST", body });
      await bench.sees(({ bytesRead }) => bytesRead > 0);
      call.cancel();
      body.push("late").end();
      await bench.sees(({ aborted }) => aborted === 1);
      await bench.next();
      expectSilence(outcome);
      expect(body.pulled).toBe(5);
    },
  },
  {
    name: "cancelled from within its head and its body, a call is silent",
    run: async (bench) => {
      for (const at of ["head", "body"] as const) {
        const calls = await cancelWithin(bench, at);
        await bench.next();
        expect(calls).toEqual(at === "head" ? ["head"] : ["head", "body"]);
      }
    },
  },
  {
    name: "cancelled after its end, a call stays as it was",
    run: async (bench) => {
      const { outcome, call } = bench.begin("/small");
      await outcome.over;
      call.cancel();
      call.resume();
      await bench.next();
      expect([outcome.ended, outcome.late]).toEqual([true, 0]);
    },
  },
  {
    name: "broken off before its head, an answer is a failure without a status",
    server: ["resetBefore"],
    run: async (bench) => {
      const outcome = await bench.ask("/reset-before");
      expect(outcome.failure).toMatchObject({
        code: "UPSTREAM_RESET",
        requestSent: true,
        responseReceived: false,
        processed: "maybe",
      });
      expect([outcome.status, outcome.ended, outcome.late]).toEqual([0, false, 0]);
      await bench.next();
    },
  },
  {
    name: "broken off in its body, an answer with a length is a failure",
    server: ["resetMid"],
    run: (bench) => expectCutOff(bench, "/reset-mid?bytes=1000&length=5000"),
  },
  {
    name: "broken off in its body, an answer without a length is a failure",
    server: ["resetUnannounced"],
    run: (bench) => expectCutOff(bench, "/reset-mid?bytes=1000"),
  },
  {
    name: "ended before its length, an answer is a failure",
    server: ["cutMid"],
    run: (bench) => expectCutOff(bench, "/cut-mid?bytes=1000&length=5000"),
  },
  {
    name: "ended without its last chunk, an answer is a failure",
    server: ["cutMid"],
    version: 1,
    run: (bench) => expectCutOff(bench, "/cut-mid?bytes=1000"),
  },
  {
    name: "broken off, one answer does no harm to the others of its connection",
    server: ["resetMid"],
    version: 2,
    run: async (bench) => {
      const { outcome } = bench.begin("/hold-body?bytes=10");
      await outcome.received(10);
      await bench.server.holding(1);
      const broken = Array.from({ length: 5 }, () => bench.begin("/reset-mid?bytes=1000&length=5000").outcome);
      await Promise.all(broken.map((one) => one.head));
      await bench.sees(({ active }) => active === 1);
      // nginx 1.22 sends a reset only when something else goes on the connection.
      await bench.server.release();
      expect((await outcome.over).text).toEndWith("released");
      for (const one of broken) expect((await one.over).failure?.responseReceived).toBe(true);
    },
  },
  {
    name: "an answer whose head does not come is late",
    timeouts: { backendResponseHeadMs: 30_000 },
    run: async (bench) => {
      const { outcome } = bench.begin("/hold");
      await bench.server.holding(1);
      await bench.passes(29_000);
      expect(outcome.failure).toBeNull();
      await bench.passes(2000);
      expect(outcome.failure).toMatchObject({
        code: "UPSTREAM_HEAD_TIMEOUT",
        requestSent: true,
        responseReceived: false,
        processed: "maybe",
      });
      await bench.sees(({ aborted }) => aborted === 1);
      await bench.next();
      expect(outcome.late).toBe(0);
    },
  },
  {
    name: "an answer whose body stops is late",
    timeouts: { backendBodyIdleMs: 30_000 },
    run: async (bench) => {
      const { outcome } = bench.begin("/hold-body");
      await outcome.received(100);
      await bench.passes(29_000);
      expect(outcome.failure).toBeNull();
      await bench.passes(2000);
      expect(outcome.failure).toMatchObject({
        code: "UPSTREAM_BODY_TIMEOUT",
        responseReceived: true,
        processed: "maybe",
      });
      await bench.sees(({ aborted }) => aborted === 1);
      await bench.next();
      expect(outcome.late).toBe(0);
    },
  },
  {
    name: "a request whose body stops is its client's fault",
    timeouts: { clientBodyIdleMs: 30_000 },
    run: async (bench) => {
      const body = new PushBody().push("begun");
      const { outcome } = bench.begin("/upload", { method: "POST", body });
      await bench.sees(({ bytesRead }) => bytesRead > 0);
      await bench.passes(31_000);
      expect(outcome.failure).toMatchObject({ code: "REQUEST_TIMEOUT" });
      await bench.sees(({ aborted }) => aborted === 1);
      await bench.next();
    },
  },
];

async function expectCutOff(bench: ContractBench, path: string): Promise<void> {
  const outcome = await bench.ask(path);
  // fetch gives no head when the break comes right behind it.
  const hasHead = bench.transport === "native" || outcome.status !== 0;
  expect(outcome.failure).toMatchObject({ requestSent: true, responseReceived: hasHead, processed: "maybe" });
  expect(["UPSTREAM_RESET", "UPSTREAM_PROTOCOL"]).toContain(outcome.failure?.code ?? "");
  expect([outcome.status, outcome.ended, outcome.late]).toEqual([hasHead ? 200 : 0, false, 0]);
  expect(outcome.lengthBytes).toBeLessThanOrEqual(1000);
  await bench.next();
}

async function cancelWithin({ bench }: ContractBench, at: "head" | "body"): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const calls: string[] = [];
  const note = (what: string) => {
    calls.push(what);
    if (what !== at) return;
    call.cancel();
    resolve();
  };
  const sink: ResponseSink = {
    onInformational: () => note("informational"),
    onHead: () => note("head"),
    onBody: () => {
      note("body");
      return true;
    },
    onTrailers: () => note("trailers"),
    onEnd: () => note("end"),
    onFailure: () => note("failure"),
  };
  const call: UpstreamCall = bench.upstream.start(requestTo(bench.pool, { path: "/bytes/1000000" }), sink);
  await promise;
  return calls;
}
