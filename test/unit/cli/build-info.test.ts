import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { buildInfo } from "../../../src/cli/build-info.ts";

test("run from source the version is that of package.json, and the rest says that it is source", () => {
  const packageFile: unknown = JSON.parse(readFileSync(join(import.meta.dir, "../../../package.json"), "utf8"));
  const { version, commit, target } = buildInfo();
  expect(packageFile).toHaveProperty("version", version);
  expect(commit).toBe("source");
  expect(target).toBe(`linux-${process.arch}`);
});
