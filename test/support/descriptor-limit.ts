/** Programs whose descriptors are used up: the kernel gives them no more, and later it does again. */
import { readdirSync } from "node:fs";
import { AssertionFault } from "../../src/core/assert.ts";
import { runProcess } from "./process.ts";

/** Why no program can be brought to this here; null when it can. */
export const LIMITS_MISSING: string | null =
  Bun.which("prlimit") === null ? "descriptors: there is no `prlimit` (util-linux)" : null;

/** So many as nobody needs here. */
const PLENTY = 1024;

/** From now on a process gets no further descriptor; what it has stays. */
export async function useUpDescriptors(pid: number): Promise<void> {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let lowest = 0;
  while (open.has(lowest)) lowest += 1;
  await limit(pid, lowest);
}

/** And from now on it does again. */
export async function giveDescriptors(pid: number): Promise<void> {
  await limit(pid, PLENTY);
}

/** The soft limit alone: raising the hard one takes a privilege. */
async function limit(pid: number, count: number): Promise<void> {
  const { code, stderr } = await runProcess({ command: ["prlimit", `--pid=${pid}`, `--nofile=${count}:`] });
  if (code !== 0) throw new AssertionFault(`prlimit: ${stderr}`);
}
