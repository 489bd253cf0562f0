import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { readRegularFile } from "../../../src/runtime/regular-file.ts";
import { tempFolder, writeTemp } from "../../support/temp.ts";

const folder = tempFolder("regular-file");

describe("a file", () => {
  test.each([0, 1, 64 * 1024, 64 * 1024 + 1, 300_000])("of %i bytes is read whole", (size) => {
    const text = "x".repeat(size);
    const path = writeTemp(folder, `whole-${size}`, text);
    expect(new TextDecoder().decode(readRegularFile(path, 300_000))).toBe(text);
  });

  test("without a size, as the kernel makes them up, is read whole", () => {
    expect(new TextDecoder().decode(readRegularFile("/proc/self/status", 1 << 20))).toContain("Name:");
    expect(() => readRegularFile("/proc/self/status", 10)).toThrow("/proc/self/status has more than 10 bytes");
  });

  test("that is too large is refused", () => {
    const path = writeTemp(folder, "large", "12345");
    expect(readRegularFile(path, 5)).toHaveLength(5);
    expect(() => readRegularFile(path, 4)).toThrow(`${path} has more than 4 bytes`);
  });
});

test("what is no file is never waited for", () => {
  const pipe = join(folder, "pipe");
  expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
  expect(() => readRegularFile(pipe, 100)).toThrow(`${pipe} is no file`);
  expect(() => readRegularFile("/dev/zero", 100)).toThrow("/dev/zero is no file");
  expect(() => readRegularFile(folder, 100)).toThrow(`${folder} is a folder`);
  expect(() => readRegularFile(join(folder, "nothing"), 100)).toThrow("ENOENT");
});
