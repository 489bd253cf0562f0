/** What the kernel says of processes: its text is read right, and says of this one what is true. */
import { expect, test } from "bun:test";
import { descriptorUse, machineMemoryBytes, parseUse, processUse } from "../../../src/runtime/process-facts.ts";

test("a name of brackets and spaces does not shift what follows, and memory is read where no page size is needed", () => {
  const rest = "S 1 2 3 4 5 6 7 8 9 10 150 50 300 100 20 0 1 0 99 123456 77 18446744073709551615";
  const stat = `12 (h3) worker) ${rest}`;
  const status = "Name:\th3) worker\nVmHWM:\t  9999 kB\nVmRSS:\t    1232 kB\nRssAnon:\t 1 kB\n";
  const use = { cpuSeconds: 2, childrenCpuSeconds: 4, residentBytes: 1232 * 1024 };
  expect(parseUse(stat, status)).toEqual(use);
  expect(parseUse(stat, "Name:\th3\nState:\tZ (zombie)\n")).toEqual({ ...use, residentBytes: 0 });
  expect(parseUse("nothing", status)).toBeNull();
  expect(parseUse(stat, "nothing")).toBeNull();
});

test("this process has used time, memory and descriptors, each within what there is", () => {
  const use = processUse("self");
  const memory = machineMemoryBytes();
  expect(use?.residentBytes).toBeGreaterThan(1e6);
  expect(memory).toBeGreaterThan(use?.residentBytes ?? Infinity);
  const fds = descriptorUse();
  expect(fds?.open).toBeGreaterThan(2);
  expect(fds?.max).toBeGreaterThanOrEqual(fds?.open ?? Infinity);
  expect(processUse(2 ** 30)).toBeNull();
});
