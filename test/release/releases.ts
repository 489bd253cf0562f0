/** Where the releases are that `scripts/release` made, and what runs a program of theirs. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..", "..");

/** Processors that releases are made for. */
export type Arch = "x86_64" | "aarch64";

/** A release that is there. */
export interface Release {
  readonly arch: Arch;
  /** Folder of the tarball and what lies beside it. */
  readonly folder: string;
  /** Name of the tarball in it. */
  readonly archive: string;
  /** The unpacked tree. */
  readonly tree: string;
}

/** Said in the name of what is skipped. */
export const RELEASE_MISSING = "no release of this source was made (./scripts/release makes it)";

/** What a release is made of. */
const INPUTS = [
  ...["src", "ffi", "packaging", "LICENSE", "package.json", "package-lock.json", "quiche.build.sh", "scripts/build.ts"],
  ...["scripts/portable.sh", "scripts/toolchain.sh", ":(glob)scripts/release*"],
];

/** The release of that processor; null when it was not made, or was made of another source than what is here. */
export function releaseOf(arch: Arch): Release | null {
  const folder = join(ROOT, "dist", "release");
  const archive = `spooky-linux-${arch}.tar.gz`;
  const tree = join(folder, "tree", arch);
  const made = existsSync(join(folder, archive)) && existsSync(join(tree, "spooky"));
  return made && isOfThisSource(join(folder, `spooky-linux-${arch}.cdx.json`)) ? { arch, folder, archive, tree } : null;
}

/** The bill of materials names the commit. Where there is no repository, or not that commit, nothing speaks against it. */
function isOfThisSource(bill: string): boolean {
  const [, commit] = /"spooky:commit",\s*"value": "([0-9a-f]+)"/.exec(readFileSync(bill, "utf8")) ?? [];
  if (commit === undefined) return false;
  const run = spawnSync("git", ["-C", ROOT, "diff", "--quiet", commit, "--", ...INPUTS]);
  return run.status !== 1;
}

/** The version that package.json says. */
export function packageVersion(): string {
  const parsed: { version: string } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  return parsed.version;
}

/** A file of the project. */
export function projectFile(path: string): string {
  return join(ROOT, path);
}

/** Names of Debian's roots in the cache, with their places; nothing is made. */
export function cachedRoots(): ReadonlyMap<string, string> {
  const run = spawnSync(join(ROOT, "scripts", "roots.sh"), ["--cached"], { encoding: "utf8" });
  const lines = run.stdout.trim().split("\n");
  return new Map(
    lines.flatMap((line) => [...line.matchAll(/^([a-z0-9-]+)=(.+)$/g)].map(([, name = "", path = ""]) => [name, path])),
  );
}

/** Said in the name of what is skipped. */
export const QEMU_MISSING = "qemu-aarch64-static is not there (./scripts/roots.sh installs it)";

/** The emulator of arm64 for user programs; null when it is not there. */
export const QEMU_ARM64 = Bun.which("qemu-aarch64-static");

/** A folder with the C library of arm64, for the emulator; null when the release's toolchain is not in the cache. */
export function arm64Libraries(): string | null {
  const run = spawnSync(join(ROOT, "scripts", "toolchain.sh"), ["--cached"], { encoding: "utf8" });
  return run.status === 0 ? join(run.stdout.trim(), "arm64") : null;
}

/** How a program of another processor is called here: it cannot start itself anew, so what it would do that for is done beforehand. */
export const EMULATED_ENV = { BUN_CONFIG_MAX_HTTP_REQUESTS: "65336" } as const;
