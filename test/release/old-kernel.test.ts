/** The release on a kernel as old as the oldest C library that it takes: RHEL 8 has Linux 4.18. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { renewed, startWorkers } from "../e2e/worker-proxies.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, textOf } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { runProcess } from "../support/process.ts";
import { RELEASE_MISSING, releaseOf } from "./releases.ts";

const release = process.arch === "x64" ? releaseOf("x86_64") : null;
const missing =
  release === null ? `x86_64: ${RELEASE_MISSING}` : aioquicPython === null ? `old kernel: ${AIOQUIC_MISSING}` : null;

/** A way to call a program as if the kernel were Linux 4.18. */
function onOldKernel(...command: readonly string[]): readonly string[] {
  return [must(aioquicPython, "the group is skipped without one"), join(import.meta.dir, "old-kernel.py"), ...command];
}

describe.skipIf(missing !== null)(missing ?? "the release for x86_64 on Linux 4.18", () => {
  test("such a kernel does not know pidfd_open, a call of Linux 5.3", async () => {
    const script = "import os; os.pidfd_open(os.getpid())";
    const { code, stderr } = await runProcess({
      command: onOldKernel(must(aioquicPython, "found above"), "-c", script),
    });
    expect(code).toBe(1);
    expect(stderr).toContain("Function not implemented");
  });

  test("passes requests on, renews its workers, and stops", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const program = join(must(release, "found above").tree, "spooky");
    const proxy = await startWorkers(2, backend.address, { command: onOldKernel(program) });
    const ask = async (): Promise<void> => {
      const connection = await runAioquicOnce({
        port: proxy.port,
        ca_file: proxy.certificate.caFile,
        steps: [
          { do: "request", id: "get", path: "/x" },
          { do: "request", id: "post", path: "/echo", body: { bytes: 300_000 } },
        ],
      });
      expect(textOf(exchangeOf(connection, "get"))).toBe("http1 GET /x\n");
      expect(exchangeOf(connection, "post")).toMatchObject({ status: 200, body_bytes: 300_000 });
    };
    await ask();
    await renewed(proxy, "SIGHUP");
    await ask();
    expect(await proxy.stop()).toEqual({ code: 0, signal: null });
  });
});
