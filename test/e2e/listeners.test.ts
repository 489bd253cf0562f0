/** Several listeners: each with its own address and certificate, added, removed and moved by a reload, and nobody at another one feels it. */
import { readdirSync, readFileSync } from "node:fs";
import { createSocket } from "node:dgram";
import { describe, expect, test } from "bun:test";
import { must } from "../../src/core/assert.ts";
import {
  AIOQUIC_MISSING,
  type AioquicConnection,
  type AioquicPlan,
  aioquicPython,
  exchangeOf,
  runAioquicOnce,
  startAioquic,
} from "../interop/aioquic.ts";
import { startAioquicLoad } from "../interop/aioquic-load.ts";
import { startBackend } from "../support/backends.ts";
import { type CertificateFiles, certificateFiles, testLeaf } from "../support/certs.ts";
import { runProcess } from "../support/process.ts";
import { hasRunner, type ProxyOptions, type RunningProxy, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { expectNoLoss, gone, TIMES, USERS } from "./renewal-loads.ts";
import { changeConfig, servesAnew, workersOf } from "./worker-proxies.ts";

/** One of the configuration. */
interface Entry {
  readonly address: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string };
}

const FIRST = "one.test";
const SECOND = "two.test";

/** Certificates of two names. */
async function certificates(): Promise<Readonly<Record<string, CertificateFiles>>> {
  return {
    [FIRST]: certificateFiles(await testLeaf({ names: [FIRST] })),
    [SECOND]: certificateFiles(await testLeaf({ names: [SECOND] })),
  };
}

function entry(files: CertificateFiles | undefined, address = "127.0.0.1", port = 0): Entry {
  const { certFile: cert, keyFile: key } = must(files, "there is a certificate");
  return { address, port, tls: { cert, key } };
}

interface Proxy extends RunningProxy {
  /** `spooky` with a command for this program. */
  ask(command: string): ReturnType<typeof runProcess>;
  status(): Promise<{ generation: number; listeners: readonly string[] }>;
}

async function start(listeners: readonly Entry[], options: Partial<ProxyOptions> = {}): Promise<Proxy> {
  const path = `${tempFolder("control")}/control.sock`;
  const backend = await startBackend({ protocol: "http1" });
  const { extra, ...others } = options;
  const proxy = await startProxy({
    pools: [{ prefix: "/", backends: [backend.address] }],
    ...others,
    extra: { control: { socket: path, watch: "off" }, performance: TIMES, listeners, ...extra },
  });
  const ask = (command: string): ReturnType<typeof runProcess> =>
    runProcess({ command: [...runnerCommand("source"), ...command.split(" "), "--control", path] });
  return { ...proxy, ask, status: async () => JSON.parse((await ask("status --json")).stdout) };
}

/** Lines of listeners that serve, each with its port. */
async function ports(proxy: RunningProxy, count: number): Promise<readonly number[]> {
  const isLine = (line: string): boolean => line.includes('"msg":"listening"');
  await proxy.process.waitForLine(() => proxy.process.stdout.filter(isLine).length >= count);
  return proxy.process.stdout.filter(isLine).map((line) => {
    const { address }: { address: string } = JSON.parse(line);
    return Number(address.split(":").at(-1));
  });
}

/** One request; `name` is whom the client believes to speak to, which the certificate has to bear out. */
function ask(port: number, name: string, files: CertificateFiles | undefined, plan: Partial<AioquicPlan> = {}) {
  const ca_file = must(files, "there is a certificate").caFile;
  return runAioquicOnce({ port, server_name: name, ca_file, steps: [{ do: "request", id: "r", path: "/" }], ...plan });
}

function statusOf(connection: AioquicConnection): number | null {
  return connection.exchanges.find(({ id }) => id === "r")?.status ?? null;
}

/** Other listeners, by a reload that has to go well. */
async function change(proxy: Proxy, listeners: readonly Entry[]): Promise<string> {
  changeConfig(proxy, (text) => JSON.stringify({ ...JSON.parse(text), listeners }));
  const { code, stdout, stderr } = await proxy.ask("reload");
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

function descriptorsOf({ process: { pid } }: RunningProxy): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function takePort(): Promise<{ readonly port: number; readonly close: () => void }> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { port: socket.address().port, close: () => void socket.close() };
}

const SERVING = (
  [
    ["source", "auto"],
    ["source", "off"],
    ["deno", "off"],
    ["binary", "auto"],
  ] as const
).filter(([runner]) => hasRunner(runner));

function listenerTests(title: string, tests: () => void): void {
  describe.skipIf(aioquicPython === null)(aioquicPython === null ? `${title}: ${AIOQUIC_MISSING}` : title, tests);
}

listenerTests("two listeners", () => {
  test.each(SERVING)("serve, each with its certificate alone (%s, supervisor: %s)", async (runner, supervisor) => {
    const files = await certificates();
    const extra = supervisor === "auto" ? { workers: 2 } : {};
    const proxy = await start([entry(files[FIRST]), entry(files[SECOND])], { runner, supervisor, extra });
    const [first = 0, second = 0] = await ports(proxy, 2);
    expect(statusOf(await ask(first, FIRST, files[FIRST]))).toBe(200);
    expect(statusOf(await ask(second, SECOND, files[SECOND]))).toBe(200);
    // TLS shows what a listener has, and nothing of the other one's.
    expect(statusOf(await ask(second, FIRST, files[FIRST]))).toBeNull();
    expect((await proxy.status()).listeners).toEqual([`127.0.0.1:${first}`, `127.0.0.1:${second}`]);
    await logLine(proxy, { level: "warn", key: "listen" });
    await logLine(proxy, { msg: "request", listener: `127.0.0.1:${second}`, authority: `${SECOND}:${second}` });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });

  test("share the bound on connections of a worker", async () => {
    const files = await certificates();
    const extra = { max_concurrent_connections: 1 };
    const proxy = await start([entry(files[FIRST]), entry(files[SECOND])], { supervisor: "off", extra });
    const [first = 0, second = 0] = await ports(proxy, 2);
    const steps = [{ do: "handshake" }, { do: "say", text: "in" }, { do: "cue" }, { do: "close" }] as const;
    const run = startAioquic({ port: first, server_name: FIRST, steps });
    await run.event("said", { text: "in" });
    const refused = await ask(second, SECOND, files[SECOND]);
    expect(refused.closed).toMatchObject({ by: "peer", code: 2 });
    run.cue();
    await run.connections;
    await stoppedLine(proxy.process);
    expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ connections_over_total: 1 });
  });

  test("have both a worker again when it was killed", async () => {
    const files = await certificates();
    const proxy = await start([entry(files[FIRST]), entry(files[SECOND])], { extra: { workers: 1 } });
    const [first = 0, second = 0] = await ports(proxy, 2);
    const victim = must(workersOf(proxy)["h3-worker-0"], "there is a worker");
    process.kill(victim, "SIGKILL");
    await servesAnew(proxy, 0, victim);
    expect(statusOf(await ask(first, FIRST, files[FIRST]))).toBe(200);
    expect(statusOf(await ask(second, SECOND, files[SECOND]))).toBe(200);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });
});

listenerTests("two listeners of a program that changes", () => {
  test("get other certificates where the workers are", async () => {
    const files = await certificates();
    const proxy = await start([entry(files[FIRST]), entry(files[FIRST])], { extra: { workers: 1 } });
    const [first = 0, second = 0] = await ports(proxy, 2);
    const workers = workersOf(proxy);
    // The first of the two that have no port of their own is the first, whatever it shows.
    expect(await change(proxy, [entry(files[FIRST]), entry(files[SECOND])])).toContain("in place");
    expect(workersOf(proxy)).toEqual(workers);
    expect(statusOf(await ask(first, FIRST, files[FIRST]))).toBe(200);
    expect(statusOf(await ask(second, SECOND, files[SECOND]))).toBe(200);
  });

  test("outlive an upgrade of the program", async () => {
    const files = await certificates();
    const proxy = await start([entry(files[FIRST]), entry(files[SECOND])], { extra: { workers: 2 } });
    const [first = 0, second = 0] = await ports(proxy, 2);
    const load = startAioquicLoad({ port: second, path: "/small", users: USERS, requests_per_connection: 20 });
    await load.more(200);
    for (const generation of [2, 3]) {
      proxy.process.signal("SIGUSR2");
      await logLine(proxy, { msg: "the supervisor goes on as another program", generation });
      await gone(proxy, generation - 1);
    }
    expect(statusOf(await ask(first, FIRST, files[FIRST]))).toBe(200);
    expect(statusOf(await ask(second, SECOND, files[SECOND]))).toBe(200);
    expect((await proxy.status()).listeners).toEqual([`127.0.0.1:${first}`, `127.0.0.1:${second}`]);
    await load.more(100);
    await expectNoLoss(load, proxy);
  });
});

listenerTests("an upgrade", () => {
  test("to other listeners too keeps the one that is left until what runs there has ended", async () => {
    const files = await certificates();
    const backend = await startBackend({ protocol: "http1" });
    const options = { pools: [{ prefix: "/", backends: [backend.address] }], extra: { workers: 2 } };
    const stays = entry(files[FIRST]);
    const proxy = await start([stays, entry(files[SECOND])], options);
    const [first = 0, second = 0] = await ports(proxy, 2);
    const descriptors = descriptorsOf(proxy);
    const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait" }, { do: "wait_closed" }] as const;
    const run = startAioquic({ port: second, server_name: SECOND, steps });
    await backend.holding(1);
    changeConfig(proxy, (text) =>
      JSON.stringify({ ...JSON.parse(text), listeners: [entry(files[SECOND], "127.0.0.2"), stays] }),
    );
    proxy.process.signal("SIGUSR2");
    await logLine(proxy, { msg: "the supervisor goes on as another program", generation: 2 });
    const late = await ask(second, SECOND, files[SECOND]);
    expect(late.closed).toMatchObject({ by: "peer", code: 2 });
    expect(statusOf(await ask(first, FIRST, files[FIRST]))).toBe(200);
    const [, , third = 0] = await ports(proxy, 3);
    expect(statusOf(await ask(third, SECOND, files[SECOND], { host: "127.0.0.2" }))).toBe(200);
    backend.release();
    const [connection] = await run.connections;
    expect(exchangeOf(must(connection, "it was there"), "held")).toMatchObject({ status: 200, ended: true });
    await logLine(proxy, { msg: "listener is gone", address: `127.0.0.1:${second}` });
    expect((await proxy.status()).listeners).toEqual([`127.0.0.2:${third}`, `127.0.0.1:${first}`]);
    // Those of the listener that is new are as many as those that are gone; the first upgrade makes two less.
    expect(descriptorsOf(proxy)).toBeLessThanOrEqual(descriptors);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });
});

listenerTests("a reload", () => {
  test("adds, moves and removes listeners, and those that stay lose no request", async () => {
    const files = await certificates();
    const [stays, second] = [entry(files[FIRST]), entry(files[SECOND], "127.0.0.2")];
    const extra = { workers: 2, performance: { ...TIMES, retry: "always" } };
    const proxy = await start([stays], { extra });
    const [port = 0] = await ports(proxy, 1);
    const descriptors = descriptorsOf(proxy);
    const load = startAioquicLoad({ port, path: "/small", users: USERS, requests_per_connection: 20 });
    await load.more(200);

    const added = await change(proxy, [stays, second]);
    expect(added).toContain("new workers, because of addresses and ports of listeners");
    const [, secondPort = 0] = await ports(proxy, 2);
    const there = { host: "127.0.0.2" };
    expect(statusOf(await ask(secondPort, SECOND, files[SECOND], there))).toBe(200);
    await gone(proxy, 1);

    await change(proxy, [entry(files[SECOND], "127.0.0.3"), stays]);
    const [, , thirdPort = 0] = await ports(proxy, 3);
    expect(statusOf(await ask(thirdPort, SECOND, files[SECOND], { host: "127.0.0.3" }))).toBe(200);
    await gone(proxy, 2);
    expect(await logLine(proxy, { msg: "listener is gone" })).toMatchObject({ address: `127.0.0.2:${secondPort}` });

    await change(proxy, [stays]);
    await gone(proxy, 3);
    await logLine(proxy, { msg: "listener is gone", address: `127.0.0.3:${thirdPort}` });
    expect(descriptorsOf(proxy)).toBe(descriptors);
    expect((await proxy.status()).listeners).toEqual([`127.0.0.1:${port}`]);
    await load.more(100);
    await expectNoLoss(load, proxy);
  });

  test("lets what runs on a removed listener end, and lets nobody in there any more", async () => {
    const files = await certificates();
    const [stays, leaves] = [entry(files[FIRST]), entry(files[SECOND])];
    const backend = await startBackend({ protocol: "http1" });
    const options = { pools: [{ prefix: "/", backends: [backend.address] }], extra: { workers: 2 } };
    const proxy = await start([stays, leaves], options);
    const [first = 0, second = 0] = await ports(proxy, 2);
    const steps = [
      { do: "start", id: "held", path: "/hold" },
      { do: "wait_goaway" },
      { do: "say", text: "told" },
      { do: "wait" },
      { do: "wait_closed" },
    ] as const;
    const run = startAioquic({ port: second, server_name: SECOND, steps });
    await backend.holding(1);
    await change(proxy, [stays]);
    await run.event("said", { text: "told" });
    const late = await ask(second, SECOND, files[SECOND]);
    expect(late.closed).toMatchObject({ by: "peer", code: 2 });
    expect(statusOf(await ask(first, FIRST, files[FIRST]))).toBe(200);
    backend.release();
    const [connection] = await run.connections;
    expect(exchangeOf(must(connection, "it was there"), "held")).toMatchObject({
      status: 200,
      ended: true,
      error: null,
    });
    await gone(proxy, 1);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
    expect(await logLine(proxy, { msg: "counted" })).not.toHaveProperty("resets_sent");
  });
});

listenerTests("a reload that cannot be done", () => {
  test("because a listener cannot be had says which, and leaves all as it was", async () => {
    const files = await certificates();
    const held = await takePort();
    const stays = entry(files[FIRST], "127.0.0.1", 0);
    const proxy = await start([stays], { extra: { workers: 1 } });
    const [port = 0] = await ports(proxy, 1);
    const descriptors = descriptorsOf(proxy);
    const before = readFileSync(proxy.configFile, "utf8");
    const refused = async (other: Entry): Promise<string> => {
      changeConfig(proxy, () =>
        JSON.stringify({ ...JSON.parse(before), listeners: [stays, entry(files[SECOND]), other] }),
      );
      const { code, stderr } = await proxy.ask("reload");
      expect(code).toBe(1);
      return stderr;
    };
    expect(await refused(entry(files[SECOND], "127.0.0.1", held.port))).toContain(
      `listeners[2]: UDP 127.0.0.1:${held.port} is already served by another process`,
    );
    expect(await refused(entry(files[SECOND], "192.0.2.1", 4433))).toContain(
      "listeners[2]: UDP 192.0.2.1:4433: this machine has no such address",
    );
    held.close();
    expect((await proxy.status()).generation).toBe(1);
    expect(descriptorsOf(proxy)).toBe(descriptors);
    expect(statusOf(await ask(port, FIRST, files[FIRST]))).toBe(200);
  });

  test("because an address takes in one of before says so, since connections of that one would be lost", async () => {
    const files = await certificates();
    const held = await takePort();
    held.close();
    const proxy = await start([entry(files[FIRST], "0.0.0.0", held.port)], { extra: { workers: 1 } });
    changeConfig(proxy, (text) =>
      JSON.stringify({ ...JSON.parse(text), listeners: [entry(files[FIRST], "127.0.0.1", held.port)] }),
    );
    const { code, stderr } = await proxy.ask("reload");
    expect(code).toBe(1);
    expect(stderr).toContain(
      `listeners[0]: UDP 127.0.0.1:${held.port} cannot be had beside UDP 0.0.0.0:${held.port}, which this program has`,
    );
    expect(statusOf(await ask(held.port, FIRST, files[FIRST]))).toBe(200);
  });

  test("by one process alone says that its listeners stay where they are", async () => {
    const files = await certificates();
    const proxy = await start([entry(files[FIRST])], { supervisor: "off" });
    await ports(proxy, 1);
    changeConfig(proxy, (text) =>
      JSON.stringify({ ...JSON.parse(text), listeners: [entry(files[FIRST]), entry(files[SECOND])] }),
    );
    const { code, stderr } = await proxy.ask("reload");
    expect(code).toBe(1);
    expect(stderr).toContain("addresses and ports of listeners cannot be changed while one process serves");
  });
});
