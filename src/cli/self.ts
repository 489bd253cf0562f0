/** What the process does about itself before it serves: its name, and the one setting that only counts at process start. */
import { readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { replaceProcess, setProcessName } from "../../ffi/process.ts";
import { openLibc } from "../../ffi/library.ts";
import { blockedSignals, blockSignals, type SignalName, unblockSignals } from "../../ffi/signal-mask.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** Bun's cap on requests that `fetch` runs at once is 256; it is read once, when the process starts. */
const REQUESTS_KEY = "BUN_CONFIG_MAX_HTTP_REQUESTS";
/** The largest that Bun takes. */
const REQUESTS_MAX = "65336";
/** The cap lifted, for programs that this one starts. */
const requestsEnvironment: Readonly<Record<string, string>> = { [REQUESTS_KEY]: REQUESTS_MAX };
const PROCESS_NAME = "spooky";
/** What only the process that the service manager has started is to know: its children would speak for it. */
const MANAGER_KEYS = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/** For programs that this one starts. */
export function childEnvironment(): Readonly<Record<string, string | undefined>> {
  const given = Object.entries(process.env).filter(([name]) => !MANAGER_KEYS.includes(name));
  return { ...requestsEnvironment, ...Object.fromEntries(given) };
}

/** Whether `fetch` is free of Bun's cap, or of any but what the operator has set. */
export function isCapLifted(runtime: Runtime, env: Readonly<Record<string, string | undefined>>): boolean {
  return runtime.name !== "bun" || env[REQUESTS_KEY] !== undefined;
}

/**
 * Names the process and lifts Bun's cap, by starting the same program once more in place (same pid, some 10 ms). Where the
 * kernel refuses that, the process goes on with the cap.
 *
 * `held` signals wait from then on while the program runs, and are let in when it waits (Bun does so: `epoll_pwait2` with an empty mask).
 * All threads have to have them in their masks for that, so they must be there before the program starts.
 */
export function prepareProcess(
  runtime: Runtime,
  env: Readonly<Record<string, string | undefined>>,
  held: readonly SignalName[] = [],
): void {
  const { foreign } = runtime;
  const libc = openLibc(foreign);
  setProcessName(foreign, libc, PROCESS_NAME);
  if (runtime.name !== "bun") return;
  const blocked = blockedSignals(foreign, libc);
  if (env[REQUESTS_KEY] !== undefined && held.every((name) => blocked.includes(name))) return;
  const self = readSelf();
  if (self === null) return;
  blockSignals(foreign, libc, held);
  const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  replaceProcess(runtime.foreign, libc, {
    path: self.path,
    args: self.args,
    env: { ...requestsEnvironment, ...Object.fromEntries(given) },
  });
  unblockSignals(foreign, libc, held);
}

/** For a process that serves alone, whose loop may sleep where nothing but a signal that is let in would wake it. */
export function letSignalsIn(runtime: Runtime, held: readonly SignalName[]): void {
  if (runtime.name === "bun") unblockSignals(runtime.foreign, openLibc(runtime.foreign), held);
}

/** The program and its arguments as the kernel has them; null without /proc. */
export function readSelf(): { readonly path: string; readonly args: readonly string[] } | null {
  try {
    const args = readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);
    return { path: readlinkSync("/proc/self/exe"), args };
  } catch {
    return null;
  }
}
