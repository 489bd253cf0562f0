/** How many cores this program may use, and which: by affinity, and by the CPU quotas of its control groups. */
import { readFileSync } from "node:fs";
import { LIMITS } from "../core/limits.ts";

/** The text of a file; null when it cannot be read. */
export type ReadText = (path: string) => string | null;

const GROUPS = "/sys/fs/cgroup";

/** Numbers of the cores that the scheduler may put us on; empty when the system does not say. */
export function allowedCores(read: ReadText = readText): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(read("/proc/self/status") ?? "")?.[1] ?? "";
  return list === "" ? [] : list.split(",").flatMap(coresOfRange);
}

/**
 * Workers for `auto`: one for each core, no more than the quotas pay for in full (a worker is busy on one core at most, and one that
 * waits for its quota holds up its clients), at least one, at most as many as there are slots.
 */
export function workersForCores(read: ReadText = readText): number {
  const cores = Math.max(1, allowedCores(read).length);
  const quota = Math.min(...quotas(read));
  return Math.min(cores, Math.max(1, Math.floor(quota)), LIMITS.workersMax);
}

/** `0-3`, or `5`. */
function coresOfRange(range: string): number[] {
  const [first = NaN, last = first] = range.split("-").map(Number);
  return last >= first ? Array.from({ length: last - first + 1 }, (_, i) => first + i) : [];
}

/** Quotas in cores, of our group and all above it, in both versions of control groups. */
function quotas(read: ReadText): number[] {
  const found = [Infinity];
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    if (controllers === "")
      found.push(...groupsFrom(path).map((group) => unifiedQuota(read(`${GROUPS}${group}/cpu.max`))));
    else if (controllers.split(",").includes("cpu")) {
      found.push(...groupsFrom(path).map((group) => olderQuota(read, `${GROUPS}/cpu${group}`)));
    }
  }
  return found;
}

/** A path and those above it; the root, which a container sees its own group as, is "". */
function groupsFrom(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return Array.from({ length: parts.length + 1 }, (_, i) =>
    parts
      .slice(0, i)
      .map((part) => `/${part}`)
      .join(""),
  );
}

/** `200000 100000`: two cores. `max 100000`: no quota. */
function unifiedQuota(text: string | null): number {
  const [quota, period] = (text ?? "").trim().split(" ").map(Number);
  return ratio(quota, period);
}

function olderQuota(read: ReadText, folder: string): number {
  return ratio(Number(read(`${folder}/cpu.cfs_quota_us`) ?? NaN), Number(read(`${folder}/cpu.cfs_period_us`) ?? NaN));
}

/** No quota where the numbers say none: absent, `max`, -1. */
function ratio(quota: number = NaN, period: number = NaN): number {
  return quota > 0 && period > 0 ? quota / period : Infinity;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
