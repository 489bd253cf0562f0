/** What a case works with: a proxy of its own in a process of its own, backends, clients that break rules, and the log. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { must } from "../../src/core/assert.ts";
import { runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import type { AioquicConnection, AioquicPlan, AioquicRun } from "../interop/aioquic.ts";
import { fetchHttp3 } from "../interop/bun-fetch.ts";
import { logLine } from "../e2e/log-lines.ts";
import type { LogLine } from "../e2e/log-lines.ts";
import { defaultRunner, startProxy } from "../support/proxy.ts";
import type { ProxyOptions, ProxyRunner, RunningProxy } from "../support/proxy.ts";
import { runH3i } from "./h3i.ts";
import type { H3iOutcome, H3iPlan } from "./h3i.ts";
import { startAttack } from "./attacks.ts";
import type { Attack, AttackResult, AttackRun } from "./attacks.ts";
import { startRecorder } from "./recorder.ts";
import type { Recorder } from "./recorder.ts";
import { openUdp } from "./udp-client.ts";
import type { UdpClient } from "./udp-client.ts";

/** What the proxy of a case has beside the rest; see `ProxyOptions`. Without `pools`, all paths lead to the bed's recorder. */
export type BedOptions = Partial<Pick<ProxyOptions, "pools" | "extra" | "certificate" | "env">>;

/** A plan for aioquic whose port is the proxy's. */
export type BedPlan = Omit<AioquicPlan, "port">;

/** One case's bed. Its backends come from `startBackend`, `startRawBackend` and their like; they end with the case. */
export class Bed {
  #proxy: RunningProxy | null = null;
  #recorder: Recorder | null = null;
  #counters: Readonly<Record<string, unknown>> = {};

  /** Starts the proxy. Only the first call does; a case that needs no options may leave it to the clients below. */
  async start(options: BedOptions = {}): Promise<RunningProxy> {
    if (this.#proxy !== null) return this.#proxy;
    const alive = await startRecorder();
    const pools = options.pools ?? [{ prefix: "/", backends: [(await this.recorder()).address] }];
    const alivePool = { name: "alive", prefix: ALIVE_PATH, backends: [alive.address] };
    this.#proxy = await startProxy({ ...options, pools: [...pools, alivePool], runner: bedRunner() });
    return this.#proxy;
  }

  /** The proxy, once it has been started. */
  get proxy(): RunningProxy {
    return must(this.#proxy, "the case has started its proxy");
  }

  /** The recording backend behind the default pool. */
  async recorder(): Promise<Recorder> {
    return (this.#recorder ??= await startRecorder());
  }

  /** Plays a plan of aioquic on one connection. */
  async aioquic(plan: BedPlan): Promise<AioquicConnection> {
    const { port } = await this.start();
    return runAioquicOnce({ port, ...plan });
  }

  /** Starts a plan of aioquic that the case talks with while it runs. */
  async startAioquic(plan: BedPlan): Promise<AioquicRun> {
    const { port } = await this.start();
    return startAioquic({ port, ...plan });
  }

  /** Plays a plan of h3i. */
  async h3i(plan: H3iPlan): Promise<H3iOutcome> {
    const { port } = await this.start();
    return runH3i(port, plan);
  }

  /** Plays an attack of `attacks.py` to its end. */
  async attack(attack: Attack): Promise<AttackResult> {
    return (await this.startAttack(attack)).result;
  }

  /** Starts one. */
  async startAttack(attack: Attack): Promise<AttackRun> {
    const { port } = await this.start();
    return startAttack(port, attack);
  }

  /** What the proxy must have counted when it stops: names as its log has them, numbers or matchers of the test runner. */
  expectCounters(counters: Readonly<Record<string, unknown>>): void {
    this.#counters = { ...this.#counters, ...counters };
  }

  /** Resident memory of the proxy, MiB. */
  residentMib(): number {
    return residentMib(this.proxy.process.pid);
  }

  /** A socket for datagrams by hand. */
  async udp(): Promise<UdpClient> {
    const { port } = await this.start();
    return openUdp(port);
  }

  /** Log lines so far. */
  logs(): readonly LogLine[] {
    return this.proxy.logs();
  }

  /** The first log line, old or new, that has these fields. */
  logLine(wanted: LogLine): Promise<LogLine> {
    return logLine(this.proxy, wanted);
  }

  /** A good request on a connection of its own, answered by a backend that no case touches. */
  async expectAlive(): Promise<void> {
    const response = await fetchHttp3(`${this.proxy.url}${ALIVE_PATH}`);
    expect([response.status, await response.text()]).toEqual([200, "ok"]);
  }

  /** From the runner, after the case: the proxy lives, serves, stops in order, holds nothing and complains of nothing. */
  async finish(): Promise<void> {
    await this.start();
    await this.expectAlive();
    const child = this.proxy.process;
    const end = await child.stop();
    const stopped = this.logs().find(({ msg }) => msg === "stopped");
    expect({ ...end, native_handles: stopped?.["native_handles"] }).toEqual({
      code: 0,
      signal: null,
      native_handles: 0,
    });
    expect(this.logs().find(({ msg }) => msg === "counted")).toMatchObject(this.#counters);
    const complaints = [...child.stdout, ...child.stderr].filter((line) => DEFECT.test(line));
    expect(complaints).toEqual([]);
  }
}

/** Resident memory of a process, MiB. */
export function residentMib(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

/** No case touches it. */
const ALIVE_PATH = "/.alive";

/** Lines of level error, assertions of ours, panics of Rust, sanitizers, runtimes that crash. */
const DEFECT = /"level":"error"|assert|panick|fatal|segmentation|Unhandled|TypeError|RangeError|ReferenceError/i;

/** The binary that `./scripts/test` has just built, else the source: an older binary would prove what was true then. */
function bedRunner(): ProxyRunner {
  if (process.env["SPOOKY_TEST_RUNNER"] !== undefined) return defaultRunner();
  return (process.env["SPOOKY_TEST_BINARY"] ?? "") === "" ? "source" : "binary";
}
