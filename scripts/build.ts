/**
 * Makes `dist/spooky`: the proxy, Bun and the native library in one executable. Run by `./scripts/build`, which brings what
 * it needs; alone: `bun scripts/build.ts [--target=x64|arm64] [--executable=FILE] [--outfile=FILE]`. For another processor
 * than this one, `--executable` names a Bun for it and `dist/native` must hold the library for it.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const ROOT = join(import.meta.dir, "..");
const ENTRY = join(ROOT, "src", "main.compiled.ts");
const LIBRARY = join(ROOT, "dist", "native", "libspooky_native.so");

/** What the executable says of itself; it stands in for the name `SPOOKY_BUILD` in the source. */
interface BuildInfo {
  readonly version: string;
  readonly commit: string;
  readonly target: string;
}

function main(): number {
  const { values } = parseArgs({
    options: { target: { type: "string" }, executable: { type: "string" }, outfile: { type: "string" } },
  });
  const processor = values.target ?? process.arch;
  if (processor !== "x64" && processor !== "arm64")
    return complain(`no builds for ${processor}: the target is x64 or arm64`, 2);
  if (!existsSync(LIBRARY)) return complain("dist/native holds no library: run ./quiche.build.sh first", 3);
  const info = { version: packageVersion(), commit: commitOf(ROOT), target: `linux-${processor}` };
  const outfile = resolve(values.outfile ?? join(ROOT, "dist", "spooky"));
  const built = compile(info, outfile, values.executable);
  if (built !== 0) return complain("bun build failed", 1);
  const mebibytes = (statSync(outfile).size / 2 ** 20).toFixed(1);
  console.log(`${outfile}: ${info.version} (${info.commit}) for ${info.target}, ${mebibytes} MiB`);
  return processor === process.arch ? tryOut(outfile) : 0;
}

/**
 * Nothing may strip the result afterwards: the program stands behind the executable's last section and would be lost. The two
 * `--no-compile-autoload` options keep it from obeying a `bunfig.toml` or a `.env` in the folder where it is started. With `--bytecode` the
 * runtime need not parse the program at every start, with `--splitting` a command loads its own part of it; the executable has 6 MiB more.
 */
function compile(info: BuildInfo, outfile: string, executable: string | undefined): number {
  const options = [
    "--compile",
    `--target=bun-${info.target}`,
    "--minify-syntax",
    "--bytecode",
    "--splitting",
    "--format=esm",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--define",
    `SPOOKY_BUILD=${JSON.stringify(info)}`,
    `--outfile=${outfile}`,
  ];
  if (executable !== undefined) options.push(`--compile-executable-path=${resolve(executable)}`);
  const run = spawnSync(process.execPath, ["build", ...options, ENTRY], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (run.status === 0) chmodSync(outfile, 0o755);
  return run.status ?? 1;
}

/** Starts the executable far from its sources, with nothing in its environment, and says how long it took. */
function tryOut(executable: string): number {
  const folder = mkdtempSync(join(tmpdir(), "spooky-build-"));
  try {
    const started = performance.now();
    const run = spawnSync(executable, ["--version"], { cwd: folder, env: {}, encoding: "utf8" });
    const tookMs = Math.round(performance.now() - started);
    if (run.status !== 0) return complain(`the executable does not run: ${run.stderr}`, 1);
    console.log(`${run.stdout.trim()}\nstarted and ended in ${tookMs} ms`);
    return 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function packageVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  if (typeof parsed === "object" && parsed !== null && "version" in parsed) return String(parsed.version);
  return "unknown";
}

/** The commit that the source is at, `-dirty` if it was changed since; what SPOOKY_COMMIT says, where it lies outside of its repository. */
function commitOf(folder: string): string {
  const told = process.env["SPOOKY_COMMIT"];
  if (told !== undefined) return told;
  const git = (...options: string[]): string | null => {
    const run = spawnSync("git", ["-C", folder, ...options], { encoding: "utf8" });
    return run.status === 0 ? run.stdout.trim() : null;
  };
  const commit = git("rev-parse", "--short=12", "HEAD");
  // A repository that the source only lies in has other commits than its own.
  if (commit === null || git("rev-parse", "--show-prefix") !== "") return "unknown";
  return git("status", "--porcelain") === "" ? commit : `${commit}-dirty`;
}

function complain(message: string, code: number): number {
  console.error(`error: ${message}`);
  return code;
}

process.exitCode = main();
