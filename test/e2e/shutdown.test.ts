/** How the proxy ends: what runs is finished, nothing new is taken, nothing is left behind; and how it is ended at once. */
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import { startBackend } from "../support/backends.ts";
import { startProcess } from "../support/process.ts";
import { hasRunner, listeningAddress, proxyConfig, runnerCommand, startProxy } from "../support/proxy.ts";
import type { ProxyRunner } from "../support/proxy.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { openTestLibrary } from "../support/native.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { AIOQUIC_MISSING, aioquicPython, exchangeOf, runAioquicOnce, startAioquic } from "../interop/aioquic.ts";
import { openClient } from "./bare-client.ts";
import { accessLine, logLine, stoppedLine } from "./log-lines.ts";

const H3_NO_ERROR = 0x100;
const H3_REQUEST_REJECTED = 0x10b;
const CONNECTION_REFUSED = 2;
/** 2^62 - 4 as JSON reads it. */
const HIGHEST_ID = 2 ** 62;
/** The exit code that says that requests were broken off. */
const CUT_OFF = 3;
/** What a client waits for an answer to its first packet: a server that drains gives none. */
const REFUSED_AFTER_MS = 500;

for (const runner of ["source", "binary"] as const satisfies readonly ProxyRunner[]) {
  const missing = hasRunner(runner)
    ? aioquicPython === null
      ? AIOQUIC_MISSING
      : null
    : `${runner}: dist/spooky is not built`;

  describe.skipIf(missing !== null)(missing ?? `the ${runner} that is asked to stop`, () => {
    test.each(["SIGTERM", "SIGINT"] as const)(
      "by %s finishes what runs, takes nothing new, leaves nothing",
      async (signal) => {
        const backend = await startBackend({ protocol: "http1" });
        const proxy = await startProxy({ runner, pools: [{ prefix: "/", backends: [backend.address] }] });
        const run = startAioquic({
          port: proxy.port,
          steps: [
            { do: "start", id: "held", path: "/hold" },
            { do: "wait_goaway", count: 2 },
            { do: "request", id: "late", path: "/small" },
            { do: "say", text: "told" },
            { do: "wait" },
            { do: "wait_closed" },
          ],
        });
        await backend.holding(1);
        proxy.process.signal(signal);
        await logLine(proxy, { msg: "draining", connections: 1 });
        await run.event("said", { text: "told" });
        const refused = await runAioquicOnce({ port: proxy.port, idle_timeout_ms: REFUSED_AFTER_MS, steps: [] });
        expect(refused.connected).toBe(false);
        backend.release();
        const connection = must((await run.connections)[0], "one connection");
        expect(exchangeOf(connection, "held")).toMatchObject({ status: 200, body: "held\n", ended: true });
        expect(exchangeOf(connection, "late")).toMatchObject({ status: null, reset_code: H3_REQUEST_REJECTED });
        expect(connection.goaways).toEqual([HIGHEST_ID, 4]);
        expect(connection.closed).toMatchObject({ by: "peer", code: H3_NO_ERROR, application: true });
        expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
        expect(backend.counts).toMatchObject({ requests: 1, completed: 1 });
      },
    );

    test("twice ends at once, with what still runs", async () => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startProxy({ runner, pools: [{ prefix: "/", backends: [backend.address] }] });
      const run = startAioquic({
        port: proxy.port,
        steps: [{ do: "start", id: "held", path: "/hold" }, { do: "wait_closed" }],
      });
      await backend.holding(1);
      proxy.process.signal("SIGTERM");
      await logLine(proxy, { msg: "draining" });
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
      const connection = must((await run.connections)[0], "one connection");
      expect(connection.closed).toMatchObject({ by: "peer", code: H3_NO_ERROR, application: true });
      expect(exchangeOf(connection, "held").ended).toBe(false);
      expect(await accessLine(proxy, "/hold")).toMatchObject({ status: 499 });
    });
  });
}

describe.skipIf(aioquicPython === null)(
  aioquicPython === null ? AIOQUIC_MISSING : "a proxy that is asked to stop",
  () => {
    test("does not wait for a request longer than the drain time", async () => {
      const backend = await startBackend({ protocol: "http1" });
      const proxy = await startProxy({
        pools: [{ prefix: "/", backends: [backend.address] }],
        extra: { performance: { shutdown_drain_timeout_ms: 50 } },
      });
      const run = startAioquic({
        port: proxy.port,
        steps: [{ do: "start", id: "held", path: "/hold" }, { do: "wait_closed" }],
      });
      await backend.holding(1);
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: CUT_OFF, native_handles: 0 });
      expect(exchangeOf(must((await run.connections)[0], "one connection"), "held").ended).toBe(false);
    });

    test("does not wait for idle connections", async () => {
      const proxy = await startProxy({ pools: [{ prefix: "/nowhere", backends: ["127.0.0.1:9"] }] });
      const run = startAioquic({
        port: proxy.port,
        connections: 20,
        // A client holds its connection for made before the proxy does; an answer makes both sure.
        steps: [{ do: "request", path: "/x" }, { do: "say", text: "here" }, { do: "wait_closed" }],
      });
      for (let connection = 0; connection < 20; connection++) await run.event("said", { connection });
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
      const closed = (await run.connections).map((connection) => connection.closed);
      expect(closed.every((end) => end?.by === "peer" && end.code === H3_NO_ERROR)).toBe(true);
    });

    test("does not wait for a handshake whose client has gone", async () => {
      const never = { quic_max_idle_timeout_ms: 86_400_000, shutdown_drain_timeout_ms: 86_400_000 };
      const proxy = await startProxy({
        pools: [{ prefix: "/", backends: ["127.0.0.1:9"] }],
        extra: { performance: never, log: { level: "debug", format: "json" } },
      });
      const client = openClient(openTestLibrary(), proxy);
      // Its first packet is out; what answers it is never read.
      client.step();
      client.close();
      // The proxy has taken that packet when it has answered a later one.
      const { connected } = await runAioquicOnce({ port: proxy.port, steps: [{ do: "close" }] });
      expect(connected).toBe(true);
      expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
      await logLine(proxy, { msg: "connection closed", by: "local", application: false, code: CONNECTION_REFUSED });
    });

    test("is not in a hurry about SIGHUP: it reloads where it is, and serves on", async () => {
      const proxy = await startProxy({ supervisor: "off", pools: [{ prefix: "/", backends: ["127.0.0.1:9"] }] });
      proxy.process.signal("SIGHUP");
      await proxy.process.waitForLine((line) => line.includes("reload done"));
      const { connected } = await runAioquicOnce({ port: proxy.port, steps: [] });
      expect(connected).toBe(true);
    });
  },
);

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a log that nobody reads", () => {
  /** What stands at the other end of standard output: it hands the first line on, and then goes, or stays and reads nothing. */
  const readers = {
    "has been closed": "head -n 1",
    "is full": "{ IFS= read -r line; printf '%s\\n' \"$line\"; cat <&3 >/dev/null; }",
  };
  test.each(Object.entries(readers))(
    "because standard output %s neither ends the proxy nor holds it up",
    async (_name, reader) => {
      const backend = await startBackend({ protocol: "http1" });
      const text = proxyConfig({ pools: [{ prefix: "/", backends: [backend.address] }] }, await testCertificateFiles());
      const file = writeTemp(tempFolder("log"), "config.yaml", text);
      const program = runnerCommand("source").concat("--config", file);
      const child = startProcess({
        command: ["bash", "-c", `exec 3<&0; exec "$@" > >(${reader})`, "bash", ...program],
      });
      const { port } = await listeningAddress(child);
      const steps = [{ do: "request", id: "r", path: "/small", count: 1000, concurrency: 10 }] as const;
      const { bulks } = await runAioquicOnce({ port, steps });
      expect(bulks[0]?.statuses).toEqual({ "200": 1000 });
      expect((await child.stop()).code).toBe(0);
    },
  );
});
