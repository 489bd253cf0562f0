/** Proxies with several workers, looked at from outside: who is there, and who answered what. */
import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { type AioquicConnection, runAioquic } from "../interop/aioquic.ts";
import { type ProxyOptions, type RunningProxy, startProxy } from "../support/proxy.ts";
import { type LogLine, logLine } from "./log-lines.ts";

/** Enough that each of three workers gets some: that one gets none of them happens once in 60,000 runs. */
export const CONNECTIONS = 30;
/** Short, so that a test that has failed does not leave workers behind for long. */
const PERFORMANCE = { shutdown_drain_timeout_ms: 10_000, quic_max_idle_timeout_ms: 5000 };

/** Starts a proxy of so many workers before one backend. */
export function startWorkers(
  workers: number,
  address: string,
  { extra = {}, ...options }: Partial<ProxyOptions> = {},
): Promise<RunningProxy> {
  const all = { workers, performance: PERFORMANCE, ...extra };
  return startProxy({ pools: [{ prefix: "/", backends: [address] }], ...options, extra: all });
}

/** Worker processes of a proxy: their ids by their names. */
export function workersOf(proxy: RunningProxy): Record<string, number> {
  const { pid } = proxy.process;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  const named = children.map((child) => [nameOf(child), child] as const);
  // A program that is tried before the supervisor becomes it is no worker.
  return Object.fromEntries(named.filter(([name]) => name.startsWith("h3-worker-")));
}

/** What `pgrep` compares. */
export function nameOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
}

/** Which worker answered each address and port, by the lines: clients on several addresses may have the same port. */
export function workerByClient(lines: readonly LogLine[]): ReadonlyMap<unknown, unknown> {
  const requests = lines.filter(({ msg }) => msg === "request");
  return new Map(requests.map(({ client, worker }) => [client, worker]));
}

/** Which worker answered each port of clients on one address, by the lines. */
export function workerByPort(lines: readonly LogLine[]): ReadonlyMap<number, unknown> {
  const requests = lines.filter(({ msg }) => msg === "request");
  return new Map(requests.map(({ client, worker }) => [Number(String(client).split(":").at(-1)), worker]));
}

/** Requests that clients saw answered 200. */
export function answered(connections: readonly AioquicConnection[]): number {
  const bulks = connections.flatMap((connection) => connection.bulks);
  return bulks.reduce((sum, { statuses }) => sum + (statuses["200"] ?? 0), 0);
}

/** Requests over fresh connections: all must be answered. */
export async function askAll(proxy: RunningProxy, requests: number): Promise<readonly AioquicConnection[]> {
  const steps = [{ do: "request", id: "r", path: "/small", count: requests, concurrency: 4 }] as const;
  const connections = await runAioquic({ port: proxy.port, connections: CONNECTIONS, events: false, steps });
  expect(answered(connections)).toBe(CONNECTIONS * requests);
  return connections;
}

/** Every worker has heard that it shall finish what it has. */
export async function draining(proxy: RunningProxy, workers: number): Promise<void> {
  for (let worker = 0; worker < workers; worker++) await logLine(proxy, { msg: "draining", worker });
}

/** Waits until another process than the one that had it serves a slot. */
export async function servesAnew(proxy: RunningProxy, slot: number, pid: number): Promise<void> {
  await proxy.process.waitForLine((text) => {
    const line: LogLine = text.startsWith("{") ? JSON.parse(text) : {};
    return line["msg"] === "worker serves" && line["slot"] === slot && line["pid"] !== pid;
  });
}

/** Asks for another crew and waits until it takes the new connections. Gives the generation of the one before. */
export async function renewed(proxy: RunningProxy, signal: "SIGHUP" | "SIGUSR2"): Promise<number> {
  if (signal === "SIGHUP") changeBoundKey(proxy);
  const taken = linesWith(proxy, "crew has taken over");
  await nextLine(proxy, signal, "crew has taken over");
  const last: LogLine = JSON.parse(taken.at(-1) ?? '{"generation":1}');
  return Number(last["generation"]);
}

/** Asks for another crew, which is refused or fails. Gives the reason. */
export async function notRenewed(proxy: RunningProxy, signal: "SIGHUP" | "SIGUSR2"): Promise<string> {
  const line: LogLine = JSON.parse(await nextLine(proxy, signal, "renewal failed: all stays as it is"));
  return String(line["reason"]);
}

async function nextLine(proxy: RunningProxy, signal: NodeJS.Signals, msg: string): Promise<string> {
  const before = new Set(linesWith(proxy, msg));
  proxy.process.signal(signal);
  return await proxy.process.waitForLine((line) => line.includes(`"msg":"${msg}"`) && !before.has(line));
}

function linesWith({ process: { stdout, stderr } }: RunningProxy, msg: string): string[] {
  return [...stdout, ...stderr].filter((line) => line.includes(`"msg":"${msg}"`));
}

/** Changes what only new workers can have. */
export function changeBoundKey(proxy: RunningProxy): void {
  changeConfig(proxy, (text) => {
    const document: { performance?: { quic_initial_window_packets?: number } } = JSON.parse(text);
    const packets = 1 + (document.performance?.quic_initial_window_packets ?? 40);
    return JSON.stringify({
      ...document,
      performance: { ...document.performance, quic_initial_window_packets: packets },
    });
  });
}

/** Writes another configuration where the proxy has its own. */
export function changeConfig(proxy: RunningProxy, change: (text: string) => string): void {
  writeFileSync(proxy.configFile, change(readFileSync(proxy.configFile, "utf8")));
}
