/** Handshakes that another crew of workers comes in between of: their first datagrams go to one worker, the next ones to another. */
import { describe, expect, test } from "bun:test";
import { AIOQUIC_MISSING, type AioquicRun, aioquicPython, startAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { type GateRules, PASS_ALL, startUdpGate, type UdpGate } from "../support/udp-gate.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { renewed, startWorkers } from "./worker-proxies.ts";

/** So much that the first flight of the client needs two datagrams: names of protocols that nobody speaks. */
const MUCH_ALPN = ["h3", ...Array.from({ length: 20 }, (_, i) => `${i}`.padStart(60, "x"))];
const NOTHING_BACK: GateRules = { toServer: () => "pass", toClient: () => "lose" };

function ask(gate: UdpGate, alpn: readonly string[] = ["h3"]): AioquicRun {
  return startAioquic({ port: gate.port, alpn, steps: [{ do: "request", id: "r", path: "/small" }] });
}

/** Everything is answered, and nobody saw a stateless reset. */
async function expectAnswer(run: AioquicRun, proxy: RunningProxy): Promise<void> {
  const [connection] = await run.connections;
  expect(connection?.exchanges[0]).toMatchObject({ status: 200, body_bytes: 512, error: null });
  expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, requests: 1, native_handles: 0 });
  expect((await logLine(proxy, { msg: "counted" }))["resets_sent"] ?? 0).toBe(0);
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a handshake", () => {
  test.each([
    [1, "auto"],
    [2, "auto"],
    [2, "always"],
  ])("whose answer is lost is made anew by the next crew (%i workers, Retry %s)", async (workers, retry) => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(workers, backend.address, { extra: { workers, performance: { retry } } });
    const gate = await startUdpGate(proxy.port, NOTHING_BACK);
    const run = ask(gate);
    await gate.until("toClient", 1);
    await renewed(proxy, "SIGUSR2");
    gate.rules = PASS_ALL;
    await expectAnswer(run, proxy);
  });

  test("that has had a Retry goes on with the next crew", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address, { extra: { workers: 2, performance: { retry: "always" } } });
    // The first is the Retry; what follows it waits.
    const gate = await startUdpGate(proxy.port, {
      toServer: (index) => (index === 0 ? "pass" : "keep"),
      toClient: () => "pass",
    });
    const run = ask(gate);
    await gate.until("toServer", 2);
    await renewed(proxy, "SIGUSR2");
    gate.rules = PASS_ALL;
    gate.release();
    await expectAnswer(run, proxy);
  });

  test.each(["the first", "the second"])("in two datagrams, of which %s comes after the change", async (which) => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address);
    const early = which === "the first" ? 1 : 0;
    const gate = await startUdpGate(proxy.port, {
      toServer: (index) => (index === early ? "pass" : "keep"),
      // An acknowledgement of one half would show the client to the worker that has it.
      toClient: () => "lose",
    });
    const run = ask(gate, MUCH_ALPN);
    await gate.until("toServer", 2);
    await renewed(proxy, "SIGUSR2");
    gate.rules = PASS_ALL;
    gate.release();
    await expectAnswer(run, proxy);
  });

  test("in two datagrams, of which one was acknowledged before the change", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address);
    const gate = await startUdpGate(proxy.port, {
      toServer: (index) => (index === 0 ? "pass" : "keep"),
      toClient: () => "pass",
    });
    const run = ask(gate, MUCH_ALPN);
    await gate.until("toClient", 1);
    await renewed(proxy, "SIGUSR2");
    gate.rules = PASS_ALL;
    gate.release();
    await expectAnswer(run, proxy);
  });
});
