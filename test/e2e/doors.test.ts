/** Where a running program is asked whether it lives and may be sent clients: it answers there from its start to its end, whatever becomes of it. */
import { describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, startAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { freePort, waitUntil } from "../support/net.ts";
import { runProcess } from "../support/process.ts";
import {
  defaultRunner,
  hasRunner,
  proxyConfig,
  type RunningProxy,
  runnerCommand,
  startProxy,
} from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { logLine } from "./log-lines.ts";
import { changeConfig, notRenewed, renewed, workersOf } from "./worker-proxies.ts";

const NOBODY = "127.0.0.1:9";
const LISTEN = "metrics or health listen";
const doors = (health: object) => ({
  observability: { metrics: { enabled: false }, health: { address: "127.0.0.1", port: 0, ...health } },
});
/** Two failed checks in some 100 ms. */
const CHECK = {
  path: "/health",
  interval: 50,
  timeout_ms: 50,
  failure_threshold: 2,
  success_threshold: 1,
  cooldown_ms: 50,
};

async function doorOf(proxy: RunningProxy): Promise<string> {
  const { address } = await logLine(proxy, { msg: LISTEN });
  return `http://${String(address)}`;
}

async function ask(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, { headers: { connection: "close" } });
  return { status: response.status, body: await response.json() };
}

/** Holds a port for the rest of the test. */
async function takenPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  server.unref();
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

for (const supervisor of ["auto", "off"] as const) {
  describe(`a program with supervisor: ${supervisor}`, () => {
    const start = (extra: object, backends: Parameters<typeof startProxy>[0]["pools"][0]["backends"] = [NOBODY]) =>
      startProxy({
        pools: [{ prefix: "/", name: "web", backends }],
        supervisor,
        extra: { workers: supervisor === "off" ? 1 : 2, ...extra },
      });

    test.skipIf(aioquicPython === null)(
      aioquicPython === null
        ? AIOQUIC_MISSING
        : "lives and is ready; when it is told to stop it lives and is not ready, until it has finished",
      async () => {
        const backend = await startBackend({ protocol: "http1" });
        const proxy = await start(doors({}), [backend.address]);
        const door = await doorOf(proxy);
        const serving = supervisor === "off" || defaultRunner() === "deno" ? 1 : 2;
        expect(await ask(`${door}/health`)).toEqual({
          status: 200,
          body: { alive: true, workers: { serving, starting: 0 } },
        });
        expect(await ask(`${door}/ready`)).toEqual({ status: 200, body: { ready: true, reasons: [] } });
        const run = startAioquic({
          port: proxy.port,
          steps: [{ do: "start", id: "held", path: "/hold" }, { do: "wait" }],
        });
        await backend.holding(1);
        proxy.process.signal("SIGTERM");
        await logLine(proxy, { msg: "draining" });
        expect((await ask(`${door}/health`)).status).toBe(200);
        expect(await ask(`${door}/ready`)).toEqual({
          status: 503,
          body: { ready: false, reasons: [{ reason: "stopping" }] },
        });
        backend.release();
        expect((await proxy.process.ended).code).toBe(0);
        expect(exchangeOf(must((await run.connections)[0], "one connection"), "held").status).toBe(200);
      },
    );

    test("is not ready while a pool that it needs has no backend, and is again when it has", async () => {
      const backend = await startBackend({ protocol: "http1" });
      const backends = [{ address: backend.address, health_check: CHECK }];
      const proxy = await start(doors({}), backends);
      const door = await doorOf(proxy);
      backend.health = 500;
      await waitUntil(async () => (await ask(`${door}/ready`)).status === 503);
      expect((await ask(`${door}/ready`)).body).toEqual({
        ready: false,
        reasons: [{ reason: "no usable backend", pool: "web" }],
      });
      expect((await ask(`${door}/health`)).status).toBe(200);
      backend.health = 200;
      await waitUntil(async () => (await ask(`${door}/ready`)).status === 200);
    });

    test("is asked by `spooky healthcheck`", async () => {
      const port = await freePort();
      const proxy = await start(doors({ address: "0.0.0.0", port }));
      const check = (...args: readonly string[]) =>
        runProcess({ command: [...runnerCommand(defaultRunner()), "healthcheck", ...args] });
      const configured = ["--config", proxy.configFile];
      const alive = await check(...configured);
      expect({ code: alive.code, stderr: alive.stderr }).toEqual({ code: 0, stderr: "" });
      expect(alive.stdout).toStartWith('200 {"alive":true');
      expect((await check("--ready", ...configured)).stdout).toBe('200 {"ready":true,"reasons":[]}');
      const elsewhere = await check("--url", `http://127.0.0.1:${port}/elsewhere`);
      expect([elsewhere.code, elsewhere.stderr]).toEqual([1, "404 404 Not Found"]);
      await proxy.stop();
      const gone = await check(...configured);
      expect(gone.code).toBe(1);
      expect(gone.stderr).toContain(`127.0.0.1:${port} cannot be asked`);
    });

    test("does not start where the port is taken, and says which key; it does where it can do without", async () => {
      const port = await takenPort();
      const pools = [{ prefix: "/", backends: [NOBODY] }];
      const text = proxyConfig({ pools, supervisor, extra: doors({ port }) }, await testCertificateFiles());
      const file = writeTemp(tempFolder("doors"), "config.yaml", text);
      const { code, stderr } = await runProcess({ command: [...runnerCommand(defaultRunner()), "--config", file] });
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: `observability.health.port: 127.0.0.1:${port} is taken by another process\n  stop that process, choose another observability.health.port, or set observability.health.enabled: false`,
      });
      const proxy = await start(doors({ port, required: false }));
      const reason = `observability.health.port: 127.0.0.1:${port} is taken by another process`;
      expect(await logLine(proxy, { msg: "the program goes on without this" })).toMatchObject({
        level: "warn",
        reason,
      });
    });
  });
}

/** The executable and Deno have the same doors, by other means: sockets of their own here, the runtime's there. */
describe.each(["binary", "deno"] as const)("the %s", (runner) => {
  test.skipIf(!hasRunner(runner))(
    hasRunner(runner) ? "answers at its door, and asks at it" : `${runner}: it is not there`,
    async () => {
      const port = await freePort();
      const pools = [{ prefix: "/", name: "web", backends: [NOBODY] }];
      const proxy = await startProxy({ runner, pools, supervisor: "auto", extra: { workers: 1, ...doors({ port }) } });
      const door = `http://127.0.0.1:${port}`;
      const workers = { serving: 1, starting: 0 };
      expect(await ask(`${door}/health`)).toEqual({ status: 200, body: { alive: true, workers } });
      expect(await ask(`${door}/ready`)).toEqual({ status: 200, body: { ready: true, reasons: [] } });
      const command = [...runnerCommand(runner), "healthcheck", "--ready", "--config", proxy.configFile];
      expect(await runProcess({ command })).toMatchObject({ code: 0, stdout: '200 {"ready":true,"reasons":[]}' });
      expect((await proxy.stop()).code).toBe(0);
      expect((await runProcess({ command })).code).toBe(1);
    },
  );
});

const alone = defaultRunner() === "deno";
describe.skipIf(alone)(alone ? "a supervisor: Deno has none" : "a supervisor", () => {
  const start = (extra: object) =>
    startProxy({ pools: [{ prefix: "/", backends: [NOBODY] }], extra: { workers: 1, ...extra } });

  test("answers whoever asks while it goes on as another program: nobody is refused", async () => {
    const control = { socket: join(tempFolder("doors"), "control.sock") };
    const proxy = await start({ ...doors({}), control });
    const door = await doorOf(proxy);
    let over = false;
    const seen: Record<string, number> = {};
    const asking = (async () => {
      while (!over) {
        const answer = await ask(`${door}/health`).then(
          ({ status }) => String(status),
          (thrown: unknown) => String(thrown),
        );
        seen[answer] = (seen[answer] ?? 0) + 1;
      }
    })();
    for (let generation = 2; generation <= 3; generation++) {
      const upgrade = await runProcess({
        command: [...runnerCommand(defaultRunner()), "upgrade", "--control", control.socket],
      });
      expect({ code: upgrade.code, stderr: upgrade.stderr }).toEqual({ code: 0, stderr: "" });
      await waitUntil(() => Object.keys(workersOf(proxy)).length === 1);
    }
    over = true;
    await asking;
    console.log(`asked ${seen["200"]} times across 2 upgrades`);
    expect(Object.keys(seen)).toEqual(["200"]);
    expect((await proxy.stop()).code).toBe(0);
  });

  test("opens where a reload says before it leaves where it was, and stays where it was when that cannot be had", async () => {
    const proxy = await start(doors({}));
    const before = await doorOf(proxy);
    const port = await takenPort();
    changeConfig(proxy, (text) =>
      text.replace('"address": "127.0.0.1",\n      "port": 0', `"address": "127.0.0.1",\n      "port": ${port}`),
    );
    expect(await notRenewed(proxy, "SIGHUP")).toBe(
      `observability.health.port: 127.0.0.1:${port} is taken by another process`,
    );
    expect((await ask(`${before}/ready`)).status).toBe(200);
    const next = await freePort();
    changeConfig(proxy, (text) => text.replace(`"port": ${port}`, `"port": ${next}`));
    await renewed(proxy, "SIGHUP");
    expect((await ask(`http://127.0.0.1:${next}/ready`)).status).toBe(200);
    expect(await ask(`${before}/ready`).catch(() => "refused")).toBe("refused");
  });
});
