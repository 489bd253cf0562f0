/**
 * Stopping with much under way: transfers end whole, clients hear GOAWAY twice before anything of theirs is refused, and what outlives the
 * drain time is broken off, counted and told by the exit code.
 */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { startBackend } from "../support/backends.ts";
import { type ProxyOptions, type RunningProxy, startProxy } from "../support/proxy.ts";
import { AIOQUIC_MISSING, type AioquicStep, aioquicPython, exchangeOf, startAioquic } from "../interop/aioquic.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { HIGHEST_ID, TRANSFER_BYTES, TRANSFERS } from "./transfers.ts";

const H3_NO_ERROR = 0x100;
const H3_REQUEST_REJECTED = 0x10b;
const CUT_OFF = 3;
const CONNECTIONS = 10;

function start(
  workers: number,
  address: string,
  performance: Readonly<Record<string, unknown>>,
): Promise<RunningProxy> {
  const options: ProxyOptions = { pools: [{ prefix: "/", backends: [address] }] };
  return startProxy({ ...options, extra: { workers, performance } });
}

function drainTests(title: string, tests: () => void): void {
  describe.skipIf(aioquicPython === null)(aioquicPython === null ? `${title}: ${AIOQUIC_MISSING}` : title, tests);
}

drainTests("a drain with transfers under way", () => {
  test.each([1, 2])("lets 50 transfers end whole, uploads too (%i workers)", async (workers) => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await start(workers, backend.address, { shutdown_drain_timeout_ms: 20_000 });
    const run = startAioquic({ port: proxy.port, connections: CONNECTIONS, steps: TRANSFERS });
    for (let connection = 0; connection < CONNECTIONS; connection++)
      await run.event("said", { connection, text: "here" });
    await backend.holding(2 * CONNECTIONS);
    proxy.process.signal("SIGTERM");
    for (let connection = 0; connection < CONNECTIONS; connection++)
      await run.event("said", { connection, text: "told" });
    backend.release();
    for (const connection of await run.connections) {
      for (const [id, bytes] of Object.entries(TRANSFER_BYTES))
        expect(exchangeOf(connection, id)).toMatchObject({ status: 200, body_bytes: bytes, ended: true, error: null });
      const upload = exchangeOf(connection, "upload");
      expect(upload).toMatchObject({ status: 200, ended: true });
      expect(JSON.parse(must(upload.body, "it is short"))).toMatchObject({ length: 200_011 });
      expect(exchangeOf(connection, "late")).toMatchObject({ status: null, reset_code: H3_REQUEST_REJECTED });
      expect(connection.goaways).toEqual([HIGHEST_ID, 20]);
      expect(connection.closed).toMatchObject({ by: "peer", code: H3_NO_ERROR, application: true });
    }
    // No number here is exactly that one.
    expect(run.process.stdout.filter((line) => line.includes("4611686018427387900")).length).toBeGreaterThan(0);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    const counted = await logLine(proxy, { msg: "counted" });
    expect(counted).toMatchObject({ requests_rejected_draining: CONNECTIONS, requests_completed: 5 * CONNECTIONS });
    expect(counted["requests_cut_off"]).toBeUndefined();
  });
});

drainTests("a drain", () => {
  test("answers each request, or refuses it so that it may be sent elsewhere, whatever the client does about GOAWAY", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await start(1, backend.address, { shutdown_drain_timeout_ms: 20_000 });
    // It goes on asking until the connection is closed under it.
    const steps: AioquicStep[] = [{ do: "request", id: "one", path: "/small" }];
    steps.push({ do: "say", text: "here" });
    for (let i = 0; i < 3000; i++) steps.push({ do: "request", id: `r${i}`, path: "/small" });
    const run = startAioquic({ port: proxy.port, steps });
    await run.event("said", { text: "here" });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    const connection = must((await run.connections)[0], "one connection");
    const sent = connection.exchanges.filter(({ stream_id }) => stream_id !== null);
    const unanswered = sent.filter(({ status, ended }) => status !== 200 || !ended);
    const refused = unanswered.filter(({ reset_code }) => reset_code === H3_REQUEST_REJECTED);
    expect(refused.length).toBeGreaterThan(0);
    // The one that the end of the connection has crossed on its way.
    expect(unanswered.length - refused.length).toBeLessThanOrEqual(1);
    const lastTaken = must(connection.goaways[1], "there are two GOAWAYs");
    expect(sent.filter(({ status }) => status === 200).every(({ stream_id }) => Number(stream_id) < lastTaken)).toBe(
      true,
    );
    expect(refused.every(({ stream_id }) => Number(stream_id) >= lastTaken)).toBe(true);
  });

  test("finds room for GOAWAY when a client that had taken nothing goes on", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await start(1, backend.address, { shutdown_drain_timeout_ms: 20_000 });
    const run = startAioquic({
      port: proxy.port,
      hold_flow_control: true,
      max_data: 300_000,
      steps: [
        { do: "start", id: "long", path: "/bytes/3000000" },
        { do: "wait_bytes", id: "long", bytes: 290_000 },
        { do: "say", text: "full" },
        { do: "cue" },
        { do: "release" },
        { do: "wait" },
        { do: "wait_closed" },
      ],
    });
    await run.event("said", { text: "full" });
    proxy.process.signal("SIGTERM");
    await logLine(proxy, { msg: "draining" });
    run.cue();
    const connection = must((await run.connections)[0], "one connection");
    expect(exchangeOf(connection, "long")).toMatchObject({ body_bytes: 3_000_000, ended: true });
    expect(connection.goaways).toEqual([HIGHEST_ID, 4]);
    expect(connection.closed).toMatchObject({ by: "peer", code: H3_NO_ERROR, application: true });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });
});

drainTests("a drain", () => {
  test.each([1, 2])("ends a client that takes nothing when its time is over (%i workers)", async (workers) => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await start(workers, backend.address, { shutdown_drain_timeout_ms: 700 });
    const plan = { port: proxy.port, hold_flow_control: true, max_data: 300_000 };
    const steps: AioquicStep[] = [
      { do: "start", id: "long", path: "/bytes/3000000" },
      { do: "wait_bytes", id: "long", bytes: 290_000 },
      { do: "say", text: "full" },
      { do: "wait_closed" },
    ];
    const run = startAioquic({ ...plan, steps });
    await run.event("said", { text: "full" });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: CUT_OFF, native_handles: 0 });
    const connection = must((await run.connections)[0], "one connection");
    expect(connection.closed).toMatchObject({ by: "peer", code: H3_NO_ERROR, application: true });
    expect(exchangeOf(connection, "long").ended).toBe(false);
  });

  test.each([1, 2])("that outlives its time breaks off what is left, and says so (%i workers)", async (workers) => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await start(workers, backend.address, { shutdown_drain_timeout_ms: 700 });
    const run = startAioquic({
      port: proxy.port,
      steps: [{ do: "start", id: "held", path: "/hold" }, { do: "wait_closed" }],
    });
    await backend.holding(1);
    proxy.process.signal("SIGTERM");
    const connection = must((await run.connections)[0], "one connection");
    expect(connection.goaways).toEqual([HIGHEST_ID, 4]);
    expect(connection.closed).toMatchObject({ by: "peer", code: H3_NO_ERROR, application: true });
    expect(exchangeOf(connection, "held").ended).toBe(false);
    expect(await logLine(proxy, { msg: "requests under way are broken off" })).toMatchObject({
      ...{ level: "warn", connections: 1, requests: 1 },
    });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: CUT_OFF, native_handles: 0 });
    expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ connections_cut_off: 1, requests_cut_off: 1 });
    backend.release();
  });
});
