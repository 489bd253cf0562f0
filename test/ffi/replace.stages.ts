/** What `replace.child.ts` does before, between and after its two executions. */
import { readFileSync, readlinkSync, readSync, writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { reapChild } from "../../ffi/children.ts";
import { isKeptOnExec, keepOnExec, openMemoryFile } from "../../ffi/descriptors.ts";
import { bunForeign } from "../../ffi/open.bun.ts";
import { replaceProcess } from "../../ffi/process.ts";
import { blockedSignals, blockSignals } from "../../ffi/signal-mask.ts";
import { AdoptedChildren } from "../../src/runtime/adopted-children.ts";
import { bunProcesses } from "../../src/runtime/bun-processes.ts";
import { killLeftBehind, killWithGroup } from "../../src/runtime/process-group.ts";
import { openTestLibrary } from "../support/native.ts";

const [, script = "", , ...numbers] = process.argv;
const library = openTestLibrary();
const MEMORY = "é".repeat(100_000);

/** Runs one stage; the first two end in the next one. */
export async function runStage(stage: string, heard: readonly string[]): Promise<void> {
  switch (stage) {
    case "first":
      blockSignals(bunForeign, library.libc, ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTERM"]);
      return execute("second");
    case "second":
      return second();
    case "third":
      return third(heard);
    default:
      return say({ mask: blockedSignals(bunForeign, library.libc) });
  }
}

function second(): void {
  const kept = openMemoryFile(library.libc, "kept", new TextEncoder().encode(MEMORY));
  const closed = openMemoryFile(library.libc, "closed", new Uint8Array(1));
  keepOnExec(library.libc, kept, true);
  keepOnExec(library.libc, closed, true);
  keepOnExec(library.libc, closed, false);
  const start = (text: string): number => Bun.spawn(["/bin/sh", "-c", text]).pid;
  const children = [start("exit 7"), start("kill -9 $$"), start("exec sleep 100")];
  const env = process.env;
  const clean = bunProcesses.spawn({ program: null, args: ["mask"], name: "mask", env, descriptors: [] });
  say({ pid: process.pid, children, mask: blockedSignals(bunForeign, library.libc) });
  waitForParent();
  execute("third", kept, closed, clean.pid, ...children);
}

async function third(heard: readonly string[]): Promise<void> {
  const [kept = -1, closed = -1, ...children] = numbers.map(Number);
  const adopted = new AdoptedChildren({
    reap: (pid) => reapChild(library, pid),
    kill: killWithGroup,
    killLeftBehind,
  });
  process.on("SIGCHLD", () => adopted.look());
  const all = children.map((pid) => adopted.adopt(pid));
  const before = readFileSync(`/proc/self/fd/${kept}`, "utf8") === MEMORY;
  const open = [kept, closed].map((fd) => isKeptOnExec(library.libc, fd) !== null);
  keepOnExec(library.libc, kept, false);
  while (heard.length < 4) await setTimeout(1);
  all.at(-1)?.kill();
  const ends = await Promise.all(all.map(({ ended }) => ended));
  const again = children.map((pid) => reapChild(library, pid));
  const keptAfter = isKeptOnExec(library.libc, kept);
  say({ pid: process.pid, heard: heard.toSorted(), before, open, keptAfter, ends, again });
  process.exit(0);
}

function say(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}

/** Lets nobody in: what the parent sends meanwhile has to wait. */
function waitForParent(): void {
  readSync(0, new Uint8Array(1));
}

function execute(...args: readonly (string | number)[]): void {
  const given = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const path = readlinkSync("/proc/self/exe");
  const all = [path, script, ...args.map(String)];
  replaceProcess(bunForeign, library.libc, { path, args: all, env: Object.fromEntries(given) });
}
