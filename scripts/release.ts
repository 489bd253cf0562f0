/**
 * Packs a release of one architecture: the unpacked tree, the tarball with its checksum, the bill of materials. Run by `scripts/release`
 * in the folder where it has laid out the commit and built the executable; alone it makes no sense.
 *
 * The same input gives the same bytes: names are sorted, owners are 0, times are the commit's (SOURCE_DATE_EPOCH), and gzip writes no time.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { must } from "../src/core/assert.ts";
import { licencesText } from "./release.licences.ts";
import type { PartsOptions } from "./release.part.ts";
import { releaseParts } from "./release.parts.ts";
import { sbomText } from "./release.sbom.ts";
import { DATE_MARK } from "./man-page.ts";

const ROOT = join(import.meta.dirname, "..");
const OWNER_RUNS = 0o100;

/** What a release is made with beside its own toolchain. */
const MACHINE_TOOLS = ["cargo", "cmake", "tar", "gzip"];

/** Files of the release and where they come from in the source. */
const COPIED: readonly (readonly [string, string])[] = [
  ["LICENSE", "LICENSE"],
  ["config.example.yaml", "packaging/config.example.yaml"],
  ["spooky.service", "packaging/systemd/spooky.service"],
  ["completions/spooky.bash", "packaging/completions/spooky.bash"],
  ["completions/_spooky", "packaging/completions/_spooky"],
  ["completions/spooky.fish", "packaging/completions/spooky.fish"],
  ["man/spooky.1", "packaging/man/spooky.1"],
  ["man/spooky.yaml.5", "packaging/man/spooky.yaml.5"],
];

/** Folders of `packaging` that come as they are and under the same paths, so that what the pages say to install is there with a tarball, too. */
const FOLDERS = [
  ...[
    "ansible",
    "apparmor",
    "certbot",
    "grafana",
    "limits",
    "logrotate",
    "nftables",
    "prometheus",
    "scripts",
    "sysctl",
  ],
  "systemd",
].map((name) => join("packaging", name));

function main(): void {
  const { values } = parseArgs({
    options: { arch: { type: "string" }, toolchain: { type: "string" }, out: { type: "string" } },
  });
  const arch = values.arch === "aarch64" ? "aarch64" : "x86_64";
  const out = must(values.out, "scripts/release names a folder");
  const epochS = Number(must(process.env["SOURCE_DATE_EPOCH"], "scripts/release names the commit's time"));
  const options = {
    root: ROOT,
    arch,
    toolchain: must(values.toolchain, "scripts/release names the toolchain"),
  } as const;
  const parts = releaseParts(options);
  const tree = join(out, "tree", arch);
  layTree({ tree, arch, epochS, licences: licencesText(parts, join(ROOT, "packaging", "licences")) });
  const name = `spooky-linux-${arch}`;
  const archive = join(out, `${name}.tar.gz`);
  pack(tree, archive, epochS);
  const sha256 = sha256Of(archive);
  writeFileSync(`${archive}.sha256`, `${sha256}  ${name}.tar.gz\n`);
  writeFileSync(join(out, `${name}.cdx.json`), sbomText(parts, sbomOptions(options, tree, epochS)));
  console.log(`${sha256}  ${archive}`);
}

interface TreeOptions {
  readonly tree: string;
  readonly arch: string;
  readonly epochS: number;
  readonly licences: string;
}

/** Modes do not depend on the umask: 755 for folders and what its owner may run, 644 for all else. */
function layTree({ tree, arch, epochS, licences }: TreeOptions): void {
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  copyFileSync(join(ROOT, "dist", `spooky-${arch}`), join(tree, "spooky"));
  writeFileSync(join(tree, "THIRD-PARTY-LICENSES"), licences);
  const day = new Date(epochS * 1000).toISOString().slice(0, 10);
  for (const [to, from] of COPIED) {
    mkdirSync(dirname(join(tree, to)), { recursive: true });
    writeFileSync(join(tree, to), readFileSync(join(ROOT, from), "utf8").replace(DATE_MARK, day));
  }
  for (const folder of FOLDERS) cpSync(join(ROOT, folder), join(tree, folder), { recursive: true });
  const entries = readdirSync(tree, { withFileTypes: true, recursive: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    chmodSync(path, (statSync(path).mode & OWNER_RUNS) !== 0 ? 0o755 : 0o644);
  }
  for (const entry of entries) utimesSync(join(entry.parentPath, entry.name), epochS, epochS);
}

/** GNU tar and gzip; the archive appears as a whole. Top names stand without a folder before them: `tar xzf` brings `./spooky`. */
function pack(tree: string, archive: string, epochS: number): void {
  const options = ["--format=ustar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=@${epochS}`];
  const names = readdirSync(tree).sort();
  const script = `set -o pipefail; tar "$@" | gzip -n -9 >"$ARCHIVE.new"`;
  const run = spawnSync("bash", ["-c", script, "bash", ...options, "-C", tree, "-cf", "-", ...names], {
    env: { ...process.env, ARCHIVE: archive, LC_ALL: "C" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (run.status !== 0) throw new Error(`${archive} could not be packed`);
  renameSync(`${archive}.new`, archive);
}

function sbomOptions({ arch, toolchain }: PartsOptions, tree: string, epochS: number): Parameters<typeof sbomText>[1] {
  const parsed: { version: string } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const versions = readFileSync(join(toolchain, "versions"), "utf8").trim().split("\n");
  const tools = [...versions, ...MACHINE_TOOLS.map(versionOf)].map((line): readonly [string, string] => {
    const at = line.indexOf(" ");
    return [line.slice(0, at), line.slice(at + 1)];
  });
  const commit = process.env["SPOOKY_COMMIT"] ?? "unknown";
  return { version: parsed.version, commit, arch, epochS, sha256: sha256Of(join(tree, "spooky")), tools };
}

/** `NAME VERSION`, from the first line that a program says of itself, such as `tar (GNU tar) 1.34`. */
function versionOf(program: string): string {
  const [line = ""] = spawnSync(program, ["--version"], { encoding: "utf8" }).stdout.split("\n");
  return `${program} ${must(/\d[\d.]*( .*)?$/.exec(line)?.[0], `${program} tells its version`)}`;
}

function sha256Of(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

main();
