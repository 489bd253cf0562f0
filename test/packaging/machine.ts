/** A small Debian that runs a systemd of its own, in namespaces of its own: where a unit is started as it will be. */
import { afterAll } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, rmdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { must } from "../../src/core/assert.ts";
import type { NetworkPlace } from "../support/netns.ts";
import { waitUntil } from "../support/net.ts";
import { type RunningProcess, runProcess, startProcess } from "../support/process.ts";

/** What a command in the machine gave. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A machine that runs. It ends with the file that booted it. */
export interface Machine {
  /** Its network, for clients and backends of the test's own. */
  readonly network: NetworkPlace;
  /** Puts a command in there, in all its namespaces, as root. */
  command(...command: readonly string[]): readonly string[];
  /** Runs one. */
  run(...command: readonly string[]): Promise<Ran>;
  /** The same, which must end with 0; its output. */
  ran(...command: readonly string[]): Promise<string>;
  /** Starts one and does not wait. */
  start(...command: readonly string[]): RunningProcess;
  /** A file of it as this process sees it. */
  path(path: string): string;
  write(path: string, text: string, mode?: number): void;
  read(path: string): string;
  copy(from: string, to: string): void;
  /** A program of this machine among its processes and in its network; its root is the folder `place` there. */
  beside(command: readonly string[]): readonly string[];
  readonly place: string;
}

/** Its root, or null where `scripts/systemd-root.sh` has made none. */
export const machineRoot: string | null = findRoot();

/** Why tests with a machine are skipped; null when they are not. */
export const MACHINE_MISSING: string | null = whyMissing();

function findRoot(): string | null {
  const { SPOOKY_TEST_SYSTEMD_ROOT: named, XDG_CACHE_HOME: cache } = process.env;
  const path = named || join(cache || join(homedir(), ".cache"), "spooky", "systemd-root");
  return existsSync(path) ? realpathSync(path) : null;
}

function whyMissing(): string | null {
  if (process.getuid?.() !== 0) return "systemd in a root of its own: only root can boot one";
  if (machineRoot === null) return "systemd in a root of its own: there is none (scripts/systemd-root.sh makes it)";
  return Bun.which("systemd-nspawn") === null ? "systemd in a root of its own: no systemd-nspawn" : null;
}

/** Boots one and waits until all that it starts has started. */
export async function bootMachine(): Promise<Machine> {
  const name = `spooky-test-${process.pid}`;
  const root = must(machineRoot, "a root has been made");
  const outer = startProcess({ command: ["sh", join(import.meta.dir, "boot.sh"), name, root] });
  afterAll(async () => {
    // The kernel ends a namespace of processes with its first one.
    await outer.kill();
    await waitUntil(() => removeGroups(name));
  });
  const first = await firstProcess(outer.pid);
  const command = (...parts: readonly string[]) => [
    ...[
      "nsenter",
      `--target=${first}`,
      "--mount",
      "--uts",
      "--ipc",
      "--net",
      "--pid",
      "--cgroup",
      "--root",
      "--wd",
      "--",
    ],
    ...parts,
  ];
  const path = (inside: string) => join(`/proc/${first}/root`, inside);
  const run = (...parts: readonly string[]) => runProcess({ command: command(...parts), cwd: "/" });
  // There is nobody to ask before its bus is there.
  await waitUntil(async () =>
    /^(running|degraded)$/.test((await run("systemctl", "is-system-running", "--wait")).stdout),
  );
  return {
    network: { command: (parts) => ["nsenter", `--net=/proc/${first}/ns/net`, "--", ...parts] },
    ...{ run, path, command },
    ran: async (...parts) => {
      const { code, stdout, stderr } = await run(...parts);
      if (code !== 0) throw new Error(`${parts.join(" ")}: exit code ${code}\n${stdout}\n${stderr}`);
      return stdout;
    },
    start: (...parts) => startProcess({ command: command(...parts), cwd: "/" }),
    write: (to, text, mode = 0o644) => {
      mkdirSync(dirname(path(to)), { recursive: true });
      writeFileSync(path(to), text, { mode });
    },
    read: (from) => readFileSync(path(from), "utf8"),
    copy: (from, to) => copyFileSync(from, path(to)),
    beside: (parts) => ["nsenter", `--target=${first}`, "--uts", "--ipc", "--net", "--pid", "--cgroup", "--", ...parts],
    place: path("/"),
  };
}

/** The number, out here, of the first process in there: the descendant that is called systemd. Each of those in between has one child. */
async function firstProcess(outer: number): Promise<number> {
  let found = outer;
  await waitUntil(() => {
    for (found = outer; found > 0 && nameOf(found) !== "systemd";) found = childOf(found);
    return found > 0;
  });
  return found;
}

/** 0 without one. */
function childOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")[0]);
  } catch {
    // It has ended.
    return 0;
  }
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

/** True when none is left. A group can be removed once nobody is in it. */
function removeGroups(name: string): boolean {
  const tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"].map((top) => join(top, name));
  const left = tops.filter((top) => existsSync(top));
  for (const top of left) {
    const { stdout } = Bun.spawnSync(["find", top, "-depth", "-type", "d"]);
    for (const folder of stdout.toString().trim().split("\n")) {
      try {
        rmdirSync(folder);
      } catch {
        // Somebody is in it still, or it is gone.
      }
    }
  }
  return left.every((top) => !existsSync(top));
}
