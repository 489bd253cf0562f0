/** What tests of packages need besides the project itself, as `scripts/package-tools.sh` finds it; tests of what is lacking are skips by name. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasRunner } from "../support/proxy.ts";
import { ROOTS_MISSING } from "../support/own-root.ts";

const MANUALS = join(import.meta.dir, "..", "..", "packaging", "man");

/** A tool by the name that `scripts/package-tools.sh` gives it; null when it is not there. */
export function packageTool(
  name: "nfpm" | "helm" | "kubeconform" | "compose" | "hadolint" | "schemas" | "root",
): string | null {
  return process.env[`SPOOKY_TEST_${name.toUpperCase()}`] || null;
}

/** Why a test that needs all of these cannot run; null when it can. */
export function toolsLack(...names: readonly Parameters<typeof packageTool>[0][]): string | null {
  const lacking = names.filter((name) => packageTool(name) === null);
  if (lacking.length === 0) return null;
  return `lacking ${lacking.join(", ")}: ./scripts/package-tools.sh brings them, and SPOOKY_TEST_PACKAGING=1 ./scripts/test calls it`;
}

/** The same for a test that installs the built executable in a root of its own. */
export function rootsLack(...names: readonly Parameters<typeof packageTool>[0][]): string | null {
  if (!hasRunner("binary")) return "dist/spooky is not built (./scripts/build makes it)";
  if (names.includes("nfpm") && !existsSync(MANUALS)) return "packaging/man is not there";
  return toolsLack(...names) ?? ROOTS_MISSING;
}
