/** Other crews of workers take over from the ones that serve, and nobody feels it: the clients' own counts are the proof. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { startAioquicLoad } from "../interop/aioquic-load.ts";
import { startBackend } from "../support/backends.ts";
import { patternSha256 } from "../support/pattern.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { expectNoLoss, gone, TIMES, USERS } from "./renewal-loads.ts";
import { changeBoundKey, changeConfig, notRenewed, renewed, startWorkers, workersOf } from "./worker-proxies.ts";

const BODY_BYTES = 3_000_000;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "renewals under load", () => {
  test.each([
    [1, "auto"],
    [2, "always"],
  ])(
    "fail no request, one after another, with new connections all the time (%i workers, Retry %s)",
    async (workers, retry) => {
      const backend = await startBackend({ protocol: "http1" });
      const extra = { workers, performance: { ...TIMES, retry } };
      const proxy = await startWorkers(workers, backend.address, { extra });
      const load = startAioquicLoad({ port: proxy.port, path: "/small", users: USERS, requests_per_connection: 40 });
      await load.more(200);
      for (const signal of ["SIGHUP", "SIGUSR2", "SIGUSR2", "SIGHUP"] as const) {
        const before = Object.values(workersOf(proxy));
        const generation = await renewed(proxy, signal);
        expect(before).toHaveLength(workers);
        expect(Object.keys(workersOf(proxy)).length).toBeLessThanOrEqual(2 * workers);
        await load.more(100);
        await gone(proxy, generation);
        const after = Object.values(workersOf(proxy));
        expect(after.filter((pid) => before.includes(pid))).toEqual([]);
        await load.more(100);
      }
      await expectNoLoss(load, proxy);
      expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ renewals: 4 });
    },
  );

  test("leave transfers that run where they are, until they end", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address, { extra: { workers: 2, performance: TIMES } });
    const steps = [
      { do: "start", id: "d", path: `/bytes/${BODY_BYTES}?seed=d` },
      { do: "start", id: "h", path: "/hold" },
      { do: "wait_bytes", id: "d", bytes: 100_000 },
      { do: "say", text: "in the middle" },
      { do: "wait_goaway", count: 1 },
      { do: "say", text: "told" },
      { do: "cue" },
      { do: "release" },
      { do: "wait" },
    ] as const;
    // A window that keeps the response from running ahead, and leaves room for what else the proxy has to say.
    const windows = { max_stream_data: 200_000, hold_flow_control: true };
    const run = startAioquic({ port: proxy.port, ...windows, steps });
    await run.event("said", { text: "in the middle" });
    await backend.holding(1);
    const workers = Object.values(workersOf(proxy));
    await renewed(proxy, "SIGUSR2");
    await run.event("said", { text: "told" });
    // Others are served by the new crew meanwhile.
    expect(
      (await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", path: "/small" }] })).exchanges,
    ).toMatchObject([{ status: 200 }]);
    expect(Object.values(workersOf(proxy)).filter((pid) => workers.includes(pid))).not.toEqual([]);
    backend.release();
    run.cue();
    const connection = must((await run.connections)[0], "there is one connection");
    expect(exchangeOf(connection, "d")).toMatchObject({
      ...{ status: 200, ended: true, body_bytes: BODY_BYTES },
      sha256: patternSha256("d", BODY_BYTES),
    });
    expect(exchangeOf(connection, "h")).toMatchObject({ status: 200, ended: true });
    await gone(proxy, 1);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, requests: 3, native_handles: 0 });
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "renewals", () => {
  test("serve by what the configuration says then", async () => {
    const [one, other] = await Promise.all([startBackend({ protocol: "http1" }), startBackend({ protocol: "http1" })]);
    const proxy = await startWorkers(1, one.address);
    const ask = async (): Promise<unknown> => {
      const steps = [{ do: "request", id: "r", path: "/small" }] as const;
      const { headers } = exchangeOf(await runAioquicOnce({ port: proxy.port, steps }), "r");
      return headers?.find(([name]) => name === "x-backend")?.[1];
    };
    expect(await ask()).toBe(one.id);
    changeConfig(proxy, (text) => text.replace(one.address, other.address).replace('"workers": 1', '"workers": 2'));
    await renewed(proxy, "SIGHUP");
    expect(await ask()).toBe(other.id);
    await gone(proxy, 1);
    expect(Object.keys(workersOf(proxy))).toHaveLength(2);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });

  test("that are asked for while one is under way are refused; reloads wait for a crew that still leaves, and are one", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(1, backend.address, { extra: { workers: 1, performance: TIMES } });
    const load = startAioquicLoad({ port: proxy.port, path: "/small", users: USERS });
    const steps = [{ do: "start", id: "h", path: "/hold" }, { do: "wait" }] as const;
    const held = startAioquic({ port: proxy.port, steps });
    await backend.holding(1);
    await load.more(100);
    changeBoundKey(proxy);
    proxy.process.signal("SIGHUP");
    await logLine(proxy, { msg: "crew starts", generation: 2 });
    expect(await notRenewed(proxy, "SIGUSR2")).toBe("generation 2 is being started");
    await logLine(proxy, { msg: "crew has taken over", generation: 2 });
    changeBoundKey(proxy);
    proxy.process.signal("SIGHUP");
    await logLine(proxy, { msg: "reload waits for workers that finish what they have", waits_for: 1 });
    changeBoundKey(proxy);
    proxy.process.signal("SIGHUP");
    expect(await notRenewed(proxy, "SIGUSR2")).toContain("generation 1 still finishes what it has, for ");
    backend.release();
    expect((await held.connections)[0]?.exchanges).toMatchObject([{ status: 200 }]);
    await gone(proxy, 1);
    await logLine(proxy, { msg: "crew has taken over", generation: 3 });
    await logLine(proxy, { msg: "reload done", generation: 3 });
    await load.more(100);
    await expectNoLoss(load, proxy);
    expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ renewals: 2, renewals_failed: 2 });
  });
});
