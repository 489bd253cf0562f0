/** Kernels that cannot steer: one process serves instead of several, and says why. Row 118. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { logLine, stoppedLine } from "../e2e/log-lines.ts";
import { workersOf } from "../e2e/worker-proxies.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { startProxy } from "../support/proxy.ts";

const FILTER = join(import.meta.dir, "unsupported-kernel.py");
/** What a kernel before Linux 4.5 says, and what a sandbox says. */
const ERRORS = [
  ["does not know it", 92, /kernel/],
  ["does not allow it", 1, /forbidden/],
] as const;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a kernel that cannot steer", () => {
  test.each(ERRORS)("because it %s has one process serve, which says so", async (_, errno, says) => {
    const backend = await startBackend({ protocol: "http1" });
    const place = { command: (command: readonly string[]) => [aioquicPython ?? "", FILTER, `${errno}`, ...command] };
    const pools = [{ prefix: "/", backends: [backend.address] }];
    const proxy = await startProxy({ pools, place, extra: { workers: 4 } });
    const warning = await logLine(proxy, { msg: "one process serves, without a supervisor", level: "warn" });
    expect(warning["reason"]).toMatch(says);
    expect(workersOf(proxy)).toEqual({});
    const request = { do: "request", path: "/small", count: 5 } as const;
    const steps = [request, { do: "rebind" }, request] as const;
    const { bulks } = await runAioquicOnce({ port: proxy.port, steps });
    expect(bulks.map(({ statuses }) => statuses["200"])).toEqual([5, 5]);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, requests: 10, native_handles: 0 });
  });
});
