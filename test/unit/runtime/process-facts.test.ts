/** What the kernel says of processes: its text is read right, and says of this one what is true. */
import { expect, test } from "bun:test";
import { descriptorUse, machineMemoryBytes, parseStat, processUse } from "../../../src/runtime/process-facts.ts";

test("a name of brackets and spaces does not shift what follows", () => {
  const rest = "S 1 2 3 4 5 6 7 8 9 10 150 50 300 100 20 0 1 0 99 123456 77 18446744073709551615";
  const use = { cpuSeconds: 2, childrenCpuSeconds: 4, residentBytes: 77 * 4096 };
  expect(parseStat(`12 (h3) worker) ${rest}`)).toEqual(use);
  expect(parseStat("nothing")).toBeNull();
});

test("this process has used time, memory and descriptors, each within what there is", () => {
  const use = processUse("self");
  const memory = machineMemoryBytes() ?? 0;
  expect(use?.residentBytes).toBeGreaterThan(1e6);
  expect(memory).toBeGreaterThan(use?.residentBytes ?? Infinity);
  const fds = descriptorUse();
  expect(fds?.open).toBeGreaterThan(2);
  expect(fds?.max).toBeGreaterThanOrEqual(fds?.open ?? Infinity);
  expect(processUse(2 ** 30)).toBeNull();
});
