/**
 * Many requests through a running proxy, watched from outside: does its memory stay flat, and how many connections does it keep
 * to its backends?
 *
 *     bun bench/load/soak.ts --url URL --pid PID --backend-port PORT [--h2load PATH] [--requests 1000000] [--steps 10]
 *
 * Prints a Markdown row per step. Exit code 1 when a request failed, or when the steps of the second half hold over
 * 5 % more memory than those of the first: single steps differ by as much with what the collector has left.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const CONNECTIONS = 20;
const STREAMS = 10;
/** What memory may rise by from one half to the other. */
const GROWTH_MAX = 1.05;
const ESTABLISHED = "01";

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    pid: { type: "string" },
    "backend-port": { type: "string" },
    h2load: { type: "string", default: "h2load" },
    requests: { type: "string", default: "1000000" },
    steps: { type: "string", default: "10" },
  },
});
const { url, pid, h2load } = values;
const backendPort = Number(values["backend-port"]);
if (url === undefined || pid === undefined || !(backendPort > 0)) {
  console.error("usage: bun bench/load/soak.ts --url URL --pid PID --backend-port PORT [--h2load PATH] [--requests N]");
  process.exit(2);
}

const steps = Number(values.steps);
const perStep = Math.ceil(Number(values.requests) / steps);
const memory: number[] = [];
let failed = 0;
console.log("| requests | ok / all | RSS MiB | connections to the backend | open files |\n|---|---|---|---|---|");
for (let step = 1; step <= steps; step++) {
  const ok = load(perStep);
  failed += perStep - ok;
  const rssMib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  memory.push(rssMib);
  const { files, connections } = descriptors();
  console.log(`| ${step * perStep} | ${ok} / ${perStep} | ${rssMib.toFixed(1)} | ${connections} | ${files} |`);
}
const half = Math.ceil(memory.length / 2);
const growth = mean(memory.slice(half)) / mean(memory.slice(0, half));
console.log(
  `\nfailed ${failed}; mean memory of the second half of the steps is ${growth.toFixed(3)} of that of the first`,
);
process.exitCode = failed > 0 || growth > GROWTH_MAX ? 1 : 0;

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length);
}

function load(requests: number): number {
  const shape = ["-c", String(CONNECTIONS), "-m", String(STREAMS), "-n", String(requests)];
  const { stdout } = spawnSync(h2load, ["--h3", ...shape, String(url)], { encoding: "utf8", maxBuffer: 1 << 26 });
  return Number(/status codes: (\d+) 2xx/.exec(stdout)?.[1] ?? 0);
}

/** Open descriptors of the process, and how many of them are established connections to the backend's port. */
function descriptors(): { files: number; connections: number } {
  const folder = `/proc/${String(pid)}/fd`;
  const names = readdirSync(folder);
  const inodes = new Set(names.map((name) => /^socket:\[(\d+)\]$/.exec(link(`${folder}/${name}`))?.[1] ?? ""));
  const port = backendPort.toString(16).toUpperCase().padStart(4, "0");
  const rows = ["tcp", "tcp6"].flatMap((table) => readFileSync(`/proc/net/${table}`, "utf8").split("\n"));
  const connections = rows.filter((row) => {
    const [, , remote = "", state = "", , , , , , inode = ""] = row.trim().split(/\s+/);
    return remote.endsWith(`:${port}`) && state === ESTABLISHED && inodes.has(inode);
  }).length;
  return { files: names.length, connections };
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed meanwhile.
    return "";
  }
}
