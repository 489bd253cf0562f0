/** Access lines as log collectors read them: the guide's promtail stage takes `level`, `path`, `backend` and `duration`. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { startBackend } from "../support/backends.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { freePort, waitUntil } from "../support/net.ts";
import { startProcess } from "../support/process.ts";
import { defaultRunner, proxyConfig, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquicOnce } from "../interop/aioquic.ts";
import { accessLine, logLine } from "./log-lines.ts";

const backend = await startBackend({ protocol: "http1" });
const pools = [{ name: "api", prefix: "/", backends: [{ id: "api-01", address: backend.address }] }];
const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "the access log", () => {
  test("as JSON has one object a line with these fields, of these types", async () => {
    const proxy = await startProxy({ pools });
    const connection = await runAioquicOnce({
      port: proxy.port,
      steps: [{ do: "request", path: "/echo?a=1", authority: "shop.test", body: { text: "12345" } }],
    });
    const line = await accessLine(proxy, "/echo?a=1");
    const [port] = connection.local_ports;
    expect(line).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: "info",
      msg: "request",
      request_id: expect.stringMatching(UUID7),
      method: "POST",
      path: "/echo?a=1",
      status: 200,
      upstream: "api",
      backend: "api-01",
      duration: expect.any(Number),
      bytes_in: 5,
      bytes_out: 5,
      client: `127.0.0.1:${port}`,
      authority: "shop.test",
      protocol: "h3",
      attempts: 1,
    });
    // Seconds, not milliseconds: no request of this test took an hour, and none took no time.
    expect(line["duration"]).toBeWithin(0.000001, 3600);
    expect(Object.keys(line).slice(0, 4)).toEqual(["time", "level", "msg", "request_id"]);
    expect(proxy.process.stderr).toEqual([]);
  });

  test("cannot be forged: what a client sends stays inside its string", async () => {
    const proxy = await startProxy({ pools });
    const path = '/"},{"level":"fatal\\u001b[31m%20';
    const forged: readonly (readonly [string, string])[] = [["x-request-id", '"evil":\\"1']];
    await runAioquicOnce({
      port: proxy.port,
      steps: [
        { do: "request", path: "/first", headers: forged },
        { do: "request", path },
        { do: "request", path: "/last" },
      ],
    });
    expect((await accessLine(proxy, "/first"))["request_id"]).toBe('"evil":\\"1');
    await accessLine(proxy, "/last");
    expect(await accessLine(proxy, path)).toMatchObject({ level: "info", status: 200 });
    const lines = proxy.process.stdout.map((line) => JSON.parse(line).level);
    expect(lines).toEqual(["info", "info", "info", "info"]);
  });

  test("as plain text has the same in a line for people", async () => {
    const proxy = await startProxy({ pools, extra: { log: { format: "plain" } } });
    await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", path: "/p" }] });
    const line = await proxy.process.waitForLine((text) => text.includes(" path=/p "));
    expect(line).toMatch(
      /^\d{4}-\S+Z INFO {2}request request_id=\S+ method=GET path=\/p status=200 upstream=api backend=api-01 duration=[\d.e-]+ bytes_in=0 bytes_out=\d+ client=127\.0\.0\.1:\d+ authority=localhost:\d+ protocol=h3 attempts=1$/,
    );
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a log", () => {
  test("goes into a file, in both spellings of the key, and then nowhere else", async () => {
    const folder = tempFolder("log");
    const [short, long] = [join(folder, "a.log"), join(folder, "b.log")];
    for (const [path, file] of [
      [short, short],
      [long, { enabled: true, path: long }],
    ] as const) {
      const text = proxyConfig({ pools, extra: { log: { format: "json", file } } }, await testCertificateFiles());
      const config = writeTemp(folder, "config.yaml", text);
      const child = startProcess({ command: [...runnerCommand(defaultRunner()), "--config", config] });
      await waitUntil(() => existsSync(path) && linesOf(path).some(({ msg }) => msg === "listening"));
      const address = String(linesOf(path).find(({ msg }) => msg === "listening")?.["address"]);
      const port = Number(address.slice(address.lastIndexOf(":") + 1));
      await runAioquicOnce({ port, steps: [{ do: "request", path: "/f" }] });
      expect((await child.stop()).code).toBe(0);
      expect([...child.stdout, ...child.stderr]).toEqual([]);
      expect(linesOf(path).map(({ msg }) => msg)).toEqual(["listening", "request", "draining", "counted", "stopped"]);
    }
  });

  test("has failures on standard error and all else on standard output", async () => {
    const proxy = await startProxy({ pools });
    await runAioquicOnce({
      port: proxy.port,
      steps: [
        { do: "request", path: "/status/500" },
        { do: "request", path: "/status/404" },
      ],
    });
    expect(await accessLine(proxy, "/status/500")).toMatchObject({ level: "warn" });
    expect(await accessLine(proxy, "/status/404")).toMatchObject({ level: "info" });
    expect(proxy.process.stderr.map((line) => JSON.parse(line).path)).toEqual(["/status/500"]);
  });

  test("of level warn has failures only", async () => {
    const port = await freePort();
    // The warning about this pool says that the proxy runs: at this level nothing else does.
    const unverified = pools.map((pool) => ({ ...pool, extra: { tls: { verify_certificates: false } } }));
    const extra = { log: { level: "warn", format: "json" } };
    const text = proxyConfig({ pools: unverified, port, extra }, await testCertificateFiles());
    const config = writeTemp(tempFolder("log"), "config.yaml", text);
    const child = startProcess({ command: [...runnerCommand(defaultRunner()), "--config", config] });
    await child.waitForLine((line) => line.includes("NOT verified"));
    const steps = [
      { do: "request", path: "/status/404" },
      { do: "request", path: "/status/500" },
    ] as const;
    await runAioquicOnce({ port, steps });
    expect((await child.stop()).code).toBe(0);
    expect(child.stdout).toEqual([]);
    expect(child.stderr.slice(1).map((line) => JSON.parse(line).path)).toEqual(["/status/500"]);
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a file", () => {
  test.each(["off", "auto"] as const)(
    "of requests may have a file of its own, opened anew on SIGUSR1, whatever the level (supervisor: %s)",
    async (supervisor) => {
      const folder = tempFolder("log");
      const file = join(folder, "access.log");
      const extra = {
        log: {
          level: "info",
          format: "plain",
          access: { file, format: "json", query: "redact", headers: ["user-agent"] },
        },
        ...(supervisor === "auto" ? { workers: 2 } : {}),
      };
      const proxy = await startProxy({ pools, supervisor, extra });
      const ask = async (path: string): Promise<void> => {
        await runAioquicOnce({
          port: proxy.port,
          steps: [{ do: "request", path, headers: [["user-agent", "tester"]] }],
        });
      };
      const has = (path: string) =>
        waitUntil(() => existsSync(file) && linesOf(file).some((line) => line["path"] === path));
      await ask("/before?a=1");
      await has("/before?[redacted]");
      renameSync(file, `${file}.1`);
      // What is open is written on until the signal.
      await ask("/moved");
      await waitUntil(() => linesOf(`${file}.1`).some((line) => line["path"] === "/moved"));
      expect(existsSync(file)).toBe(false);
      process.kill(proxy.process.pid, "SIGUSR1");
      await waitUntil(() => existsSync(file));
      await ask("/after");
      await has("/after");
      expect(linesOf(file).map(({ path, "header_user-agent": agent }) => [path, agent])).toEqual([
        ["/after", "tester"],
      ]);
      expect(linesOf(`${file}.1`).map(({ path }) => path)).toEqual(["/before?[redacted]", "/moved"]);
      expect(proxy.process.stdout.filter((line) => line.includes(" request "))).toEqual([]);
    },
  );

  test("of requests that is full loses lines and no request", async () => {
    const extra = { log: { level: "info", format: "json", access: { file: "/dev/full" } } };
    const proxy = await startProxy({ pools, extra });
    const [connection] = [
      await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", id: "r", path: "/small", count: 50 }] }),
    ];
    expect(connection.bulks[0]?.statuses).toEqual({ "200": 50 });
    const counted = await (await proxy.stop(), logLine(proxy, { msg: "counted" }));
    expect(counted["log_lines_dropped"]).toBeGreaterThan(0);
    expect(counted["log_write_errors"]).toBeGreaterThan(0);
  });
});

function linesOf(path: string): readonly Record<string, unknown>[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line.endsWith("}")).map((line) => JSON.parse(line));
}
