/** The supervisor goes on as another program, in its own process: nobody notices, nothing is lost, and whoever cannot go on does not. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import {
  AIOQUIC_MISSING,
  type AioquicConnection,
  aioquicPython,
  runAioquic,
  startAioquic,
} from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { runProcess, startProcess } from "../support/process.ts";
import {
  hasRunner,
  proxyConfig,
  type ProxyRunner,
  type RunningProxy,
  runnerCommand,
  startProxy,
} from "../support/proxy.ts";
import { tempFolder, writeProgram, writeTemp } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { changeBoundKey, answered, askAll, nameOf, servesAnew, startWorkers, workersOf } from "./worker-proxies.ts";

const ROUNDS = 4;
const H3_NO_ERROR = 0x100;
const H3_REQUEST_REJECTED = 0x10b;
const NOBODY = "127.0.0.1:9";
const GOES_ON = "the supervisor goes on as another program";
const STAYS = "the supervisor stays the program that it was; its workers are those of the new one";
const WENT_BACK = "the new program could not go on: the supervisor stays the program that it was";

interface Upgradable {
  readonly proxy: RunningProxy;
  /** What `spooky upgrade` gives, with another program if one is named. */
  upgrade(binary?: string): ReturnType<typeof runProcess>;
  status(): Promise<{ pid: number; generation: number; counters: Record<string, number> }>;
}

async function start(address: string, runner: ProxyRunner = "source", env = {}): Promise<Upgradable> {
  const path = join(tempFolder("control"), "control.sock");
  const performance = { shutdown_drain_timeout_ms: 10_000, quic_max_idle_timeout_ms: 5000 };
  const proxy = await startWorkers(2, address, { runner, env, extra: { control: { socket: path }, performance } });
  const ask = (...args: readonly string[]): ReturnType<typeof runProcess> =>
    runProcess({ command: [...runnerCommand(runner), ...args, "--control", path] });
  return {
    proxy,
    upgrade: (binary) => ask("upgrade", ...(binary === undefined ? [] : ["--binary", binary])),
    status: async () => JSON.parse((await ask("status", "--json")).stdout),
  };
}

/** By signal, up to where the new program goes on and those that it took over from are gone. */
async function upgraded({ proxy }: Upgradable, generation: number): Promise<void> {
  proxy.process.signal("SIGUSR2");
  await logLine(proxy, { msg: GOES_ON, generation });
  await logLine(proxy, { msg: "crew is gone", generation: generation - 1 });
}

function descriptorsOf({ proxy }: Upgradable): number {
  return readdirSync(`/proc/${proxy.process.pid}/fd`).length;
}

/** Processes of the proxy that have ended and that nobody has asked about. */
function zombiesOf({ proxy }: Upgradable): readonly string[] {
  const { pid } = proxy.process;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  return children.filter((child) => /^State:\s+Z/m.test(readFileSync(`/proc/${child}/status`, "utf8")));
}

/** The source as a program of one file, with a few lines of shell before it. */
function wrapper(lines: string, command: readonly string[] = runnerCommand("source")): string {
  return writeProgram(tempFolder("program"), "spooky", `#!/bin/sh\n${lines}\nexec ${command.join(" ")} "$@"\n`);
}

const RUNNERS = (["source", "binary"] as const).filter(hasRunner);

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a supervisor", () => {
  test.each(RUNNERS)("goes on as another program many times under load, and no request fails: %s", async (runner) => {
    const backend = await startBackend({ protocol: "http1" });
    const upgradable = await start(backend.address, runner);
    const { proxy } = upgradable;
    await upgraded(upgradable, 2);
    const descriptors = descriptorsOf(upgradable);
    const load = startLoad(proxy);
    const counts: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await upgraded(upgradable, 3 + round);
      counts.push((await upgradable.status()).counters["requests_completed"] ?? 0);
    }
    const { asked, got, sentOn, lost } = await load.stop();
    expect(lost).toEqual([]);
    expect(asked).toBeGreaterThan(ROUNDS * 10);
    expect(got + sentOn).toBe(asked);
    expect(counts).toEqual(counts.toSorted((one, other) => one - other));
    expect(await upgradable.status()).toMatchObject({ pid: proxy.process.pid, generation: 2 + ROUNDS });
    expect(descriptorsOf(upgradable)).toBe(descriptors);
    expect(zombiesOf(upgradable)).toEqual([]);
    expect(nameOf(proxy.process.pid)).toBe("spooky");
    const stopped = await stoppedLine(proxy.process);
    expect(stopped).toMatchObject({ code: 0, native_handles: 0 });
    expect(stopped["requests"]).toBe(got);
    expect(await logLine(proxy, { msg: "counted" })).toMatchObject({ renewals: ROUNDS + 1, requests_completed: got });
  });

  test("knows how a worker ended that it has not started, and starts another", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const upgradable = await start(backend.address);
    const { proxy } = upgradable;
    proxy.process.signal("SIGUSR2");
    await logLine(proxy, { msg: "crew has taken over", generation: 2 });
    const victim = must(workersOf(proxy)["h3-worker-2"] ?? workersOf(proxy)["h3-worker-3"], "there is a new worker");
    const slot = Number(nameOf(victim).at(-1));
    await logLine(proxy, { msg: GOES_ON });
    process.kill(victim, "SIGKILL");
    await logLine(proxy, { msg: "worker ended: started again", slot, pid: victim, code: null, signal: "SIGKILL" });
    await servesAnew(proxy, slot, victim);
    await askAll(proxy, 2);
    await logLine(proxy, { msg: "crew is gone", generation: 1 });
    expect(zombiesOf(upgradable)).toEqual([]);
    expect((await stoppedLine(proxy.process)).code).toBe(0);
  });
});

/**
 * Requests that a client may send elsewhere at once (RFC 9114 5.2): they came behind the last GOAWAY and were refused before anything was done for them,
 * or were never sent because the connection had been closed by then. This client goes on asking, whatever a GOAWAY says.
 */
function sentOnOf({ bulks, goaways, closed }: AioquicConnection): number {
  const last = goaways.at(-1) ?? Infinity;
  const isClosedInOrder = closed !== null && closed.by === "peer" && closed.code === H3_NO_ERROR;
  const failures = bulks.flatMap((bulk) => bulk.failures);
  return failures.filter(({ reset_code, stream_id }) => {
    if (reset_code === H3_REQUEST_REJECTED) return (stream_id ?? -1) >= last;
    return reset_code === null && isClosedInOrder && (stream_id ?? last) >= last;
  }).length;
}

interface LoadCounts {
  readonly asked: number;
  readonly got: number;
  readonly sentOn: number;
  /** Connections with a request that was neither answered nor sent on, to be read when there are any. */
  readonly lost: readonly unknown[];
}

/** Clients that come, ask a little and go, again and again. */
function startLoad(proxy: RunningProxy): { stop(): Promise<LoadCounts> } {
  const connections = 4;
  const count = 5;
  const steps = [{ do: "request", id: "r", path: "/small", count, concurrency: 2 }, { do: "close" }] as const;
  let running = true;
  let asked = 0;
  let got = 0;
  let sentOn = 0;
  const lost: unknown[] = [];
  const all = (async () => {
    while (running) {
      const done = await runAioquic({ port: proxy.port, connections, events: false, steps });
      asked += connections * count;
      got += answered(done);
      sentOn += done.reduce((sum, connection) => sum + sentOnOf(connection), 0);
      for (const connection of done) {
        const { bulks, goaways, closed } = connection;
        if (answered([connection]) + sentOnOf(connection) < count) lost.push({ bulks, goaways, closed });
      }
    }
  })();
  return {
    async stop() {
      running = false;
      await all;
      return { asked, got, sentOn, lost };
    },
  };
}

describe("a supervisor that goes on as another program", () => {
  test.each(RUNNERS)("hears every signal that is sent meanwhile: %s", async (runner) => {
    // Set beforehand by `./scripts/start`: nothing is left that a supervisor has to execute itself for, but its signals.
    const env = runner === "source" ? { BUN_CONFIG_MAX_HTTP_REQUESTS: "65336" } : {};
    const upgradable = await start(NOBODY, runner, env);
    const { proxy } = upgradable;
    let sent = 0;
    let generation = 1;
    const reopened = (): number => proxy.logs().filter(({ signal }) => signal === "SIGUSR1").length;
    const chain = (async () => {
      // One at a time, since the kernel keeps one of a kind: each has to be heard for the next one to be sent.
      while (generation <= ROUNDS) {
        proxy.process.signal("SIGUSR1");
        sent += 1;
        while (reopened() < sent) await proxy.process.nextLine();
      }
    })();
    while (generation <= ROUNDS) {
      generation += 1;
      await upgraded(upgradable, generation);
    }
    await chain;
    expect(reopened()).toBe(sent);
    expect(sent).toBeGreaterThan(ROUNDS);
    expect((await stoppedLine(proxy.process)).code).toBe(0);
  });

  test("stops in order when it is told to in that moment", async () => {
    const { proxy } = await start(NOBODY);
    proxy.process.signal("SIGUSR2");
    await logLine(proxy, { msg: "retiring" });
    // The kernel names the process after the file until the new program names itself; a test that looks too late has nothing to see.
    const isOver = (): boolean => proxy.logs().some(({ msg }) => msg === GOES_ON);
    while (nameOf(proxy.process.pid) === "spooky" && !isOver()) await Bun.sleep(0);
    expect((await stoppedLine(proxy.process)).code).toBe(0);
  });

  test.each(RUNNERS)("outlives the folder that it was started in: %s", async (runner) => {
    const folder = tempFolder("release");
    const command = ["sh", "-c", `cd ${folder} && exec "$@"`, "sh", ...runnerCommand(runner)];
    const proxy = await startWorkers(2, NOBODY, { command });
    rmdirSync(folder);
    const victim = must(workersOf(proxy)["h3-worker-1"], "there is a worker");
    process.kill(victim, "SIGKILL");
    await servesAnew(proxy, 1, victim);
    proxy.process.signal("SIGUSR2");
    await logLine(proxy, { msg: GOES_ON, generation: 2 });
    await logLine(proxy, { msg: "crew is gone", generation: 1 });
    expect((await stoppedLine(proxy.process)).code).toBe(0);
  });

  test("leaves nothing of it to its workers, and all that it was given to itself", async () => {
    const upgradable = await start(NOBODY, "source", { NOTIFY_SOCKET: "/run/nobody", OWN: "1" });
    await upgraded(upgradable, 2);
    const { pid } = upgradable.proxy.process;
    const environmentOf = (id: number): string => readFileSync(`/proc/${id}/environ`, "utf8");
    expect(environmentOf(pid)).toContain("NOTIFY_SOCKET=/run/nobody\0");
    const [worker = 0] = Object.values(workersOf(upgradable.proxy));
    const slot = Number(nameOf(worker).at(-1));
    process.kill(worker, "SIGKILL");
    // By then it is a program of its own, and no copy of the supervisor any more.
    await servesAnew(upgradable.proxy, slot, worker);
    const next = must(workersOf(upgradable.proxy)[`h3-worker-${slot}`], "the next one serves");
    expect(environmentOf(next)).toContain("OWN=1\0");
    expect(environmentOf(next)).not.toContain("HANDOVER");
    expect(masksOf(next)).toEqual(["none"]);
    expect((await stoppedLine(upgradable.proxy.process)).code).toBe(0);
  });
});

/**
 * What threads of a process let wait of the signals that a supervisor holds (HUP, INT, USR1, USR2, TERM): the first one is left out, whose
 * mask the runtime changes all the time, and so are those that let everything wait (QUIT is a sign of that).
 */
function masksOf(pid: number): readonly string[] {
  const held = 0x4a03;
  const quit = 0x4;
  const masks = readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    if (Number(thread) === pid) return [];
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    const mask = Number.parseInt(/^SigBlk:\s+[0-9a-f]{8}([0-9a-f]{8})$/m.exec(status)?.[1] ?? "", 16);
    return (mask & quit) === 0 ? [(mask & held) === 0 ? "none" : "some"] : [];
  });
  return [...new Set(masks)];
}

describe.skipIf(!hasRunner("binary"))("the executable (dist/spooky, ./scripts/build makes it)", () => {
  test("is replaced by what its path leads to by then, and says the new version", async () => {
    const folder = tempFolder("releases");
    const [built = ""] = runnerCommand("binary");
    for (const release of ["one", "two", "three"]) mkdirSync(join(folder, release));
    copyFileSync(built, join(folder, "one", "spooky"));
    await compileNext(join(folder, "two", "spooky"));
    linkSync(join(folder, "two", "spooky"), join(folder, "three", "spooky"));
    const current = join(folder, "current");
    symlinkSync("one", current);
    const path = join(folder, "control.sock");
    const pools = [{ prefix: "/", backends: [NOBODY] }];
    const text = proxyConfig({ pools, extra: { workers: 1, control: { socket: path } } }, await testCertificateFiles());
    const config = writeTemp(folder, "config.yaml", text);
    const child = startProcess({ command: ["current/spooky", "--config", config], cwd: folder });
    await logLine({ process: child }, { msg: "listening" });
    const ask = async (...args: readonly string[]): Promise<string> =>
      (await runProcess({ command: [built, ...args, "--control", path] })).stdout;
    expect(JSON.parse(await ask("status", "--json")).version).not.toBe("9.9.9");
    for (const [generation, release, ...named] of [
      [2, "two"],
      [3, "three", "--binary", join(folder, "three", "spooky")],
      [4, "two"],
    ] as const) {
      if (named.length === 0) {
        unlinkSync(current);
        symlinkSync(release, current);
      }
      expect(await ask("upgrade", ...named)).toContain(`version 9.9.9 runs as pid ${child.pid}`);
      expect(JSON.parse(await ask("status", "--json"))).toMatchObject({ version: "9.9.9", generation, pid: child.pid });
      // Hard links of one file: the kernel tells by which it was opened.
      expect(readlinkSync(`/proc/${child.pid}/exe`)).toBe(join(folder, release, "spooky"));
      expect(nameOf(child.pid)).toBe("spooky");
      await logLine({ process: child }, { msg: "crew is gone", generation: generation - 1 });
    }
    expect((await stoppedLine(child)).code).toBe(0);
  });
});

/** The same program with another version. */
async function compileNext(outfile: string): Promise<void> {
  const entry = join(import.meta.dir, "../../src/main.compiled.ts");
  const build = JSON.stringify({ version: "9.9.9", commit: "next", target: "test" });
  const options = ["--minify-syntax", "--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"];
  const defines = ["--define", `SPOOKY_BUILD=${build}`, `--outfile=${outfile}`];
  const command = [process.execPath, "build", "--compile", ...options, ...defines, entry];
  expect(await runProcess({ command })).toMatchObject({ code: 0 });
}

describe("a supervisor stays the program that it was", () => {
  test("when the new one fails its trial", async () => {
    const upgradable = await start(NOBODY);
    const program = wrapper('[ "$1" = takeover-trial ] && exit 7');
    const done = await upgradable.upgrade(program);
    expect(done.code).toBe(1);
    expect(done.stderr).toContain("generation 2 serves, but");
    expect(done.stderr).toContain("its trial ended with exit code 7");
    await logLine(upgradable.proxy, { msg: STAYS, reason: "its trial ended with exit code 7" });
    await goesOnWell(upgradable);
  });

  test("when the new one cannot be executed", async () => {
    const upgradable = await start(NOBODY);
    const program = wrapper('[ "$1" = takeover-trial ] && chmod 600 "$0"');
    await upgradable.upgrade(program);
    await logLine(upgradable.proxy, { msg: STAYS, reason: `the kernel does not execute ${program}` });
    chmodSync(program, 0o700);
    await goesOnWell(upgradable);
  });

  test("when the new one begins and cannot go on", async () => {
    const upgradable = await start(NOBODY);
    const bad = writeProgram(tempFolder("bad"), "bad.ts", BAD);
    await upgradable.upgrade(wrapper("", [process.execPath, bad]));
    await logLine(upgradable.proxy, { msg: WENT_BACK });
    await goesOnWell(upgradable);
  });
});

/** A build that finds out too late that it cannot go on. */
const BAD = `
const { on } = process;
process.on = function (name, listener) {
  if (name === "SIGCHLD") throw new Error("cannot have children");
  return on.call(this, name, listener);
};
const { main } = await import(${JSON.stringify(join(import.meta.dir, "../../src/main.ts"))});
await main(null);
`;

/** It restarts its workers and can be renewed. */
async function goesOnWell(upgradable: Upgradable): Promise<void> {
  const { proxy } = upgradable;
  await logLine(proxy, { msg: "crew is gone", generation: 1 });
  const victim = must(workersOf(proxy)["h3-worker-2"] ?? workersOf(proxy)["h3-worker-3"], "there is a worker");
  process.kill(victim, "SIGKILL");
  await logLine(proxy, { msg: "worker ended: started again", pid: victim, signal: "SIGKILL" });
  changeBoundKey(proxy);
  proxy.process.signal("SIGHUP");
  await logLine(proxy, { msg: "crew is gone", generation: 2 });
  expect(await upgradable.status()).toMatchObject({ pid: proxy.process.pid, generation: 3 });
  expect((await stoppedLine(proxy.process)).code).toBe(0);
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a new program", () => {
  test("that is killed as soon as it begins leaves workers that finish what runs, and the address free", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const { proxy, upgrade } = await start(backend.address);
    const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait" }, { do: "wait_closed" }] as const;
    const run = startAioquic({ port: proxy.port, connections: 4, steps });
    await backend.holding(4);
    void upgrade(wrapper('[ -n "$SPOOKY_HANDOVER" ] && kill -9 $$'));
    for (let worker = 0; worker < 4; worker++) await logLine(proxy, { msg: "draining", worker });
    backend.release();
    const statuses = (await run.connections).map(({ exchanges }) => exchanges[0]?.status);
    expect(statuses).toEqual([200, 200, 200, 200]);
    expect(await proxy.process.ended).toMatchObject({ signal: "SIGKILL" });
    const next = await startProxy({ port: proxy.port, pools: [{ prefix: "/", backends: [backend.address] }] });
    expect((await stoppedLine(next.process)).code).toBe(0);
  });
});
