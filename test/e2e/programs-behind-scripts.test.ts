/** Programs that are started by something else than themselves, and what becomes of it: a script in between, a terminal around. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { testCertificateFiles } from "../support/certs.ts";
import { Mark } from "../support/marked-processes.ts";
import { runProcess } from "../support/process.ts";
import { proxyConfig, type RunningProxy, runnerCommand } from "../support/proxy.ts";
import { tempFolder, writeProgram, writeTemp } from "../support/temp.ts";
import { logLine, stoppedLine } from "./log-lines.ts";
import { startWorkers, workersOf } from "./worker-proxies.ts";

const NOBODY = "127.0.0.1:9";
const SOURCE = runnerCommand("source").join(" ");

interface Marked {
  readonly mark: Mark;
  readonly proxy: RunningProxy;
  /** What `spooky upgrade --binary` gives. */
  upgrade(binary: string): ReturnType<typeof runProcess>;
}

async function start(): Promise<Marked> {
  const mark = new Mark();
  const path = join(tempFolder("control"), "control.sock");
  const proxy = await startWorkers(2, NOBODY, { env: mark.env, extra: { workers: 2, control: { socket: path } } });
  const command = [...runnerCommand("source"), "upgrade", "--control", path, "--binary"];
  return { mark, proxy, upgrade: (binary) => runProcess({ command: [...command, binary] }) };
}

function script(text: string): string {
  return writeProgram(tempFolder("program"), "spooky", `#!/bin/sh\n${text}\n`);
}

/** Only the supervisor and the workers that it had are there; after its end nobody is. */
async function nobodyIsLeft({ mark, proxy }: Marked, workers: Record<string, number>): Promise<void> {
  const known = [proxy.process.pid, ...Object.values(workers)].map(String);
  await mark.only((process) => known.includes(must(process.split(" ")[0], "a process has a number")));
  expect(workersOf(proxy)).toEqual(workers);
  expect((await stoppedLine(proxy.process)).code).toBe(0);
  await mark.gone();
}

describe("a script", () => {
  test.each([
    ["runs the program without becoming it", `${SOURCE} "$@"`, "is another process than the one that was started"],
    ["says nonsense and waits for something else", "echo hello >&4; sleep 600", "says what nobody understands"],
    ["ends and leaves something behind", "sleep 600 & exit 3", "ended with exit code 3 before it served"],
  ])("that %s is no program to upgrade to, and nothing of it is left", async (_, text, reason) => {
    const marked = await start();
    const workers = workersOf(marked.proxy);
    const done = await marked.upgrade(script(text));
    expect(done.code).toBe(1);
    expect(done.stderr).toContain(reason);
    if (reason.includes("another process")) expect(done.stderr).toContain("write exec before");
    await nobodyIsLeft(marked, workers);
  });

  test("that becomes the program only as a worker leaves the supervisor as it is", async () => {
    const marked = await start();
    const done = await marked.upgrade(script(`[ "$1" = worker ] && exec ${SOURCE} "$@"\n${SOURCE} "$@"`));
    expect(done.code).toBe(1);
    expect(done.stderr).toContain("its trial was another process: a script that runs the program has to become it");
    await logLine(marked.proxy, { msg: "crew is gone", generation: 1 });
    await nobodyIsLeft(marked, workersOf(marked.proxy));
  });

  test("that lets signals in before it becomes the program does not make it forget what it goes on from", async () => {
    const marked = await start();
    const clear =
      "import os, signal, sys; signal.pthread_sigmask(signal.SIG_SETMASK, []); os.execv(sys.argv[1], sys.argv[1:])";
    const done = await marked.upgrade(script(`exec python3 -c '${clear}' ${SOURCE} "$@"`));
    expect(done).toMatchObject({ code: 0 });
    await logLine(marked.proxy, { msg: "crew is gone", generation: 1 });
    await nobodyIsLeft(marked, workersOf(marked.proxy));
  });

  test("that hangs in its trial ends with the program", async () => {
    const marked = await start();
    void marked.upgrade(script(`[ "$1" = takeover-trial ] && sleep 600\nexec ${SOURCE} "$@"`));
    await logLine(marked.proxy, { msg: "crew is gone", generation: 1 });
    while (!marked.mark.processes.some((process) => process.endsWith(" sleep"))) await Bun.sleep(10);
    expect((await stoppedLine(marked.proxy.process)).code).toBe(0);
    await marked.mark.gone();
  });
});

/** Of a process's status (proc(5)): the group, and the session. */
function groupOf(pid: number): { readonly group: number; readonly session: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [, , group = "", session = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { group: Number(group), session: Number(session) };
}

test("an interrupt from a terminal reaches the supervisor alone, which stops in order", async () => {
  const mark = new Mark();
  const pools = [{ prefix: "/", backends: [NOBODY] }];
  const text = proxyConfig({ pools, extra: { workers: 2 } }, await testCertificateFiles());
  const config = writeTemp(tempFolder("terminal"), "config.yaml", text);
  const heard = Promise.withResolvers<void>();
  const decoder = new TextDecoder();
  let said = "";
  const child = Bun.spawn([...runnerCommand("source"), "--config", config], {
    env: { ...process.env, ...mark.env },
    terminal: {
      data(_, bytes) {
        said += decoder.decode(bytes, { stream: true });
        if (said.includes('"listening"')) heard.resolve();
      },
    },
  });
  await heard.promise;
  const own = groupOf(child.pid);
  const workers = mark.processes
    .filter((process) => process.includes("h3-worker-"))
    .map((process) => parseInt(process));
  expect(workers).toHaveLength(2);
  for (const pid of workers) {
    expect(groupOf(pid)).toEqual({ group: pid, session: pid });
    expect(own.session).not.toBe(pid);
  }
  child.terminal?.write("\u0003");
  expect(await child.exited).toBe(0);
  expect(said).toContain('"draining"');
  expect(said).toContain('"native_handles":0');
  await mark.gone();
});
