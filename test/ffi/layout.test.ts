/** The committed layouts against a fresh run of the C probe on this machine. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { QUICHE_HEADER } from "../support/native.ts";

const compiler = ["cc", "gcc", "clang"].map((name) => Bun.which(name)).find((path) => path !== null);

describe("generated layouts", () => {
  test.skipIf(compiler === undefined || !existsSync(QUICHE_HEADER))(
    "are what the compiler says (needs a C compiler)",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "spooky-layout-"));
      try {
        const probe = join(folder, "probe");
        const source = join(import.meta.dir, "../../ffi/probe/layout.c");
        const built = Bun.spawnSync([compiler ?? "cc", "-I", dirname(QUICHE_HEADER), source, "-o", probe]);
        expect(built.stderr.toString()).toBe("");
        const printed = Bun.spawnSync([probe]).stdout.toString();
        expect(readFileSync(join(import.meta.dir, "../../ffi/layout.ts"), "utf8")).toBe(printed);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});
