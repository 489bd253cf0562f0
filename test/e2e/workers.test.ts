/** Several workers behind one address: who serves what, how they end, how they are called, and that nobody else gets in. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AIOQUIC_MISSING, aioquicPython, runAioquic, startAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { waitUntil } from "../support/net.ts";
import { runProcess, startProcess } from "../support/process.ts";
import { hasRunner, proxyConfig, type ProxyRunner, runnerCommand } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { type LogLine, logLine, stoppedLine } from "./log-lines.ts";
import {
  answered,
  askAll,
  CONNECTIONS,
  draining,
  nameOf,
  startWorkers,
  workerByPort,
  workersOf,
} from "./worker-proxies.ts";

const NOBODY = "127.0.0.1:9";

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "workers", () => {
  test.each([2, 3])("%d of them share the connections, and each datagram reaches its own", async (workers) => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(workers, backend.address);
    expect(await logLine(proxy, { msg: "listening" })).toMatchObject({ workers });
    const connections = await askAll(proxy, 20);
    const byPort = workerByPort(proxy.logs());
    expect(new Set(byPort.values()).size).toBe(workers);
    expect(connections.every(({ local_ports: [port = 0] }) => byPort.has(port))).toBe(true);
    const requests = CONNECTIONS * 20;
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, requests, native_handles: 0 });
    const counted = await logLine(proxy, { msg: "counted" });
    expect(counted).toMatchObject({ requests_completed: requests, connections_accepted: CONNECTIONS });
    expect(counted["datagrams_unknown_id"] ?? 0).toBe(0);
    expect(counted["worker_restarts"] ?? 0).toBe(0);
    // All write to one pipe: no line is broken by another.
    for (const line of proxy.process.stdout) expect(() => JSON.parse(line)).not.toThrow();
  });

  test("stay with a client that changes its port", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(3, backend.address);
    const request = { do: "request", path: "/small", count: 5, concurrency: 2 } as const;
    const steps = [request, { do: "rebind" }, request, { do: "rebind" }, request] as const;
    const connections = await runAioquic({ port: proxy.port, connections: 8, events: false, steps });
    expect(answered(connections)).toBe(8 * 15);
    expect(connections.every(({ local_ports }) => local_ports.length === 3)).toBe(true);
    await stoppedLine(proxy.process);
    const counted = await logLine(proxy, { msg: "counted" });
    expect(counted).toMatchObject({ connections_accepted: 8 });
    expect(counted["datagrams_unknown_id"] ?? 0).toBe(0);
  });

  test("write whole lines into one file", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const file = join(tempFolder("workers"), "log");
    const log = { level: "info", format: "json", file };
    const options = { pools: [{ prefix: "/", backends: [backend.address] }], extra: { workers: 2, log } };
    const config = writeTemp(tempFolder("workers"), "config.yaml", proxyConfig(options, await testCertificateFiles()));
    const child = startProcess({ command: [...runnerCommand("source"), "--config", config] });
    const lines = (): LogLine[] =>
      readFileSync(file, "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
    await waitUntil(() => existsSync(file) && readFileSync(file, "utf8").includes('"listening"'));
    const address = String(lines().find(({ msg }) => msg === "listening")?.["address"]);
    const port = Number(address.split(":")[1]);
    const steps = [{ do: "request", path: "/small", count: 100, concurrency: 10 }] as const;
    expect(answered(await runAioquic({ port, connections: 10, events: false, steps }))).toBe(1000);
    expect((await child.stop()).code).toBe(0);
    expect(lines().filter(({ msg }) => msg === "request")).toHaveLength(1000);
    expect(new Set(workerByPort(lines()).values()).size).toBe(2);
    expect([child.stdout, child.stderr]).toEqual([[], []]);
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "workers that are stopped", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("finish what runs after %s", async (signal) => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address);
    const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait" }, { do: "wait_closed" }] as const;
    const run = startAioquic({ port: proxy.port, connections: 12, steps });
    await backend.holding(12);
    proxy.process.signal(signal);
    await draining(proxy, 2);
    backend.release();
    const statuses = (await run.connections).map(({ exchanges }) => exchanges[0]?.status);
    expect(statuses).toEqual(Array.from({ length: 12 }, () => 200));
    expect(await proxy.process.ended).toEqual({ code: 0, signal: null });
    expect(await logLine(proxy, { msg: "stopped" })).toMatchObject({ requests: 12, native_handles: 0 });
  });

  test("do not heed signals of their own: the supervisor's word counts", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address);
    for (const pid of Object.values(workersOf(proxy)))
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(pid, signal);
    await askAll(proxy, 2);
    expect((await stoppedLine(proxy.process)).code).toBe(0);
    expect((await logLine(proxy, { msg: "counted" }))["worker_restarts"] ?? 0).toBe(0);
  });

  test("end at once at the second signal", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const extra = { performance: { shutdown_drain_timeout_ms: 86_400_000 } };
    const proxy = await startWorkers(2, backend.address, { extra });
    const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait_closed" }] as const;
    const run = startAioquic({ port: proxy.port, connections: 4, steps });
    await backend.holding(4);
    proxy.process.signal("SIGTERM");
    await draining(proxy, 2);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    expect((await run.connections).every(({ closed }) => closed?.by === "peer")).toBe(true);
    backend.release();
  });
});

for (const runner of ["source", "binary"] as const satisfies readonly ProxyRunner[]) {
  const missing = hasRunner(runner) ? null : `${runner}: dist/spooky is not built`;
  describe.skipIf(missing !== null)(missing ?? `processes of the ${runner}`, () => {
    test("are one with the program's name, the supervisor, and workers with theirs", async () => {
      const proxy = await startWorkers(3, NOBODY, { runner });
      expect(nameOf(proxy.process.pid)).toBe("spooky");
      const workers = workersOf(proxy);
      expect(Object.keys(workers).toSorted()).toEqual(["h3-worker-0", "h3-worker-1", "h3-worker-2"]);
      const commands = Object.values(workers).map((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1"));
      for (const command of commands) expect(command).toMatch(/^h3-worker-[0-2]\0/);
      // From source the path of the file is an argument, whatever is in it.
      if (runner === "binary") expect(commands.filter((command) => command.includes("spooky"))).toEqual([]);
      // What is secret between them goes over their channel.
      const environments = Object.values(workers).map((pid) => readFileSync(`/proc/${pid}/environ`, "latin1"));
      for (const text of [...commands, ...environments]) expect(text).not.toMatch(/secret/i);
      expect((await stoppedLine(proxy.process)).code).toBe(0);
    });
  });
}

describe("workers that are asked for otherwise", () => {
  test("stay on one core each", async () => {
    const proxy = await startWorkers(2, NOBODY, { extra: { performance: { pin_workers: true } } });
    const cores = Object.values(workersOf(proxy)).map((pid) => {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      return /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? "";
    });
    for (const list of cores) expect(list).toMatch(/^\d+$/);
    expect((await stoppedLine(proxy.process)).code).toBe(0);
  });

  test.skipIf(!hasRunner("deno"))("are one process where sockets cannot be handed on, which says so", async () => {
    const proxy = await startWorkers(2, NOBODY, { runner: "deno" });
    const line = await logLine(proxy, { msg: "one process serves, without a supervisor" });
    expect(line["reason"]).toBe("deno cannot hand a socket to another process");
    expect((await stoppedLine(proxy.process)).code).toBe(0);
  });
});

describe("an address that is served", () => {
  test.each([
    [2, 2],
    [1, 2],
    [2, 1],
  ])("by %d processes is refused to %d", async (first, second) => {
    const proxy = await startWorkers(first, NOBODY);
    const options = { port: proxy.port, pools: [{ prefix: "/", backends: [NOBODY] }], extra: { workers: second } };
    const end = await runWith(proxyConfig(options, await testCertificateFiles()));
    expect(end.code).toBe(2);
    expect(end.stderr).toContain("is already served by another process");
    expect((await stoppedLine(proxy.process)).code).toBe(0);
  });
});

describe("a start that cannot be", () => {
  test("fails before anything is bound when a file is not there", async () => {
    const certificate = { ...(await testCertificateFiles()), certFile: "/nowhere/cert.pem" };
    const options = { pools: [{ prefix: "/", backends: [NOBODY] }], extra: { workers: 2 } };
    const end = await runWith(proxyConfig(options, certificate));
    expect(end).toMatchObject({ code: 2, stdout: "" });
    expect(end.stderr).toContain("/nowhere/cert.pem");
  });

  test("is one by hand: a worker has a supervisor", async () => {
    const end = await runProcess({ command: [...runnerCommand("source"), "worker"] });
    expect(end).toMatchObject({ code: 2, stdout: "" });
    expect(end.stderr).toContain("no supervisor");
  });
});

function runWith(config: string): ReturnType<typeof runProcess> {
  const file = writeTemp(tempFolder("workers"), "config.yaml", config);
  return runProcess({ command: [...runnerCommand("source"), "--config", file] });
}
