/**
 * The program's entry, and the only place that ends the process. It loads nothing until signals have somebody to hear them: the runtime
 * lets signals in whenever it waits for something, which it does between loading two modules from source.
 */
import process from "node:process";
import type { EarlySignals } from "./cli/early-signals.ts";

const early = hearSignals(process.env["SPOOKY_HANDOVER"] !== undefined);

/** Runs the program. `embedded` is the path of the native library inside the executable; null when run from source. */
export async function main(embedded: string | null): Promise<never> {
  const { run } = await import("./cli/run.ts");
  process.exit(await run(embedded, early));
}

/** Those that a supervisor acts on. `now`: they may have been sent already, to the program in whose place this one runs. */
function hearSignals(now: boolean): EarlySignals {
  const heard: string[] = [];
  const hear = (name: string): void => void heard.push(name);
  const names = ["SIGHUP", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGTERM"] as const;
  if (now) for (const name of names) process.on(name, hear);
  return {
    inherits: now,
    names,
    release() {
      for (const name of names) process.off(name, hear);
      for (const name of heard.splice(0)) process.kill(process.pid, name);
    },
  };
}

if (import.meta.main) await main(null);
