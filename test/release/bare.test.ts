/** The release where there is next to nothing: no environment, and no folder on the whole machine that it may write to. */
import { describe, expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { runProcess } from "../support/process.ts";
import { startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { RELEASE_MISSING, releaseOf } from "./releases.ts";

const release = process.arch === "x64" ? releaseOf("x86_64") : null;
const missing =
  release === null
    ? `x86_64: ${RELEASE_MISSING}`
    : process.getuid?.() !== 0
      ? "bare: a read-only root needs root"
      : aioquicPython === null
        ? `bare: ${AIOQUIC_MISSING}`
        : null;

/** All that is mounted becomes read-only in a mount namespace of its own, but what is the kernel's. */
const READ_ONLY = `
  for place in $(awk '$3 !~ /^(proc|sysfs|cgroup2?|devpts|mqueue|bpf|tracefs|debugfs|securityfs)$/ { print $2 }' /proc/mounts); do
    mount -o remount,bind,ro "$place" 2>/dev/null || true
  done
  for place in /tmp /dev/shm /run "$HOME"; do [ ! -w "$place" ] || exit 9; done
  exec env -i "$@"`;

/** The program behind a symbolic link. */
function bare(...command: readonly string[]): readonly string[] {
  const link = join(tempFolder("bare"), "linked");
  symlinkSync(join(must(release, "the group is skipped without one").tree, "spooky"), link);
  return ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", link, ...command];
}

describe.skipIf(missing !== null)(missing ?? "the release with nothing around it", () => {
  test("says what it is", async () => {
    const { code, stdout, stderr } = await runProcess({ command: bare("--version") });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("target linux-x64");
  });

  test.each(["off", "auto"] as const)("passes requests on, with supervisor: %s", async (supervisor) => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startProxy({
      command: bare(),
      supervisor,
      pools: [{ prefix: "/", backends: [backend.address] }],
    });
    const connection = await runAioquicOnce({
      port: proxy.port,
      ca_file: proxy.certificate.caFile,
      steps: [{ do: "request", id: "get", path: "/x" }],
    });
    expect(exchangeOf(connection, "get")).toMatchObject({ status: 200, ended: true });
    expect(await proxy.stop()).toEqual({ code: 0, signal: null });
  });
});
