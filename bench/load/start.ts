/**
 * How long an executable takes from its start until it listens, beside what Bun takes to start and end an empty program that was compiled
 * the same way, and beside `spooky --version`. In turns, so that a noisy machine is noisy for all; medians in milliseconds.
 *
 *     bun bench/load/start.ts [--spooky dist/spooky] [--rounds 40]
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { testCertificateFiles } from "../../test/support/certs.ts";
import { proxyConfig } from "../../test/support/proxy.ts";

const { values } = parseArgs({
  options: { spooky: { type: "string", default: "dist/spooky" }, rounds: { type: "string", default: "40" } },
});
const folder = mkdtempSync(join(tmpdir(), "spooky-start-"));
const certificate = await testCertificateFiles((clean) => void process.once("exit", clean));
const pools = [{ prefix: "/", backends: ["127.0.0.1:9"] }];

/** What is started, and the words in its output at which it is ready; null: its end counts. */
interface Way {
  readonly name: string;
  readonly command: readonly string[];
  readonly ready: string | null;
}

const WAYS: readonly Way[] = [
  { name: "an empty program in Bun", command: [compileEmpty()], ready: null },
  { name: "spooky --version", command: [values.spooky, "--version"], ready: null },
  { name: "spooky, one process, until it listens", command: serving("off", 1), ready: '"listening"' },
  { name: "spooky, supervisor and two workers", command: serving("auto", 2), ready: '"listening"' },
];

const tookMs = new Map(WAYS.map(({ name }) => [name, [] as number[]]));
for (let round = 0; round < Number(values.rounds); round++) {
  for (const way of WAYS) tookMs.get(way.name)?.push(await once(way));
}
for (const [name, times] of tookMs) {
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor((times.length - 1) * share)] ?? 0).toFixed(1);
  console.log(`${name.padEnd(40)} median ${at(0.5)} ms, least ${at(0)}, ninth of ten ${at(0.9)}`);
}
rmSync(folder, { recursive: true });
process.exit(0);

async function once({ command, ready }: Way): Promise<number> {
  const started = performance.now();
  const child = Bun.spawn([...command], { stdio: ["ignore", "pipe", "inherit"] });
  if (ready === null) {
    await child.exited;
    return performance.now() - started;
  }
  let text = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.includes(ready)) break;
  }
  const took = performance.now() - started;
  child.kill("SIGTERM");
  await child.exited;
  return took;
}

function compileEmpty(): string {
  const source = join(folder, "empty.ts");
  const program = join(folder, "empty");
  writeFileSync(source, "export {};\n");
  const flags = ["--compile", "--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig", `--outfile=${program}`];
  const built = Bun.spawnSync([process.execPath, "build", ...flags, source], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (!built.success) throw new Error("bun build failed");
  return program;
}

function serving(supervisor: "auto" | "off", workers: number): readonly string[] {
  const path = join(folder, `${supervisor}.yaml`);
  const extra = supervisor === "off" ? {} : { workers };
  writeFileSync(path, proxyConfig({ pools, supervisor, extra }, certificate));
  return [values.spooky, "--config", path];
}
