/**
 * Stops under load, as a service manager or a balancer asks for them: what many clients have begun is finished, a client that is stuck holds
 * nothing up longer than the drain time, and balancers may be given time to hear of it first.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { QUICGO_MISSING, quicGoProgram, startQuicGo } from "../interop/quicgo.ts";
import { startBackend } from "../support/backends.ts";
import { runProcess } from "../support/process.ts";
import { defaultRunner, hasRunner, type RunningProxy, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { type LogLine, logLine, stoppedLine } from "./log-lines.ts";
import { HIGHEST_ID } from "./transfers.ts";

const DOWNLOADS = 50;
const HELD_BYTES = 1_000_000;
const H3_REQUEST_REJECTED = 0x10b;
const CUT_OFF = 3;
/** Longer than any test: only a second signal ends it. */
const FOREVER_MS = 86_400_000;
const SERVES_ON = "stopping: not ready, and serving on for a while";
const lack = aioquicPython === null ? AIOQUIC_MISSING : quicGoProgram === null ? QUICGO_MISSING : null;

function timeOf(line: LogLine): number {
  return Date.parse(String(line["time"]));
}

interface Case {
  readonly runner: "source" | "binary";
  readonly supervisor: "auto" | "off";
}

const CASES: readonly Case[] = [
  { runner: "source", supervisor: "auto" },
  { runner: "source", supervisor: "off" },
  ...(hasRunner("binary") ? ([{ runner: "binary", supervisor: "auto" }] as const) : []),
];

async function start({ runner, supervisor }: Case, performance: object, extra: object = {}) {
  const backend = await startBackend({ protocol: "http1" });
  const workers = supervisor === "auto" ? 2 : 1;
  const proxy = await startProxy({
    ...{ runner, supervisor, pools: [{ prefix: "/", backends: [backend.address] }] },
    extra: { workers, performance, ...extra },
  });
  return { backend, proxy };
}

const DOOR = { observability: { metrics: { enabled: false }, health: { address: "127.0.0.1", port: 0 } } };

async function asked(proxy: RunningProxy): Promise<number> {
  const { address } = await logLine(proxy, { msg: "metrics or health listen" });
  return (await fetch(`http://${String(address)}/ready`, { headers: { connection: "close" } })).status;
}

describe.skipIf(lack !== null).each(CASES)(lack ?? "told to stop, %p", (which) => {
  test(`it finishes ${DOWNLOADS} long downloads and refuses what is begun then`, async () => {
    const { backend, proxy } = await start(which, { shutdown_drain_timeout_ms: FOREVER_MS });
    const download = { do: "download", path: `/hold-body?bytes=${HELD_BYTES}`, bytes: HELD_BYTES } as const;
    const steps = [download, { do: "wait_closed" }] as const;
    const quicGo = await startQuicGo({ port: proxy.port, connections: DOWNLOADS, window: 65_536, steps });
    const aioquic = startAioquic({
      port: proxy.port,
      steps: [
        { do: "start", id: "held", path: `/hold-body?bytes=${HELD_BYTES}` },
        { do: "wait_goaway", count: 2 },
        { do: "say", text: "told" },
        { do: "request", id: "late", path: "/small" },
        { do: "wait" },
        { do: "wait_closed" },
      ],
    });
    await backend.holding(DOWNLOADS + 1);
    proxy.process.signal("SIGTERM");
    await aioquic.event("said", { text: "told" });
    backend.release();
    const ended = (await quicGo.connections).flatMap(({ downloads }) => downloads);
    expect(ended.map((one) => [one.status, one.bytes, one.error])).toEqual(
      Array(DOWNLOADS).fill([200, HELD_BYTES + "released".length, ""]),
    );
    const connection = must((await aioquic.connections)[0], "one connection");
    expect(exchangeOf(connection, "held")).toMatchObject({ status: 200, ended: true, error: null });
    expect(exchangeOf(connection, "late")).toMatchObject({ status: null, reset_code: H3_REQUEST_REJECTED });
    expect(connection.goaways).toEqual([HIGHEST_ID, 4]);
    expect(await proxy.process.ended).toEqual({ code: 0, signal: null });
    expect(await logLine(proxy, { msg: "stopped" })).toMatchObject({ native_handles: 0 });
    expect(backend.counts).toMatchObject({ requests: DOWNLOADS + 1, completed: DOWNLOADS + 1 });
  });

  test("it waits for a client that is stuck until the drain time is over, and says so", async () => {
    const drainMs = 400;
    const { proxy } = await start(which, { shutdown_drain_timeout_ms: drainMs });
    const stuck = startAioquic({
      ...{ port: proxy.port, hold_flow_control: true, max_data: 50_000 },
      steps: [
        { do: "start", id: "stuck", path: "/bytes/3000000?seed=stuck" },
        { do: "wait_bytes", id: "stuck", bytes: 30_000 },
        { do: "say", text: "stuck" },
        { do: "wait_closed" },
      ],
    });
    await stuck.event("said", { text: "stuck" });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: CUT_OFF, native_handles: 0 });
    const began = await logLine(proxy, { msg: "draining" });
    const broken = await logLine(proxy, { msg: "requests under way are broken off", level: "warn" });
    expect(broken).toMatchObject({ connections: 1, requests: 1 });
    expect(timeOf(broken) - timeOf(began)).toBeGreaterThanOrEqual(drainMs - 1);
    const connection = must((await stuck.connections)[0], "one connection");
    expect(exchangeOf(connection, "stuck").ended).toBe(false);
    expect(connection.closed).toMatchObject({ by: "peer", code: 0x100 });
  });
});

describe.skipIf(lack !== null).each(CASES)(lack ?? "told to stop, with shutdown_delay_ms, %p", (which) => {
  test("it is not ready and serves whoever comes, until a second signal", async () => {
    const socket = join(tempFolder("control"), "control.sock");
    const { proxy } = await start(
      which,
      { shutdown_delay_ms: FOREVER_MS },
      { ...DOOR, control: { socket, watch: "off" } },
    );
    const before = startAioquic({
      port: proxy.port,
      steps: [
        { do: "request", id: "first", path: "/small" },
        { do: "say", text: "here" },
        { do: "cue" },
        { do: "request", id: "second", path: "/small" },
        { do: "say", text: "still" },
        { do: "wait_closed" },
      ],
    });
    await before.event("said", { text: "here" });
    expect(await asked(proxy)).toBe(200);
    proxy.process.signal("SIGTERM");
    await logLine(proxy, { msg: SERVES_ON, ms: FOREVER_MS });
    expect(await asked(proxy)).toBe(503);
    before.cue();
    await before.event("said", { text: "still" });
    const { exchanges, goaways } = await runAioquicOnce({
      port: proxy.port,
      steps: [{ do: "request", path: "/small" }],
    });
    expect([exchanges.map(({ status }) => status), goaways]).toEqual([[200], []]);
    const upgrade = [...runnerCommand(defaultRunner()), "upgrade", "--control", socket];
    expect(await runProcess({ command: upgrade })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("the program stops"),
    });
    expect(proxy.logs().some(({ msg }) => msg === "draining")).toBe(false);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    const connection = must((await before.connections)[0], "one connection");
    expect(exchangeOf(connection, "second").status).toBe(200);
  });

  test("it drains by itself once that is over", async () => {
    const delayMs = 300;
    const { proxy } = await start(which, { shutdown_delay_ms: delayMs });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0 });
    const told = await logLine(proxy, { msg: SERVES_ON, ms: delayMs });
    const draining = await logLine(proxy, { msg: "draining" });
    expect(timeOf(draining) - timeOf(told)).toBeGreaterThanOrEqual(delayMs - 1);
  });
});
