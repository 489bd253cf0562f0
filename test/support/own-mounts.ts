/** Programs that see other file systems than the test does: a full disk, no /proc, a root that nobody can write to. */
import { AssertionFault } from "../../src/core/assert.ts";
import type { NetworkPlace } from "./netns.ts";
import { runProcess } from "./process.ts";

/** Why there are none here; null when there are. A namespace is made and left again to find out. */
export const MOUNTS_MISSING: string | null = whyMissing();

/** A place to run a command in (`ProxyOptions.place`), in which these shell commands, mostly mounts, were done before. */
export function placeWithMounts(...mounts: readonly string[]): NetworkPlace {
  const script = `${mounts.join(" && ")} && exec "$@"`;
  return {
    command: (command) => ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", ...command],
  };
}

/** Runs a shell command where that process is, and gives what it has said. */
export async function runBeside(pid: number, script: string): Promise<string> {
  const command = ["nsenter", `--mount=/proc/${pid}/ns/mnt`, "--", "sh", "-c", script];
  const { code, stdout, stderr } = await runProcess({ command });
  if (code !== 0) throw new AssertionFault(`${script}: ${stderr}`);
  return stdout;
}

function whyMissing(): string | null {
  const how = "mount namespaces: ";
  if (process.platform !== "linux") return `${how}this is not Linux`;
  for (const tool of ["unshare", "nsenter", "mount"])
    if (Bun.which(tool) === null) return `${how}there is no \`${tool}\` (util-linux)`;
  const command = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
  const { exitCode, stderr } = Bun.spawnSync(command);
  return exitCode === 0 ? null : `${how}they cannot be made here: ${stderr.toString().trim().split("\n")[0]}`;
}
