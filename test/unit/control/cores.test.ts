import { describe, expect, test } from "bun:test";
import { allowedCores, workersForCores } from "../../../src/control/cores.ts";

/** A system of files that has only these. */
function files(texts: Readonly<Record<string, string>>): (path: string) => string | null {
  return (path) => texts[path] ?? null;
}

function status(cores: string): Record<string, string> {
  return { "/proc/self/status": `Name:\tspooky\nCpus_allowed:\tff\nCpus_allowed_list:\t${cores}\nMems_allowed:\t1\n` };
}

describe("cores that may be used", () => {
  test.each([
    ["0", [0]],
    ["0-3", [0, 1, 2, 3]],
    ["1,3,8-10", [1, 3, 8, 9, 10]],
  ])("%s", (list, cores) => {
    expect(allowedCores(files(status(list)))).toEqual(cores);
  });

  test("are unknown where the system does not say", () => {
    expect(allowedCores(files({}))).toEqual([]);
    expect(workersForCores(files({}))).toBe(1);
  });
});

describe("workers for auto", () => {
  const unified = (path: string): Record<string, string> => ({ "/proc/self/cgroup": `0::${path}\n` });

  test("are one for each core, and no more than slots", () => {
    expect(workersForCores(files(status("0-7")))).toBe(8);
    expect(workersForCores(files(status("0-127")))).toBe(32);
  });

  test.each([
    ["max 100000", 8],
    ["200000 100000", 2],
    ["250000 100000", 2],
    ["50000 100000", 1],
    ["nonsense", 8],
  ])("are no more than the group's quota pays for: %s", (quota, workers) => {
    const read = files({ ...status("0-7"), ...unified("/a/b"), "/sys/fs/cgroup/a/b/cpu.max": `${quota}\n` });
    expect(workersForCores(read)).toBe(workers);
  });

  test("are no more than the quota of a group above pays for", () => {
    const quotas = { "/sys/fs/cgroup/a/cpu.max": "300000 100000\n", "/sys/fs/cgroup/a/b/cpu.max": "max 100000\n" };
    expect(workersForCores(files({ ...status("0-7"), ...unified("/a/b"), ...quotas }))).toBe(3);
  });

  test("are no more than the root's quota pays for, which a container sees its own as", () => {
    const read = files({ ...status("0-7"), ...unified("/"), "/sys/fs/cgroup/cpu.max": "100000 100000\n" });
    expect(workersForCores(read)).toBe(1);
  });

  test("heed the older kind of groups", () => {
    const folder = "/sys/fs/cgroup/cpu/docker/x";
    const group = (quota: string) => ({
      "/proc/self/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n",
      [`${folder}/cpu.cfs_quota_us`]: `${quota}\n`,
      [`${folder}/cpu.cfs_period_us`]: "100000\n",
    });
    expect(workersForCores(files({ ...status("0-7"), ...group("400000") }))).toBe(4);
    expect(workersForCores(files({ ...status("0-7"), ...group("-1") }))).toBe(8);
  });
});
