/**
 * Load from an h2load with HTTP/3 against a running proxy, and what the proxy's process spent: CPU per request over wall time.
 *
 *     bun bench/load/proxy.ts --url https://127.0.0.1:PORT/path --pid PID [--h2load PATH] [--requests 100000] [--rounds 3]
 *
 * Prints a Markdown row per round. Machines are noisy: compare proxies in one interleaved run, as ratios.
 */
import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

interface Shape {
  readonly connections: number;
  readonly streams: number;
}

const SHAPES: readonly Shape[] = [
  { connections: 10, streams: 10 },
  { connections: 100, streams: 1 },
];
/** Clock ticks of /proc/PID/stat per second: 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100;
const WARM_UP_REQUESTS = 20_000;

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    pid: { type: "string" },
    h2load: { type: "string", default: "h2load" },
    requests: { type: "string", default: "100000" },
    rounds: { type: "string", default: "3" },
  },
});
const { url, pid, h2load } = values;
if (url === undefined || pid === undefined) {
  console.error("usage: bun bench/load/proxy.ts --url URL --pid PID [--h2load PATH] [--requests N] [--rounds N]");
  process.exit(2);
}

console.log(
  "| connections x streams | ok / all | requests/s | p50 | p99 | CPU us/request | datagrams in per answer | RSS MiB |",
);
console.log("|---|---|---|---|---|---|---|---|");
for (const shape of SHAPES) {
  load(shape, WARM_UP_REQUESTS);
  for (let round = 0; round < Number(values.rounds); round++) console.log(row(shape, Number(values.requests)));
}

function row(shape: Shape, requests: number): string {
  const before = cpuSeconds();
  const output = load(shape, requests);
  const cpuMicroseconds = ((cpuSeconds() - before) * 1e6) / requests;
  const ok = pick(output, /status codes: (\d+) 2xx/);
  const rate = Number(pick(output, /, ([\d.]+) req\/s/)).toFixed(0);
  const [, , , median = "", , p99 = ""] = pick(output, /^request\s+:\s+(.*)$/m)
    .split(/\s+/)
    .map((_, i, all) => all[i - 1] ?? "");
  const received = Number(pick(output, /UDP datagram: \d+ sent, (\d+) received/)) / requests;
  const rss = Number(pick(readFileSync(`/proc/${pid}/status`, "utf8"), /VmRSS:\s+(\d+)/)) / 1024;
  const name = `${shape.connections} x ${shape.streams}`;
  return `| ${name} | ${ok} / ${requests} | ${rate} | ${median} | ${p99} | ${cpuMicroseconds.toFixed(0)} | ${received.toFixed(2)} | ${rss.toFixed(0)} |`;
}

function load({ connections, streams }: Shape, requests: number): string {
  const args = ["--h3", "--sni=localhost", "-t", "1", "-n", `${requests}`, "-c", `${connections}`, "-m", `${streams}`];
  const run = spawnSync(h2load ?? "h2load", [...args, url ?? ""], { encoding: "utf8" });
  if (run.status !== 0) throw new TypeError(`h2load failed: ${run.stderr}`);
  return run.stdout;
}

/** User and system time of the process, all threads. */
function cpuSeconds(): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function pick(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[1] ?? "";
}
