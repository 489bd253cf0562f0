/**
 * Attacks on resources, one after the other, for some seconds each at a bounded rate, all on loopback: what becomes of a good client and of
 * a 20 ms timer beside each, and of the proxy's memory. `docs/attacks.md` says what each attack is and what ends it.
 *
 *     SPOOKY_TEST_PYTHON=... bun bench/load/attacks.ts [--seconds 30] [--only NAME]
 *
 * `SPOOKY_TEST_PYTHON` is what `./scripts/python.sh` prints. Attacker, proxy, backend and good client share the machine's cores: compare the
 * good client's time with its value beside `none, but as busy`, where the attacker's process only computes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Attack, attackCommand, resultOf } from "../../test/adversary/attacks.ts";
import { fetchHttp3 } from "../../test/interop/bun-fetch.ts";
import type { BackendExchange } from "../../test/support/exchange.ts";
import { RunningProcess } from "../../test/support/process.ts";
import { type Bed, openBed, quantile, rssMib } from "./bed.ts";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "30" }, only: { type: "string" } } });
const seconds = Number(values.seconds);
const MANY = 1_000_000_000;
/** Of the good client, so that it waits for its own answers and not for its turn. */
const REQUEST_EVERY_MS = 10;
const PROBE_EVERY_MS = 20;
const SETTLE_MS = 3000;
const ANSWER_MS_MAX = 5000;
const PROBE = { path: "/health", interval: PROBE_EVERY_MS, timeout_ms: 1000 };

/** By name; null does nothing, "busy" only computes. */
const ATTACKS: readonly (readonly [string, Attack | "busy" | null])[] = [
  ["none", null],
  ["none, but as busy", "busy"],
  ["71 handshakes", { attack: "handshakes", count: MANY, per_second: 200 }],
  ["72 rapid-reset, both", { attack: "rapid-reset", how: "both", count: MANY, per_second: 4000 }],
  ["72 rapid-reset, stop", { attack: "rapid-reset", how: "stop", count: MANY, per_second: 4000 }],
  ["73 made-you-reset", { attack: "made-you-reset", how: "trailers", count: MANY, per_second: 4000 }],
  ["74 window-stall", { attack: "window-stall", connections: 10, streams: 100, path: "/large", pings: 1 }],
  ["75 slow-body", { attack: "slow-body", count: 100 }],
  ["76 slow-head", { attack: "slow-head", streams: 100, gap: 0.1, count: MANY }],
  ["77 header-bomb", { attack: "header-bomb", kind: "static", size: 8000 }],
  ["78 huffman-flood", { attack: "huffman-flood", size: 27 * 800, count: MANY, per_second: 200 }],
  ["79 new-ids", { attack: "new-ids", count: MANY, per_second: 2000 }],
  ["80 retire", { attack: "retire", count: MANY, per_second: 2000 }],
  ["81 path-challenges", { attack: "path-challenges", count: MANY, per_second: 2000 }],
  ["83 optimistic-ack", { attack: "optimistic-ack", how: "all", path: "/large", count: MANY }],
  ["84 stream-gaps", { attack: "stream-gaps", count: MANY, per_second: 1000 }],
  ["85 priority-flood", { attack: "control-flood", kind: "priority", count: MANY, per_second: 1000 }],
  ["86 ping-flood", { attack: "packet-flood", kind: "ping", count: MANY, per_second: 8000 }],
  ["86 empty-data", { attack: "body-flood", kind: "empty-data", count: MANY, per_second: 1000 }],
  ["87 requests", { attack: "requests", count: MANY, per_second: 4000 }],
  ["88 idle connections", { attack: "handshakes", http3: true, count: 1000, hold: seconds }],
  ["89 garbage", { attack: "datagrams", kind: "garbage", per_second: 20_000 }],
  ["89 initials", { attack: "datagrams", kind: "initial", per_second: 20_000 }],
];

let probesMs: number[] = [];

console.log("| attack | rounds | p50 ms | p99 ms | of idle | failed | timer late, ms | RSS MiB before, peak, after |");
console.log("|---|---|---|---|---|---|---|---|");
let idleMs = NaN;
for (const [name, attack] of ATTACKS) {
  if (attack !== null && values.only !== undefined && !name.includes(values.only)) continue;
  const bed = await openBed({ name: "native h1", scheme: "http", transport: "native" }, serve, settings(), PROBE);
  const { times, failed, late, rounds, memory } = await measure(bed, attack);
  const p99 = quantile(times, 0.99);
  if (attack === null) idleMs = p99;
  const numbers = [quantile(times, 0.5).toFixed(2), p99.toFixed(2), (p99 / idleMs).toFixed(1), failed, late.toFixed(0)];
  console.log(`| ${name} | ${rounds} | ${numbers.join(" | ")} | ${memory.map((mib) => mib.toFixed(0)).join(", ")} |`);
  await bed.close();
}
process.exit();

/** Time-outs short enough to be seen in a run; all else as it comes. */
function settings(): Record<string, unknown> {
  const performance = {
    client_body_idle_timeout_ms: 2000,
    client_header_timeout_ms: 2000,
    client_send_timeout_ms: 2000,
  };
  return { performance };
}

async function measure(bed: Bed, attack: Attack | "busy" | null) {
  const [times, memory] = [[] as number[], [0, 0, 0]];
  const untilMs = performance.now() + seconds * 1000;
  let [failed, rounds] = [0, 0];
  await ask(bed);
  memory[0] = rssMib(bed.pid);
  probesMs = [];
  const attacking = play(bed, attack, untilMs, () => rounds++);
  while (performance.now() < untilMs) {
    const beganMs = performance.now();
    const ok = await ask(bed);
    if (ok) times.push(performance.now() - beganMs);
    else failed += 1;
    memory[1] = Math.max(memory[1] ?? 0, rssMib(bed.pid));
    await sleep(Math.max(0, beganMs + REQUEST_EVERY_MS - performance.now()));
  }
  const gaps = probesMs.slice(1).map((ms, i) => ms - (probesMs[i] ?? ms));
  const late = quantile(gaps, 1) - PROBE_EVERY_MS;
  await attacking;
  await sleep(SETTLE_MS);
  memory[2] = rssMib(bed.pid);
  return { times, failed, late, rounds, memory };
}

/** The good client's request. False: it failed, or took too long. */
async function ask(bed: Bed): Promise<boolean> {
  try {
    const response = await fetchHttp3(`${bed.url}/small`, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    return (await response.bytes()).length === 512 && response.status === 200;
  } catch {
    return false;
  }
}

/** Again and again, since most attacks are over when the proxy has had enough of them. */
async function play(bed: Bed, attack: Attack | "busy" | null, untilMs: number, onRound: () => void): Promise<void> {
  const port = Number(new URL(bed.url).port);
  while (attack !== null && performance.now() < untilMs) {
    const left = (untilMs - performance.now()) / 1000;
    onRound();
    if (attack === "busy") {
      const spin = `const until = performance.now() + ${left * 1000}; while (performance.now() < until);`;
      await new RunningProcess({ command: [process.execPath, "-e", spin] }).ended;
      return;
    }
    const child = new RunningProcess(attackCommand(port, { seconds: left, ...attack, wait: Math.min(left, 5) }));
    const timer = setTimeout(() => void child.kill(), (left + 5) * 1000);
    await resultOf(child).catch((fault: unknown) => void console.error(String(fault)));
    clearTimeout(timer);
  }
}

async function serve(exchange: BackendExchange): Promise<void> {
  if (exchange.target === "/health") probesMs.push(performance.now());
  if (exchange.target === "/hold" || exchange.target === "/upload") return;
  exchange.head(200, []);
  const pieces = exchange.target === "/large" ? 200 : 1;
  const piece = new Uint8Array(pieces === 1 ? 512 : 100_000);
  for (let i = 0; i < pieces && !exchange.gone.aborted; i++) await exchange.write(piece);
  exchange.end();
}
