/** What a release leaves for packages, made from the built executable: enough to make packages of it. */
import { copyFileSync, cpSync, linkSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { runProcess } from "../support/process.ts";
import { binaryPath } from "../support/proxy.ts";

const ROOT = join(import.meta.dir, "..", "..");
const PACKAGING = join(ROOT, "packaging");
/** The processor of this machine as releases name it, and as Debian does. */
export const ARCH = process.arch === "arm64" ? "aarch64" : "x86_64";
export const DEBIAN_ARCH = process.arch === "arm64" ? "arm64" : "amd64";

/** What to pack. */
export interface PackageOptions {
  readonly version: string;
  /** Added to the end of the configuration that is installed. */
  readonly configuration?: string;
  readonly format: "deb" | "rpm";
  /** Of a release that was made, instead of the built executable. */
  readonly release?: { readonly arch: string; readonly tree: string };
}

const made = new Map<string, Promise<string>>();

/** Makes one package in `folder`, unless it has been made there. See `make`. */
export function makePackage(folder: string, options: PackageOptions): Promise<string> {
  const key = JSON.stringify([folder, options]);
  const known = made.get(key) ?? make(folder, options);
  made.set(key, known);
  return known;
}

/** Makes it by `scripts/package`, and gives its path. Debian's are not compressed, which saves half a minute. */
async function make(folder: string, { version, configuration = "", format, release }: PackageOptions): Promise<string> {
  const arch = release?.arch ?? ARCH;
  const out = join(folder, `${made.size}-${version}-${format}`);
  layTree(join(out, "tree", arch), release?.tree);
  const installed = join(out, "config.yaml");
  writeFileSync(installed, `${readFileSync(join(PACKAGING, "config.yaml"), "utf8")}${configuration}`);
  const options = [
    ...[`--arch=${arch}`, `--version=${version}`, `--out=${out}`, `--format=${format}`],
    ...[`--config=${installed}`, "--quick"],
  ];
  const { code, stdout, stderr } = await runProcess({ command: [join(ROOT, "scripts", "package"), ...options] });
  if (code !== 0) throw new Error(`scripts/package failed: ${stderr}`);
  return must(stdout.trim().split("\n").at(-1), "it says what it made");
}

/** Another release's tree, or one around the built executable. */
function layTree(tree: string, from: string | undefined): void {
  mkdirSync(tree, { recursive: true });
  if (from !== undefined) return cpSync(from, tree, { recursive: true });
  place(binaryPath(), join(tree, "spooky"));
  for (const name of ["man", "completions"]) cpSync(join(PACKAGING, name), join(tree, name), { recursive: true });
  copyFileSync(join(ROOT, "LICENSE"), join(tree, "LICENSE"));
  writeFileSync(join(tree, "THIRD-PARTY-LICENSES"), "of the runtime and libraries\n");
  copyFileSync(join(PACKAGING, "config.example.yaml"), join(tree, "config.example.yaml"));
}

/** A link where that can be: the executable is large. */
function place(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
