/**
 * What a small request costs in several proxies, side by side: CPU of each proxy's processes per request, proxies in turn within one run.
 *
 *     bun bench/load/peers.ts [--spooky NAME=PATH[=JSON] ...] [--haproxy PATH] [--nginx PATH] [--h2load PATH]
 *         [--backends h1,h2,h2c] [--shapes 10x10,100x1] [--requests 40000] [--rounds 5] [--workers 1] [--cores PROXY:OTHERS]
 *
 * `--spooky` is an executable, or `source` for the source beside this file, and what is merged into its configuration; given several
 * times, it compares builds with one another. HAProxy and nginx must be built with QUIC, h2load with HTTP/3. nginx is the backend of all,
 * and is needed for that. `--cores 0:1` keeps each proxy on one core, the backend and the client on the other. No proxy writes an access log, unless JSON asks for it.
 * Prints a table for each shape: medians, and what they are of the first proxy's with the same kind of backend.
 * "Others" is how much of the machine was used by anything but proxy, backend and client: where it is not near 0, do not trust the row.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { must } from "../../src/core/assert.ts";
import { testCertificate } from "../../test/support/certs.ts";
import {
  backendConfig,
  haproxyConfig,
  type Kind,
  KINDS,
  nginxConfig,
  type Place,
  spookyConfig,
} from "./peers.config.ts";

/** Clock ticks of /proc/PID/stat per second: 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100;
const PORT_FIRST = 19_500;
const START_MS_MAX = 10_000;
const START_STEP_MS = 50;
/** So many requests before anything is counted: the compiler of a proxy in JavaScript needs some 10,000 for each way through it. */
const WARM_UP_REQUESTS = 40_000;
const PATH = "/small";

interface Target {
  readonly name: string;
  readonly kind: Kind;
  readonly port: number;
  readonly pid: number;
  readonly samples: Map<string, Sample[]>;
}

interface Sample {
  readonly cpuUs: number;
  readonly rate: number;
  readonly p99: string;
  readonly datagrams: number;
  readonly otherCores: number;
}

const { values } = parseArgs({
  options: {
    spooky: { type: "string", multiple: true, default: [] },
    haproxy: { type: "string" },
    nginx: { type: "string", default: "nginx" },
    h2load: { type: "string", default: "h2load" },
    backends: { type: "string", default: KINDS.join(",") },
    shapes: { type: "string", default: "10x10,100x1" },
    requests: { type: "string", default: "40000" },
    rounds: { type: "string", default: "5" },
    workers: { type: "string", default: "1" },
    cores: { type: "string", default: "" },
    "without-nginx": { type: "boolean", default: false },
  },
});
const kinds = KINDS.filter((kind) => values.backends.split(",").includes(kind));
const shapes = values.shapes.split(",");
const requests = Number(values.requests);
const workers = Number(values.workers);
const [proxyCore = "", otherCore = ""] = values.cores.split(":");

const folder = mkdtempSync(join(tmpdir(), "spooky-peers-"));
const ends: (() => void)[] = [];
let nextPort = PORT_FIRST;
try {
  const place = await makePlace();
  const backend = await startBackend(place);
  const targets = await startAll(place);
  for (const target of targets) for (const shape of shapes) load(target, shape, WARM_UP_REQUESTS);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const shape of shapes) for (const target of targets) measure(target, shape, backend);
  }
  for (const shape of shapes) report(targets, shape);
} finally {
  for (const end of ends) end();
  rmSync(folder, { recursive: true, force: true });
}

async function makePlace(): Promise<Place> {
  const { certPem, keyPem, caPem } = await testCertificate();
  const files = { cert: certPem, key: keyPem, bundle: certPem + keyPem, ca: caPem };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `${name}.pem`), text, { mode: 0o600 });
  return { folder, workers, ports: { h1: nextPort++, h2: nextPort++, h2c: nextPort++ } };
}

async function startBackend(place: Place): Promise<number> {
  writeFileSync(join(folder, "backend.conf"), backendConfig(place));
  return start([values.nginx, "-c", join(folder, "backend.conf"), "-e", "stderr"], otherCore, place.ports.h1);
}

async function startAll(place: Place): Promise<Target[]> {
  const targets: Target[] = [];
  const add = (name: string, pid: number, kind: Kind, port: number): void =>
    void targets.push({ name, kind, port, pid, samples: new Map(shapes.map((shape) => [shape, []])) });
  for (const kind of kinds) {
    // A process for each kind of backend, so that one's memory and compiled code are not another's.
    if (values.haproxy !== undefined) {
      const [port, file] = written(`haproxy-${kind}.cfg`, (free) => haproxyConfig(place, kind, free));
      add("HAProxy", await start([values.haproxy, "-f", file, "-db"], proxyCore, port), kind, port);
    }
    if (!values["without-nginx"] && kind !== "h2c") {
      const [port, file] = written(`nginx-${kind}.conf`, (free) => nginxConfig(place, kind, free));
      add("nginx", await start([values.nginx, "-c", file, "-e", "stderr"], proxyCore, port), kind, port);
    }
    for (const text of values.spooky) {
      const [name = "", program = "", ...extra] = text.split("=");
      const [port, file] = written(`${name}-${kind}.yaml`, (free) => spookyConfig(place, kind, free, extra.join("=")));
      const source = [process.execPath, join(import.meta.dir, "..", "..", "src", "main.ts")];
      const command = program === "source" ? source : [program];
      add(name, await start([...command, "--config", file], proxyCore, port), kind, port);
    }
  }
  return targets;
}

function written(name: string, config: (port: number) => string): [port: number, file: string] {
  const port = nextPort++;
  writeFileSync(join(folder, name), config(port));
  return [port, join(folder, name)];
}

/** Starts a program and waits until it has the port. Returns its pid. */
async function start(command: readonly string[], core: string, port: number): Promise<number> {
  const [program = "", ...options] = core === "" ? command : ["taskset", "-c", core, ...command];
  const logFile = join(folder, `${ends.length}.log`);
  const log = openSync(logFile, "w");
  const child = spawn(program, options, { stdio: ["ignore", log, log] });
  ends.push(() => child.kill("SIGTERM"));
  for (const untilMs = performance.now() + START_MS_MAX; performance.now() < untilMs; await Bun.sleep(START_STEP_MS)) {
    if (child.exitCode !== null || child.pid === undefined) break;
    if (isTaken(port)) return child.pid;
  }
  throw new TypeError(`${command.join(" ")} did not start:\n${readFileSync(logFile, "utf8")}`);
}

/** Whether somebody has the port, for TCP or UDP. */
function isTaken(port: number): boolean {
  const local = ` 0100007F:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  return ["tcp", "udp"].some((protocol) => readFileSync(`/proc/net/${protocol}`, "utf8").includes(local));
}

function measure(target: Target, shape: string, backend: number): void {
  const started = {
    ms: performance.now(),
    cpu: cpuSeconds(target.pid),
    backend: cpuSeconds(backend),
    all: busySeconds(),
    client: clientSeconds(),
  };
  const output = load(target, shape, requests);
  const seconds = (performance.now() - started.ms) / 1000;
  const proxySeconds = cpuSeconds(target.pid) - started.cpu;
  const ours = proxySeconds + cpuSeconds(backend) - started.backend + clientSeconds() - started.client;
  const ok = Number(pick(output, /status codes: (\d+) 2xx/));
  if (ok !== requests) console.error(`${target.name}, ${target.kind}, ${shape}: ${ok} of ${requests} succeeded`);
  target.samples.get(shape)?.push({
    cpuUs: (proxySeconds * 1e6) / requests,
    rate: Number(pick(output, /, ([\d.]+) req\/s/)),
    p99: pick(output, /^request\s+:(?:\s+\S+){4}\s+(\S+)/m),
    datagrams: Number(pick(output, /UDP datagram: \d+ sent, (\d+) received/)) / requests,
    otherCores: Math.max(0, (busySeconds() - started.all - ours) / seconds),
  });
}

function load(target: Target, shape: string, count: number): string {
  const [connections = "", streams = ""] = shape.split("x");
  const options = ["--h3", "--sni=localhost", "-t", "1", "-n", `${count}`, "-c", connections, "-m", streams];
  const command = [values.h2load, ...options, `https://127.0.0.1:${target.port}${PATH}`];
  const run = Bun.spawnSync(otherCore === "" ? command : ["taskset", "-c", otherCore, ...command], { stderr: "pipe" });
  if (!run.success) throw new TypeError(`h2load failed: ${run.stderr.toString()}`);
  return run.stdout.toString();
}

/** User and system time of all clients that have ended: the only children of this process that ever end before it. */
function clientSeconds(): number {
  const fields = must(statOf("self"), "this process is there");
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

function report(targets: readonly Target[], shape: string): void {
  console.log(`\n${shape}, ${requests} requests a round, ${values.rounds} rounds, ${workers} worker(s)\n`);
  console.log(
    "| proxy | backend | CPU us/request | least, most | of the first | requests/s | p99 | datagrams per answer | others |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|");
  for (const { name, kind, samples } of targets) {
    const own = samples.get(shape) ?? [];
    const first = targets.find((other) => other.kind === kind)?.samples.get(shape) ?? [];
    const costs = own.map(({ cpuUs }) => cpuUs).toSorted((a, b) => a - b);
    // Rounds are compared with their own neighbours, so that a change of the machine's load between rounds drops out.
    const ratio = median(own.map(({ cpuUs }, round) => cpuUs / (first[round]?.cpuUs ?? NaN)));
    const cells = [
      name,
      kind,
      median(costs).toFixed(1),
      `${costs.at(0)?.toFixed(1) ?? ""}, ${costs.at(-1)?.toFixed(1) ?? ""}`,
      ratio.toFixed(2),
      median(own.map(({ rate }) => rate)).toFixed(0),
      own[Math.floor(own.length / 2)]?.p99 ?? "",
      median(own.map(({ datagrams }) => datagrams)).toFixed(2),
      median(own.map(({ otherCores }) => otherCores)).toFixed(2),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

/** User and system time of a process and all below it. */
function cpuSeconds(pid: number): number {
  const parents = new Map<number, number>();
  const ticks = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const fields = statOf(entry);
    if (fields === null) continue;
    parents.set(Number(entry), Number(fields[1]));
    ticks.set(Number(entry), Number(fields[11]) + Number(fields[12]));
  }
  let sum = 0;
  for (const [own, spent] of ticks) {
    for (let at: number | undefined = own; at !== undefined; at = parents.get(at)) {
      if (at === pid) sum += spent;
    }
  }
  return sum / TICKS_PER_SECOND;
}

/** What stands behind the name in /proc/PID/stat; null of a process that has ended. */
function statOf(pid: string): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

/** All that both cores have done since the machine started, but waiting. */
function busySeconds(): number {
  const fields = (readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "").split(/\s+/).slice(1, 9).map(Number);
  const idle = (fields[3] ?? 0) + (fields[4] ?? 0);
  return (fields.reduce((sum, ticks) => sum + ticks, 0) - idle) / TICKS_PER_SECOND;
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[half] ?? NaN) : ((sorted[half - 1] ?? NaN) + (sorted[half] ?? NaN)) / 2;
}

function pick(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[1] ?? "";
}
