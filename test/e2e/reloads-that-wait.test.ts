/** Reloads beside other changes of a program: while former workers finish, while an upgrade replaces it, and after that. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AIOQUIC_MISSING, aioquicPython, startAioquic } from "../interop/aioquic.ts";
import { startBackend } from "../support/backends.ts";
import { runProcess, startProcess } from "../support/process.ts";
import { type RunningProxy, runnerCommand } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { gone, TIMES } from "./renewal-loads.ts";
import { edit, get, reload } from "./reloads.ts";
import { changeBoundKey, startWorkers } from "./worker-proxies.ts";

const GOES_ON = "the supervisor goes on as another program";

interface Asked {
  readonly proxy: RunningProxy;
  /** The command that asks it. */
  readonly command: (...args: readonly string[]) => readonly string[];
}

async function start(backend: { readonly address: string }, prefix = "/one"): Promise<Asked> {
  const socket = join(tempFolder("control"), "control.sock");
  const proxy = await startWorkers(1, backend.address, {
    pools: [{ prefix, backends: [backend.address] }],
    extra: { workers: 1, performance: TIMES, control: { socket, watch: "off" } },
  });
  const command = (...args: readonly string[]): readonly string[] => [
    ...[...runnerCommand("source"), "reload", "--config", proxy.configFile],
    ...args,
  ];
  return { proxy, command };
}

/** Another path that is served instead. */
function serve({ configFile }: RunningProxy, from: string, to: string): void {
  writeFileSync(configFile, readFileSync(configFile, "utf8").replaceAll(from, to));
}

async function served(proxy: RunningProxy): Promise<readonly string[]> {
  const paths = ["/one", "/two", "/three"];
  const answers = await Promise.all(paths.map((path) => get(proxy, `${path}/small`)));
  return paths.filter((_, i) => answers[i] === 200);
}

const backendOf = () => startBackend({ protocol: "http1" });

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a rollback", () => {
  test("goes back step by step, after an upgrade of the program too", async () => {
    const { proxy, command } = await start(await backendOf());
    serve(proxy, "/one", "/two");
    await reload(proxy);
    serve(proxy, "/two", "/three");
    await reload(proxy);
    expect(await served(proxy)).toEqual(["/three"]);
    proxy.process.signal("SIGUSR2");
    await logLine(proxy, { msg: GOES_ON, generation: 4 });
    await gone(proxy, 3);
    for (const path of ["/two", "/one"]) {
      const rollback = await runProcess({ command: command("--rollback") });
      expect(rollback).toMatchObject({ code: 0, stdout: expect.stringContaining("back to the configuration of") });
      expect(await served(proxy)).toEqual([path]);
    }
    const last = await runProcess({ command: command("--rollback") });
    expect(last).toMatchObject({ code: 1, stderr: "spooky: no configuration before this one is known" });
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });
});

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a reload", () => {
  test("that waits when an upgrade replaces the program is done by the next one, which the command asks again", async () => {
    const { proxy, command } = await start(await backendOf());
    proxy.process.signal("SIGUSR2");
    await logLine(proxy, { msg: "crew starts", generation: 2 });
    serve(proxy, "/one", "/two");
    proxy.process.signal("SIGHUP");
    const asking = startProcess({ command: command() });
    await logLine(proxy, { msg: GOES_ON, generation: 2 });
    await logLine(proxy, { msg: "asked for before the program was replaced", what: "reload" });
    await logLine(proxy, { msg: "reload done", how: "in_place", generation: 3 });
    expect((await asking.ended).code).toBe(0);
    expect(asking.stdout.join()).toContain("done: generation 3 serves");
    expect(await served(proxy)).toEqual(["/two"]);
    await gone(proxy, 1);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });

  test("that needs new workers while others finish says so, and is done when these are gone", async () => {
    const backend = await backendOf();
    const { proxy, command } = await start(backend, "/");
    const steps = [{ do: "start", id: "h", path: "/hold" }, { do: "wait" }] as const;
    const held = startAioquic({ port: proxy.port, steps });
    await backend.holding(1);
    changeBoundKey(proxy);
    await reload(proxy);
    changeBoundKey(proxy);
    const asking = startProcess({ command: command() });
    await asking.waitForLine((line) => line.startsWith("it waits: generation 1 still finishes what it has, for "));
    backend.release();
    expect((await held.connections)[0]?.exchanges).toMatchObject([{ status: 200 }]);
    expect((await asking.ended).code).toBe(0);
    expect(asking.stdout.at(-1)).toMatch(/^done: generation 3 serves; by new workers: /);
    expect(await stoppedLine(proxy.process)).toMatchObject({ code: 0, native_handles: 0 });
  });

  test("that waits when the program is told to stop is refused, and the program ends as ever", async () => {
    const backend = await backendOf();
    const { proxy, command } = await start(backend, "/");
    const steps = [{ do: "start", id: "h", path: "/hold" }, { do: "wait" }] as const;
    const held = startAioquic({ port: proxy.port, steps });
    await backend.holding(1);
    changeBoundKey(proxy);
    await reload(proxy);
    changeBoundKey(proxy);
    const asking = startProcess({ command: command() });
    await asking.waitForLine((line) => line.startsWith("it waits: generation 1 still finishes what it has, for "));
    const stopped = stoppedLine(proxy.process);
    await logLine(proxy, { msg: "draining" });
    backend.release();
    expect((await held.connections)[0]?.exchanges).toMatchObject([{ status: 200 }]);
    expect(await stopped).toMatchObject({ code: 0, native_handles: 0 });
    expect((await asking.ended).code).toBe(1);
  });

  test("of a file that is wrong is refused by the program, which the command finds all the same; code 2 without one", async () => {
    const { proxy, command } = await start(await backendOf());
    edit(proxy, (document) => Object.assign(document, { nonsense: 1 }));
    const refused = await runProcess({ command: command() });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("nonsense") });
    await proxy.process.stop();
    const nobody = await runProcess({ command: command() });
    expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining("nothing runs at ") });
  });
});
