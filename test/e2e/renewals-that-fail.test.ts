/** Renewals that cannot be: whoever served before serves on, and no client feels that anything was tried. */
import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, readlinkSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AIOQUIC_MISSING, aioquicPython } from "../interop/aioquic.ts";
import { startAioquicLoad } from "../interop/aioquic-load.ts";
import { startBackend } from "../support/backends.ts";
import { binaryPath, hasRunner } from "../support/proxy.ts";
import { tempFolder } from "../support/temp.ts";
import { expectNoLoss, TIMES, USERS } from "./renewal-loads.ts";
import { changeConfig, notRenewed, renewed, startWorkers, workersOf } from "./worker-proxies.ts";

/** What may lie there instead of a program that works, and what is said of it. */
const BAD_PROGRAMS = [
  ["crashes", "kill -SEGV $$", "ended by SIGSEGV before it served"],
  ["ends", "exit 3", "ended with exit code 3 before it served"],
  ["babbles", "echo hello >&4; exec sleep 60", "says what nobody understands"],
  // What a program of another age would say.
  ["is old", `echo '{"v":1,"type":"ready"}' >&4; exec sleep 60`, "says what nobody understands"],
] as const;

/** A folder of installed versions, as packages lay them out: `current` is the one that counts. */
class Installed {
  readonly #folder = tempFolder("renewals");

  /** The program to start, whatever it is now. */
  get path(): string {
    return join(this.#folder, "current", "spooky");
  }

  pathOf(version: string): string {
    return join(this.#folder, version, "spooky");
  }

  /** The built executable. */
  real(version: string): void {
    this.#install(version, (path) => copyFileSync(binaryPath(), path));
  }

  /** Something else in its place. */
  script(version: string, text: string): void {
    this.#install(version, (path) => writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 }));
  }

  nothing(version: string): void {
    this.#install(version, () => undefined);
  }

  #install(version: string, make: (path: string) => void): void {
    const current = join(this.#folder, "current");
    mkdirSync(join(this.#folder, version));
    make(this.pathOf(version));
    symlinkSync(version, `${current}.new`);
    renameSync(`${current}.new`, current);
  }
}

describe.skipIf(aioquicPython === null)(aioquicPython === null ? AIOQUIC_MISSING : "a renewal that cannot be", () => {
  test("for a mistake in the configuration, or a file that is not there, leaves all as it is", async () => {
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address, { extra: { workers: 2, performance: TIMES } });
    const load = startAioquicLoad({ port: proxy.port, path: "/small", users: USERS, requests_per_connection: 20 });
    await load.more(100);
    const workers = workersOf(proxy);
    const good = readFileSync(proxy.configFile, "utf8");
    const mistakes = [
      [good.replace('"upstream"', '"upstraem"'), "unknown key"],
      ["", "upstream"],
      [good.replace('"cert": "', '"cert": "/nowhere'), "/nowhere"],
      [good.replace('"socket": "off"', '"socket": "auto"'), "control.socket cannot be changed while the program runs"],
      [good.replace('"workers": 2', '"workers": 32'), "more than this program has sockets for"],
    ] as const;
    for (const [text, reason] of mistakes) {
      changeConfig(proxy, () => text);
      expect(await notRenewed(proxy, "SIGHUP")).toContain(reason);
    }
    await load.more(100);
    expect(workersOf(proxy)).toEqual(workers);
    changeConfig(proxy, () => good);
    await renewed(proxy, "SIGHUP");
    await load.more(100);
    await expectNoLoss(load, proxy);
  });

  test.skipIf(!hasRunner("binary"))("for what is installed now leaves all as it is, until that is mended", async () => {
    const installed = new Installed();
    installed.real("1");
    const backend = await startBackend({ protocol: "http1" });
    const proxy = await startWorkers(2, backend.address, {
      command: [installed.path],
      extra: { workers: 2, performance: TIMES },
    });
    const load = startAioquicLoad({ port: proxy.port, path: "/small", users: USERS, requests_per_connection: 20 });
    await load.more(100);
    const workers = workersOf(proxy);
    for (const [name, text, reason] of BAD_PROGRAMS) {
      installed.script(name, text);
      expect(await notRenewed(proxy, "SIGUSR2")).toContain(reason);
    }
    installed.nothing("empty");
    expect(await notRenewed(proxy, "SIGUSR2")).toContain("the program cannot be run");
    await load.more(100);
    expect(workersOf(proxy)).toEqual(workers);
    installed.real("2");
    await renewed(proxy, "SIGUSR2");
    for (const pid of Object.values(workersOf(proxy)).filter((pid) => !Object.values(workers).includes(pid)))
      expect(readlinkSync(`/proc/${pid}/exe`)).toBe(installed.pathOf("2"));
    await load.more(100);
    await expectNoLoss(load, proxy);
  });
});
