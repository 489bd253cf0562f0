/** The running program as people ask it and tell it: by its commands and by signals, with a supervisor and without. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { TRIAL_COMMAND } from "../../src/cli/args.ts";
import { must } from "../../src/core/assert.ts";
import { AIOQUIC_MISSING, aioquicPython, runAioquic, startAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { waitUntil } from "../support/net.ts";
import { runProcess, startProcess } from "../support/process.ts";
import { defaultRunner, proxyConfig, type RunningProxy, runnerCommand, startProxy } from "../support/proxy.ts";
import { tempFolder, writeTemp } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { changeBoundKey, changeConfig, servesAnew, workersOf } from "./worker-proxies.ts";

const WORKERS = 2;
const CONNECTIONS = 8;
const NOBODY = "127.0.0.1:9";
const EXIT = { done: 0, refused: 1, nobody: 2 };

interface Status {
  readonly pid: number;
  readonly version: string;
  readonly generation: number;
  readonly notice: string | null;
  readonly config_path: string;
  readonly crews: readonly {
    readonly generation: number;
    readonly role: string;
    readonly workers: readonly {
      readonly slot: number;
      readonly pid: number | null;
      readonly phase: string;
      readonly connections: number;
    }[];
  }[];
  readonly counters: Readonly<Record<string, number>>;
  readonly histograms: Readonly<
    Record<
      string,
      { readonly count: number; readonly sum_ms: number; readonly buckets: readonly (readonly number[])[] }
    >
  >;
}

interface Asked {
  readonly proxy: RunningProxy;
  readonly path: string;
  /** Runs the command with the proxy's socket. */
  ask(...args: readonly string[]): ReturnType<typeof spooky>;
  status(): Promise<Status>;
}

function spooky(...args: readonly string[]): ReturnType<typeof runProcess> {
  return runProcess({ command: [...runnerCommand(defaultRunner()), ...args] });
}

async function start(supervisor: "auto" | "off", address = NOBODY, extra: object = {}): Promise<Asked> {
  const path = join(tempFolder("control"), "control.sock");
  const performance = { shutdown_drain_timeout_ms: 10_000, quic_max_idle_timeout_ms: 5000 };
  const proxy = await startProxy({
    pools: [{ prefix: "/", backends: [address] }],
    supervisor,
    extra: { workers: supervisor === "off" ? 1 : WORKERS, control: { socket: path }, performance, ...extra },
  });
  const ask = (...args: readonly string[]): ReturnType<typeof spooky> => spooky(...args, "--control", path);
  const status = async (): Promise<Status> => JSON.parse((await ask("status", "--json")).stdout);
  return { proxy, path, ask, status };
}

/** Requests over fresh connections; resolves when the program has counted them all. */
async function request({ proxy, status }: Asked, count: number, expected: number): Promise<Status> {
  const steps = [{ do: "request", path: "/small", count, concurrency: 2 }] as const;
  await runAioquic({ port: proxy.port, connections: CONNECTIONS, events: false, steps });
  for (;;) {
    const now = await status();
    if ((now.counters["requests_completed"] ?? 0) >= expected) return now;
  }
}

/** No count and no bucket of the later one is smaller. */
function expectGrown(before: Status, after: Status): void {
  for (const [name, count] of Object.entries(before.counters))
    expect({ name, count: after.counters[name] ?? 0 }).toEqual({
      name,
      count: Math.max(count, after.counters[name] ?? 0),
    });
  for (const [name, { buckets }] of Object.entries(before.histograms)) {
    const later = new Map(after.histograms[name]?.buckets.map(([border, count = 0]) => [border, count]));
    for (const [border, count = 0] of buckets) expect(later.get(border) ?? 0).toBeGreaterThanOrEqual(count);
  }
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a status", () => {
  test.each(["auto", "off"] as const)(
    "with `supervisor: %s` says who serves and what was counted",
    async (supervisor) => {
      const { address } = await startBackend({ protocol: "http1" });
      const asked = await start(supervisor, address);
      expect(statSync(asked.path).mode & 0o7777).toBe(0o600);
      const status = await request(asked, 5, CONNECTIONS * 5);
      expect(status).toMatchObject({
        pid: asked.proxy.process.pid,
        generation: 1,
        config_path: asked.proxy.configFile,
      });
      const [crew] = status.crews;
      expect(crew).toMatchObject({ generation: 1, role: "active" });
      expect(crew?.workers.map(({ phase }) => phase)).toEqual(
        supervisor === "off" ? ["serving"] : ["serving", "serving"],
      );
      if (supervisor === "auto")
        expect(new Set(crew?.workers.map(({ pid }) => pid))).toEqual(new Set(Object.values(workersOf(asked.proxy))));
      const requests = CONNECTIONS * 5;
      expect(status.counters).toMatchObject({ requests_completed: requests, connections_accepted: CONNECTIONS });
      const counts = Object.entries(status.histograms).map(([name, { count }]) => [name, count]);
      expect(Object.fromEntries(counts)).toMatchObject({
        request_ms: requests,
        upstream_head_ms: requests,
        first_byte_ms: requests,
        handshake_ms: CONNECTIONS,
      });
      for (const { count, sum_ms, buckets } of Object.values(status.histograms)) {
        expect(buckets.reduce((sum, [, inside = 0]) => sum + inside, 0)).toBe(count);
        expect(sum_ms).toBeGreaterThan(0);
      }
      const shown = await asked.ask("status");
      expect(shown.code).toBe(EXIT.done);
      expect(shown.stdout).toContain(`pid ${asked.proxy.process.pid}, generation 1`);
      expect(shown.stdout).toMatch(new RegExp(`^requests +${requests}$`, "m"));
      await stoppedLine(asked.proxy.process);
      expect(existsSync(asked.path)).toBeFalse();
    },
  );
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a count", () => {
  test("never goes back: not when a worker is killed, and not when others take over", async () => {
    const { address } = await startBackend({ protocol: "http1" });
    const asked = await start("auto", address);
    const first = await request(asked, 5, CONNECTIONS * 5);
    const victim = must(workersOf(asked.proxy)["h3-worker-0"], "there is a first worker");
    process.kill(victim, "SIGKILL");
    await servesAnew(asked.proxy, 0, victim);
    const second = await asked.status();
    expectGrown(first, second);
    expect(second.counters["worker_restarts"]).toBe(1);
    const third = await request(asked, 5, CONNECTIONS * 10);
    expectGrown(second, third);
    expect(third.counters["requests_completed"]).toBe(CONNECTIONS * 10);
    changeBoundKey(asked.proxy);
    expect((await asked.ask("reload")).code).toBe(EXIT.done);
    const fourth = await asked.status();
    expectGrown(third, fourth);
    expect(fourth.generation).toBe(2);
    const fifth = await request(asked, 5, CONNECTIONS * 15);
    expectGrown(fourth, fifth);
    await logLine(asked.proxy, { msg: "crew is gone", generation: 1 });
    // The supervisor goes on as another program, too.
    const upgraded = await asked.ask("upgrade");
    expect(upgraded).toMatchObject({ code: EXIT.done, stderr: "" });
    expect(upgraded.stdout).toContain(`runs as pid ${asked.proxy.process.pid}\n`);
    await logLine(asked.proxy, { msg: "the supervisor goes on as another program", generation: 3 });
    const sixth = await asked.status();
    expectGrown(fifth, sixth);
    expect(sixth).toMatchObject({ pid: asked.proxy.process.pid, generation: 3, notice: null });
    const seventh = await request(asked, 5, CONNECTIONS * 20);
    expectGrown(sixth, seventh);
    const requests = CONNECTIONS * 20;
    expect(seventh.counters).toMatchObject({ requests_completed: requests, renewals: 2, worker_restarts: 1 });
    expect(seventh.histograms["request_ms"]?.count).toBe(requests);
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a renewal", () => {
  test("that the configuration forbids is refused with its words, and all is as before", async () => {
    const asked = await start("auto");
    const text = readFileSync(asked.proxy.configFile, "utf8");
    writeFileSync(asked.proxy.configFile, text.replace('"workers": 2', '"workers": 2, "wrokers": 3'));
    const wrong = await asked.ask("reload");
    expect(wrong).toMatchObject({ code: EXIT.refused, stdout: "" });
    expect(wrong.stderr).toContain("wrokers");
    const other = JSON.stringify({ ...JSON.parse(text), control: { socket: `${asked.proxy.configFile}.sock` } });
    writeFileSync(asked.proxy.configFile, other);
    const moved = await asked.ask("reload");
    expect(moved.code).toBe(EXIT.refused);
    expect(moved.stderr).toContain("control.socket cannot be changed");
    expect((await asked.status()).generation).toBe(1);
    writeFileSync(asked.proxy.configFile, text);
    changeBoundKey(asked.proxy);
    const done = await asked.ask("reload");
    expect(done).toMatchObject({ code: EXIT.done, stderr: "" });
    expect(done.stdout).toContain("generation 2");
  });

  test("is refused while the crew before it has something to finish, and says how long that may take, or waits for that", async () => {
    const held = await startBackend({ protocol: "http1" });
    const asked = await start("auto", held.address);
    const steps = [{ do: "start", id: "held", path: "/hold" }, { do: "wait" }, { do: "close" }] as const;
    const run = startAioquic({ port: asked.proxy.port, connections: 1, steps });
    await held.holding(1);
    changeBoundKey(asked.proxy);
    expect((await asked.ask("reload")).code).toBe(EXIT.done);
    const roles = (await asked.status()).crews.map(({ generation, role }) => [generation, role]);
    expect(roles).toEqual([
      [1, "draining"],
      [2, "active"],
    ]);
    for (let held = 0; held !== 1;) {
      const [draining] = (await asked.status()).crews;
      held = draining?.workers.reduce((sum, { connections }) => sum + connections, 0) ?? 0;
    }
    const refused = await asked.ask("upgrade");
    expect(refused.code).toBe(EXIT.refused);
    expect(refused.stderr).toMatch(/generation 1 still finishes what it has, for \d+ s at most/);
    const command = [...runnerCommand(defaultRunner()), "upgrade", "--wait", "--control", asked.path];
    const waiting = startProcess({ command });
    await waiting.waitForLine((line) => line === "it waits: generation 1 still finishes what it has");
    expect((await asked.status()).generation).toBe(2);
    held.release();
    const [connection] = await run.connections;
    expect(connection?.exchanges[0]?.status).toBe(200);
    expect(await waiting.ended).toMatchObject({ code: EXIT.done });
    expect((await asked.status()).generation).toBe(3);
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "by signals", () => {
  test("renewals are done, and one opens the logs of all processes anew", async () => {
    const file = join(tempFolder("log"), "proxy.log");
    const { address } = await startBackend({ protocol: "http1" });
    const path = join(tempFolder("control"), "control.sock");
    const extra = { workers: WORKERS, control: { socket: path }, log: { level: "info", format: "json", file } };
    const pools = [{ prefix: "/", backends: [address] }];
    const text = proxyConfig({ pools, supervisor: "auto", extra }, await testCertificateFiles());
    const config = writeTemp(tempFolder("proxy"), "config.yaml", text);
    const child = startProcess({ command: [...runnerCommand(defaultRunner()), "--config", config] });
    await logged(file, '"msg":"listening"');
    const port = Number(/"address":"[^"]*:(\d+)"/.exec(linesOf(file, '"msg":"listening"')[0] ?? "")?.[1]);
    renameSync(file, `${file}.1`);
    child.signal("SIGUSR1");
    await waitUntil(() => existsSync(file));
    const status = async (): Promise<Status> =>
      JSON.parse((await spooky("status", "--json", "--control", path)).stdout);
    // All workers have been told by now; what they write from here on is in the new file once they have read it.
    for (const seen = new Set<string>(); seen.size < WORKERS;) {
      const steps = [{ do: "request", path: "/small" }] as const;
      await runAioquic({ port, connections: CONNECTIONS, events: false, steps });
      for (const line of linesOf(file, '"msg":"request"')) seen.add(/"worker":(\d)/.exec(line)?.[1] ?? "");
    }
    const before = readFileSync(`${file}.1`, "utf8").length;
    child.signal("SIGUSR2");
    await logged(file, '"msg":"crew is gone"');
    expect((await status()).generation).toBe(2);
    child.signal("SIGUSR2");
    await waitUntil(() => linesOf(file, '"msg":"crew is gone"').length === 2);
    expect((await status()).generation).toBe(3);
    expect(readFileSync(`${file}.1`, "utf8").length).toBe(before);
    expect((await child.stop()).code).toBe(0);
  });
});

describe("an upgrade", () => {
  test("whose workers serve and whose supervisor cannot follow says so, until one comes that can", async () => {
    const asked = await start("auto");
    const command = runnerCommand(defaultRunner()).map((word) => `'${word}'`);
    const script = `#!/bin/sh\n[ "$1" != ${TRIAL_COMMAND} ] || exit 7\nexec ${command.join(" ")} "$@"\n`;
    const program = writeTemp(tempFolder("program"), "spooky", script);
    chmodSync(program, 0o700);
    const half = await asked.ask("upgrade", "--binary", program);
    expect(half.code).toBe(EXIT.refused);
    expect(half.stderr).toContain("generation 2 serves, but the workers are those of the new program");
    expect(half.stderr).toContain("exit code 7");
    expect((await asked.status()).notice).toContain("the supervisor is not");
    expect((await asked.ask("status")).stdout).toContain("the supervisor is not");
    await logLine(asked.proxy, { msg: "crew is gone", generation: 1 });
    expect(await asked.ask("upgrade")).toMatchObject({ code: EXIT.done, stderr: "" });
    expect(await asked.status()).toMatchObject({ generation: 3, notice: null, pid: asked.proxy.process.pid });
  });

  test("to what is no program changes nothing", async () => {
    const asked = await start("auto");
    const folder = tempFolder("program");
    for (const [program, reason] of [
      [join(folder, "none"), "none"],
      [writeTemp(folder, "text", "no program"), "text"],
    ] as const) {
      const refused = await asked.ask("upgrade", "--binary", program);
      expect(refused.code).toBe(EXIT.refused);
      expect(refused.stderr).toContain(reason);
    }
    expect(await asked.status()).toMatchObject({ generation: 1, notice: null });
  });

  test("of or to what is a pipe is refused, for nobody may ever write into it", async () => {
    const asked = await start("auto");
    const pipe = join(tempFolder("program"), "pipe");
    expect((await runProcess({ command: ["mkfifo", pipe] })).code).toBe(0);
    const program = await asked.ask("upgrade", "--binary", pipe);
    expect(program).toMatchObject({ code: EXIT.refused });
    expect(program.stderr).toContain("is no file");
    renameSync(pipe, asked.proxy.configFile);
    const configuration = await asked.ask("reload");
    expect(configuration).toMatchObject({ code: EXIT.refused });
    expect(configuration.stderr).toContain("is no file");
    expect((await asked.status()).generation).toBe(1);
  });
});

test.each(["auto", "off"] as const)(
  "a control socket that was removed is made anew: supervisor %s",
  async (supervisor) => {
    const asked = await start(supervisor);
    const { path } = asked;
    for (const what of [path, dirname(path)]) {
      rmSync(what, { recursive: true });
      while (!existsSync(path)) await Bun.sleep(10);
      expect(await asked.status()).toMatchObject({ generation: 1 });
    }
    await logLine(asked.proxy, { msg: "the control socket was gone and is made anew", path });
    expect((await asked.proxy.stop()).code).toBe(0);
    expect(existsSync(path)).toBe(false);
  },
);

test.each([
  ["tls", "cert", "listen.tls, cert: check that"],
  ["tls", "key", "listen.tls, key: check that"],
  ["trust", "ca_file", "is no file"],
])(
  "a reload with a pipe or a device in %s as %s is refused at once, and nobody waits for it",
  async (where, key, said) => {
    const asked = await start("auto");
    const { configFile } = asked.proxy;
    const pipe = join(tempFolder("files"), "pipe");
    expect((await runProcess({ command: ["mkfifo", pipe] })).code).toBe(0);
    const good = readFileSync(configFile, "utf8");
    for (const path of [pipe, "/dev/zero"]) {
      const config = JSON.parse(good);
      (where === "tls" ? config.listen.tls : config.upstream_tls)[key] = path;
      writeFileSync(configFile, JSON.stringify(config));
      const refused = await asked.ask("reload");
      expect(refused.code).toBe(EXIT.refused);
      expect(refused.stderr).toContain(`${path} is no file`);
      expect(refused.stderr).toContain(said);
    }
    expect((await asked.status()).generation).toBe(1);
  },
);

describe("one process without a supervisor", () => {
  test("says why it cannot be upgraded, reloads where it is, and says what it cannot reload", async () => {
    const asked = await start("off");
    const refused = await asked.ask("upgrade");
    expect(refused.code).toBe(EXIT.refused);
    expect(refused.stderr).toContain("without a supervisor");
    expect(refused.stderr).toContain("supervisor: auto");
    expect(await asked.ask("reload")).toMatchObject({ code: EXIT.done });
    expect((await asked.ask("reload", "--rollback")).stderr).toContain("no configuration before this one is known");
    const good: { performance?: object } = JSON.parse(readFileSync(asked.proxy.configFile, "utf8"));
    changeBoundKey(asked.proxy);
    const bound = await asked.ask("reload");
    expect(bound.code).toBe(EXIT.refused);
    expect(bound.stderr).toContain("performance.quic_initial_window_packets cannot be changed");
    const performance = { ...good.performance, max_handshakes: 900 };
    changeConfig(asked.proxy, () => JSON.stringify({ ...good, performance }));
    expect((await asked.ask("reload")).stdout).toContain("generation 2 serves; in place: bounds on clients");
    expect((await asked.ask("reload", "--rollback")).stdout).toContain("back to the configuration of generation 1");
    expect((await asked.status()).generation).toBe(3);
    asked.proxy.process.signal("SIGUSR2");
    await logLine(asked.proxy, { msg: "asked for by a signal", signal: "SIGUSR2" });
    expect((await asked.ask("status")).code).toBe(EXIT.done);
  });

  test("opens its log anew", async () => {
    const file = join(tempFolder("log"), "proxy.log");
    const extra = { control: { socket: "off" }, log: { level: "info", format: "json", file } };
    const pools = [{ prefix: "/", backends: [NOBODY] }];
    const text = proxyConfig({ pools, supervisor: "off", extra }, await testCertificateFiles());
    const config = writeTemp(tempFolder("proxy"), "config.yaml", text);
    const child = startProcess({ command: [...runnerCommand(defaultRunner()), "--config", config] });
    await logged(file, '"msg":"listening"');
    renameSync(file, `${file}.1`);
    child.signal("SIGUSR1");
    await waitUntil(() => existsSync(file));
    expect((await child.stop()).code).toBe(0);
    expect(linesOf(file, '"msg":"stopped"')).toHaveLength(1);
    expect(linesOf(`${file}.1`, '"msg":"stopped"')).toEqual([]);
  });
});

describe("a program", () => {
  test("that is not there cannot be asked, be it named by its socket or by its configuration", async () => {
    const path = join(tempFolder("nobody"), "control.sock");
    const pools = [{ prefix: "/", backends: [NOBODY] }];
    const text = proxyConfig({ pools, extra: { control: { socket: path } } }, await testCertificateFiles());
    const config = writeTemp(tempFolder("proxy"), "config.yaml", text);
    for (const where of [
      ["--control", path],
      ["--config", config],
    ]) {
      const end = await spooky("reload", ...where);
      expect(end).toMatchObject({ code: EXIT.nobody, stdout: "" });
      expect(end.stderr).toContain(`nothing runs at ${path}`);
    }
    const without = writeTemp(tempFolder("proxy"), "config.yaml", text.replace(path, "off"));
    const off = await spooky("status", "--config", without);
    expect(off.code).toBe(EXIT.nobody);
    expect(off.stderr).toContain("SIGHUP");
  });

  test("is found by its configuration, and no other takes its socket", async () => {
    const asked = await start("auto");
    expect((await spooky("status", "--config", asked.proxy.configFile)).code).toBe(EXIT.done);
    const second = await spooky("--config", asked.proxy.configFile);
    expect(second.code).toBe(EXIT.nobody);
    expect(second.stderr).toContain(`${asked.path} is served by another program that runs`);
    expect((await asked.ask("status")).code).toBe(EXIT.done);
  });

  test("that was killed leaves its socket to the next one", async () => {
    const first = await start("off");
    await first.proxy.process.kill();
    expect(existsSync(first.path)).toBeTrue();
    const extra = { control: { socket: first.path } };
    await startProxy({ pools: [{ prefix: "/", backends: [NOBODY] }], supervisor: "off", extra });
    expect((await first.ask("status")).code).toBe(EXIT.done);
  });

  test("with `auto` says where its socket is", async () => {
    const folder = join(tempFolder("runtime"), "spooky");
    const proxy = await startProxy({
      pools: [{ prefix: "/", backends: [NOBODY] }],
      env: { RUNTIME_DIRECTORY: folder },
      extra: { control: { socket: "auto" } },
    });
    const path = join(folder, "control.sock");
    expect(await logLine(proxy, { msg: "control socket" })).toMatchObject({ path });
    expect(statSync(folder).mode & 0o7777).toBe(0o700);
    const end = await runProcess({
      command: [...runnerCommand(defaultRunner()), "status", "--config", proxy.configFile],
      env: { RUNTIME_DIRECTORY: folder },
    });
    expect(end.code).toBe(EXIT.done);
  });
});

function linesOf(file: string, mark: string): readonly string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.includes(mark));
}

function logged(file: string, mark: string): Promise<void> {
  return waitUntil(() => linesOf(file, mark).length > 0);
}

const OTHER_USER = 65_534;
const AS_OTHER = ["setpriv", `--reuid=${OTHER_USER}`, `--regid=${OTHER_USER}`, "--clear-groups"];
const BESIDE_LACK = lackOfOther();

/** Why nobody else can run the program here. */
function lackOfOther(): string | null {
  if (process.getuid?.() !== 0) return "another user's socket: only root can make one";
  if (Bun.which("setpriv") === null) return "another user's socket: there is no `setpriv`";
  const program = must(runnerCommand(defaultRunner()).at(-1), "a command has words");
  const { exitCode } = Bun.spawnSync([...AS_OTHER, "test", "-r", program]);
  return exitCode === 0 ? null : "another user's socket: nobody else can read this folder";
}

describe.skipIf(BESIDE_LACK !== null)(BESIDE_LACK ?? "beside a service of another user", () => {
  test("one's own program is found, and where there is none the other is named", async () => {
    const [service, own] = [tempFolder("service"), tempFolder("own")];
    writeTemp(service, "control.sock", "");
    const path = join(own, "spooky", "control.sock");
    mkdirSync(dirname(path));
    await startProxy({ pools: [{ prefix: "/", backends: [NOBODY] }], extra: { control: { socket: path } } });
    for (const place of [own, dirname(path), path]) chownSync(place, OTHER_USER, OTHER_USER);
    const ask = (runtimeFolder: string): ReturnType<typeof runProcess> =>
      runProcess({
        command: [...AS_OTHER, ...runnerCommand(defaultRunner()), "status"],
        env: { RUNTIME_DIRECTORY: service, XDG_RUNTIME_DIR: runtimeFolder, HOME: own },
      });
    expect(await ask(own)).toMatchObject({ code: EXIT.done, stdout: expect.stringMatching(/^spooky \S+, pid \d+/) });
    const nowhere = await ask(join(own, "none"));
    expect(nowhere).toMatchObject({ code: EXIT.refused });
    expect(nowhere.stderr).toContain(`${join(service, "control.sock")} is another user's`);
  });
});
