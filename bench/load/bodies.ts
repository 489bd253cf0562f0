/**
 * What large bodies cost proxies, side by side: CPU per MiB of a process, downloads and uploads in turn within one run.
 *
 *     bun bench/load/bodies.ts --proxy NAME=PID=URL [--proxy ...] --down PATH --up PATH [--mib 10] [--h2load PATH]
 *         [--requests 40] [--rounds 3]
 *
 * `--body-file` is a body of as many MiB that h2load can read, where it lives in a file system of its own. `--down` is a path that answers with as many MiB, `--up` one that takes a POST. Prints medians as a Markdown table.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const MIB = 1024 * 1024;
const CONNECTIONS = 4;
/** Clock ticks of /proc/PID/stat per second: 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100;

const { values } = parseArgs({
  options: {
    proxy: { type: "string", multiple: true, default: [] },
    down: { type: "string" },
    up: { type: "string" },
    "body-file": { type: "string" },
    mib: { type: "string", default: "10" },
    h2load: { type: "string", default: "h2load" },
    requests: { type: "string", default: "40" },
    rounds: { type: "string", default: "3" },
  },
});
const { down, up, h2load } = values;
if (values.proxy.length === 0 || down === undefined || up === undefined) {
  console.error("usage: bun bench/load/bodies.ts --proxy NAME=PID=URL [--proxy ...] --down PATH --up PATH");
  process.exit(2);
}
const mib = Number(values.mib);
const requests = Number(values.requests);
const upload = values["body-file"] ?? join(tmpdir(), `spooky-bench-${process.pid}.body`);
if (values["body-file"] === undefined) writeFileSync(upload, Buffer.alloc(mib * MIB, "spooky"));

console.log(
  "| proxy | download, CPU ms/MiB | upload, CPU ms/MiB | MiB/s down | MiB/s up | RSS MiB |\n|---|---|---|---|---|---|",
);
const proxies = values.proxy.map((text) => {
  const [name = "", pid = "", ...url] = text.split("=");
  return { name, pid, url: url.join("="), down: [] as Sample[], up: [] as Sample[] };
});
for (const { pid, url } of proxies) for (const target of [[url + down], ["-d", upload, url + up]]) measure(pid, target);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const proxy of proxies) {
    proxy.down.push(measure(proxy.pid, [proxy.url + down]));
    proxy.up.push(measure(proxy.pid, ["-d", upload, proxy.url + up]));
  }
}
for (const proxy of proxies) {
  const cells = [
    ...[proxy.down, proxy.up].map((samples) => median(samples.map(({ cpuMs }) => cpuMs)).toFixed(2)),
    ...[proxy.down, proxy.up].map((samples) => median(samples.map(({ mibPerS }) => mibPerS)).toFixed(0)),
    rssMib(proxy.pid).toFixed(0),
  ];
  console.log(`| ${proxy.name} | ${cells.join(" | ")} |`);
}

interface Sample {
  /** Per MiB. */
  readonly cpuMs: number;
  readonly mibPerS: number;
}

function measure(pid: string, target: readonly string[]): Sample {
  const before = cpuSeconds(pid);
  const startedMs = performance.now();
  const options = ["--h3", "-c", String(CONNECTIONS), "-m", "1", "-n", String(requests), "-w", "24", "-W", "26"];
  const { stdout } = spawnSync(h2load, [...options, ...target], { encoding: "utf8", maxBuffer: 1 << 26 });
  const tookS = (performance.now() - startedMs) / 1000;
  const ok = Number(/status codes: (\d+) 2xx/.exec(stdout)?.[1] ?? 0);
  if (ok !== requests) console.error(`${target.join(" ")}: only ${ok} of ${requests} succeeded`);
  return { cpuMs: ((cpuSeconds(pid) - before) * 1000) / (requests * mib), mibPerS: (requests * mib) / tookS };
}

/** User and system time of all threads. */
function cpuSeconds(pid: string): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function rssMib(pid: string): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}
