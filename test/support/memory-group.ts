/** Programs that have only so much memory between them (a control group), and one that takes it all, so that the kernel ends one of them. */
import { afterAll } from "bun:test";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NetworkPlace } from "./netns.ts";
import { waitUntil } from "./net.ts";
import { type RunningProcess, startProcess } from "./process.ts";

/** A group. */
export interface MemoryGroup extends NetworkPlace {
  /** Takes memory until the kernel has ended the process `victim`, which it is told to choose first. */
  endByMemory(victim: number): Promise<void>;
}

const V1 = "/sys/fs/cgroup/memory";
const V2 = "/sys/fs/cgroup";
const NAME = `spooky-test-${process.pid}`;

/** Why there is none here; null when there is. One is made and removed again to find out. */
export const MEMORY_GROUPS_MISSING: string | null = whyMissing();

/** Of so many bytes, for the rest of the test. */
export function makeMemoryGroup(bytesMax: number): MemoryGroup {
  const folder = join(parent(), NAME);
  mkdirSync(folder);
  writeFileSync(join(folder, limitFile()), String(bytesMax));
  const command = (words: readonly string[]): readonly string[] => [
    ...["sh", "-c", `echo $$ > ${join(folder, "cgroup.procs")} && exec "$@"`, "sh"],
    ...words,
  ];
  afterAll(() => waitUntil(() => isRemoved(folder)));
  return {
    command,
    endByMemory: async (victim) => {
      writeFileSync(`/proc/${victim}/oom_score_adj`, "1000");
      const hog: RunningProcess = startProcess({
        command: command(["python3", "-c", HOG, String(victim), String(bytesMax)]),
      });
      await hog.ended;
    },
  };
}

/** Never chosen itself, and gone as soon as the other one is. */
const HOG = `
import os, sys
open("/proc/self/oom_score_adj", "w").write("-1000")
held = []
def lives():
    try:
        return open(f"/proc/{sys.argv[1]}/stat").read().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False
while lives() and 4194304 * len(held) < int(sys.argv[2]):
    held.append(bytearray(os.urandom(4096) * 1024))
`;

function isRemoved(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return !existsSync(folder);
  }
}

function parent(): string {
  return existsSync(join(V1, "memory.limit_in_bytes")) ? V1 : V2;
}

function limitFile(): string {
  return parent() === V1 ? "memory.limit_in_bytes" : "memory.max";
}

function whyMissing(): string | null {
  const how = "a control group for memory: ";
  const folder = join(parent(), `${NAME}-trial`);
  try {
    mkdirSync(folder);
  } catch {
    return `${how}none can be made here`;
  }
  const has = existsSync(join(folder, limitFile()));
  rmdirSync(folder);
  return has ? null : `${how}the system does not count memory by groups`;
}
