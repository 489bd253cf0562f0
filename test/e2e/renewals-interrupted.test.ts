/** Renewals in the middle of which something else happens: a stop, the death of a worker that leaves. */
import { describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { binaryPath, hasRunner } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { gone, TIMES } from "./renewal-loads.ts";
import { renewed, startWorkers, workersOf } from "./worker-proxies.ts";

/** Enough that each of two workers has some: that one has none happens once in 30,000 runs. */
const CONNECTIONS = 16;
const REQUEST = [{ do: "request", id: "r", path: "/small" }] as const;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a renewal", () => {
  test("one of whose retired workers is killed: its clients are told at once by the one that stands in for it", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address, { extra: { workers: 2, performance: TIMES } });
    const steps = [
      { do: "start", id: "h", path: "/hold" },
      { do: "wait_goaway", count: 1 },
      { do: "say", text: "told" },
      { do: "cue" },
      { do: "start", id: "late", path: "/small" },
      { do: "wait", id: "h" },
    ] as const;
    const run = startAioquic({ port: proxy.port, connections: CONNECTIONS, steps });
    await backend.holding(CONNECTIONS);
    const victim = must(workersOf(proxy)["h3-worker-0"], "there is a first worker");
    await renewed(proxy, "SIGUSR2");
    for (let connection = 0; connection < CONNECTIONS; connection++)
      await run.event("said", { connection, text: "told" });
    process.kill(victim, "SIGKILL");
    await logLine(proxy, { msg: "worker ended badly", pid: victim });
    for (let connection = 0; connection < CONNECTIONS; connection++) run.cue();
    // Until then their crew is there, since its other worker has something to finish.
    await run.process.waitForLine((line) => line.includes('"closed"') && line.includes('"reset"'));
    backend.release();
    const connections = await run.connections;
    const told = connections.filter(({ closed }) => closed?.by === "reset");
    const unharmed = connections.filter((connection) => exchangeOf(connection, "h").status === 200);
    expect(told.length + unharmed.length).toBe(CONNECTIONS);
    expect(Math.min(told.length, unharmed.length)).toBeGreaterThan(0);
    await gone(proxy, 1);
    // What was killed had been told to leave: it is neither started again nor a bad end of the program.
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    expect((await logLine(proxy, { msg: "counted" }))["worker_restarts"] ?? 0).toBe(0);
  });

  test.skipIf(!hasRunner("binary"))("whose new program hangs neither stops the service nor the stop", async () => {
    const folder = tempFolder("renewals");
    const program = join(folder, "spooky");
    copyFileSync(binaryPath(), program);
    const backend = await startBackend({ protocol: "http1" });
    const extra = { workers: 1, performance: TIMES };
    const proxy = await startWorkers(1, backend.address, { command: [program], extra });
    writeFileSync(`${program}.new`, "#!/bin/sh\nexec sleep 600\n");
    chmodSync(`${program}.new`, 0o755);
    renameSync(`${program}.new`, program);
    proxy.process.signal("SIGUSR2");
    await logLine(proxy, { msg: "crew starts", generation: 2 });
    expect(exchangeOf(await runAioquicOnce({ port: proxy.port, steps: REQUEST }), "r")).toMatchObject({ status: 200 });
    // The one that hangs has to be killed; it has served nobody, so nothing was broken off.
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, requests: 1, native_handles: 0 });
    await logLine(proxy, { msg: "worker does not end: killed" });
  });
});
