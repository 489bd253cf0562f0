/** Upgrades in a row under load from clients that nobody here wrote, with ports that change and addresses that have to be shown. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { logLine } from "../e2e/log-lines.ts";
import { type MovingLoad, startMovingLoad } from "../interop/moving-load.ts";
import { type QuicGoLoad, startQuicGo } from "../interop/quicgo.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, proxyConfig, type ProxyRunner, runnerCommand } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { startPlacedProxy, stoppedCounts } from "./placed-proxy.ts";

/** How much. */
export interface UpgradesPlan {
  readonly workers: number;
  readonly upgrades: number;
  /** Default: the environment's. */
  readonly runner?: ProxyRunner;
  /** Connections of quic-go, straight and behind the translator, with requests a second of each. */
  readonly quicGo: { readonly connections: number; readonly rate: number };
  /** Connections of aioquic, with requests a second of each. */
  readonly aioquic: { readonly connections: number; readonly rate: number };
}

/** What came of it: the clients' own counts, and the program's. */
export interface UpgradesOutcome {
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  readonly seconds: number;
  readonly connections: number;
  readonly rebinds: number;
  readonly statelessResets: number;
  readonly retries: number;
  /** Crews that lived at once, by the log. */
  readonly crewsHighest: number;
  readonly generation: number;
  /** How often the supervisor went on as the new program, by the log. */
  readonly replacements: number;
  readonly slowestMs: number;
  readonly failures: readonly unknown[];
  readonly counted: Readonly<Record<string, unknown>>;
}

/** Requests of one connection between two changes of its port; and of a quic-go pool between two new connections. */
const MOVE_EVERY = 40;
const RENEW_EVERY = 150;
/**
 * As http3.Transport has it by default, but shorter. A client that has sent its last request and is forgotten by its translator before the
 * answer comes is reached again when it says something, and not before.
 */
const KEEP_ALIVE_MS = 1000;

/** Plays it. Every second half of the upgrades is to a configuration that asks all new clients by Retry. */
export async function playUpgrades(plan: UpgradesPlan): Promise<UpgradesOutcome> {
  const { runner = defaultRunner() } = plan;
  const path = join(tempFolder("control"), "control.sock");
  const settings = (retry: "off" | "always"): Readonly<Record<string, unknown>> => ({
    workers: plan.workers,
    control: { socket: path },
    performance: { retry, goaway_spread_ms: 500, shutdown_drain_timeout_ms: 20_000 },
  });
  const { network, backend, proxy } = await startPlacedProxy(plan.workers, {
    ...{ address: "0.0.0.0", runner },
    supervisor: "auto",
    forgets: (line) => line.includes('"msg":"request"'),
    extra: settings("off"),
  });
  const translator = await network.translator(proxy.port, { seed: 106 });
  const [host = ""] = network.serverHosts;
  const { clientHosts: local_hosts } = network;
  const load = { do: "load", path: "/small", rate: plan.quicGo.rate, move_every: MOVE_EVERY, renew_every: RENEW_EVERY };
  const connections = Math.ceil(plan.quicGo.connections / 2);
  const steps = [{ ...load, do: "load" as const }];
  const keeping = { keep_alive_ms: KEEP_ALIVE_MS, connections, steps };
  const straight = await startQuicGo({ host, port: proxy.port, local_hosts, ...keeping }, network.client);
  const behind = { host: translator.host, port: translator.port, local_hosts: ["10.77.1.11"] };
  const translated = await startQuicGo({ ...behind, ...keeping }, network.client);
  const aioquic = startMovingLoad(
    { host, port: proxy.port, local_hosts, path: "/small", ...plan.aioquic, move_every: MOVE_EVERY },
    network.client,
  );
  const pools = [{ prefix: "/", backends: [backend.address] }];
  for (let generation = 2; generation <= plan.upgrades + 1; generation++) {
    const retry = generation > plan.upgrades / 2 ? "always" : "off";
    const options = {
      pools,
      address: "0.0.0.0",
      supervisor: "auto",
      extra: settings(retry),
    } as const;
    writeFileSync(proxy.configFile, proxyConfig(options, proxy.certificate));
    const asked = await runProcess({ command: [...runnerCommand(runner), "upgrade", "--control", path] });
    if (asked.code !== 0) throw new Error(`upgrade to ${generation}: ${asked.stderr}\n${proxy.process.output()}`);
    await translator.forget();
    await logLine(proxy, { msg: "crew is gone", generation: generation - 1 });
  }
  const goLoads = [...(await straight.finish()), ...(await translated.finish())].flatMap(({ loads }) => loads);
  const aioquicLoad = await aioquic();
  return outcomeOf(goLoads, aioquicLoad, proxy.logs(), await stoppedCounts(proxy));
}

function outcomeOf(
  goLoads: readonly QuicGoLoad[],
  { counts, failures }: MovingLoad,
  lines: readonly Readonly<Record<string, unknown>>[],
  counted: Readonly<Record<string, unknown>>,
): UpgradesOutcome {
  const sum = (of: (load: QuicGoLoad) => number): number => goLoads.reduce((total, load) => total + of(load), 0);
  const highest = (of: (load: QuicGoLoad) => number): number => Math.max(...goLoads.map(of));
  // The first crew is there from the start.
  let [crews, crewsHighest, generation] = [1, 1, 1];
  for (const line of lines) {
    if (line["msg"] === "crew starts") crewsHighest = Math.max(crewsHighest, ++crews);
    else if (line["msg"] === "crew is gone") crews -= 1;
    if (line["msg"] === "crew has taken over") generation = Number(line["generation"]);
  }
  return {
    sent: sum(({ sent }) => sent) + (counts.sent ?? 0),
    answered: sum(({ statuses }) => statuses["200"] ?? 0) + (counts.answered ?? 0),
    failed: sum(({ failed }) => failed) + (counts.failed ?? 0),
    seconds: highest(({ seconds }) => seconds),
    connections: sum((load) => load.connections) + (counts.connections ?? 0),
    rebinds: sum(({ rebinds }) => rebinds) + (counts.rebinds ?? 0),
    statelessResets: sum(({ stateless_resets }) => stateless_resets) + (counts.stateless_resets ?? 0),
    retries: Number(counted["retries_sent"] ?? 0),
    crewsHighest,
    generation,
    replacements: lines.filter(({ msg }) => msg === "the supervisor goes on as another program").length,
    slowestMs: highest(({ slowest_ms }) => slowest_ms),
    failures: [...goLoads.flatMap(({ errors }) => errors), ...failures],
    counted,
  };
}
