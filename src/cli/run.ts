/** The program: arguments to a command to an exit code. */
import process from "node:process";
import { writeNow } from "../observe/sink.ts";
import { selectRuntime } from "../runtime/select.ts";
import { HELP, parseArgs } from "./args.ts";
import { type CommandContext, EXIT, explain } from "./command.ts";
import type { EarlySignals } from "./early-signals.ts";
import { prepareProcess } from "./self.ts";

/** Runs the program to its exit code. `embedded` is the path of the native library inside the executable; null when run from source. */
export async function run(embedded: string | null, early: EarlySignals): Promise<number> {
  process.on("uncaughtException", (thrown) => {
    writeNow(2, explain(thrown).text);
    process.exit(EXIT.failure);
  });
  try {
    return await runCommand({ runtime: await selectRuntime(), embedded, early });
  } catch (thrown) {
    const { text, code } = explain(thrown);
    writeNow(2, text);
    return code;
  }
}

/**
 * Loads what serves only after the program was started in place: whoever takes over loads it all again. A program that has taken another's
 * place has descriptors to keep meanwhile, and sees to that itself.
 */
async function serve(configPath: string, context: CommandContext): Promise<number> {
  if (!context.early.inherits) prepareProcess(context.runtime, process.env, context.early.names);
  return (await import("./supervise.ts")).runServe(configPath, context);
}

/** Each command loads its own part of the program: half of the time that a start takes is for loading. */
async function runCommand(context: CommandContext): Promise<number> {
  const command = parseArgs(process.argv.slice(2));
  switch (command.kind) {
    case "help":
      writeNow(1, HELP);
      return EXIT.ok;
    case "usage-error":
      writeNow(2, `spooky: ${command.message}\n`);
      return EXIT.usage;
    case "version":
      return (await import("./version.ts")).runVersion(context);
    case "check":
      return (await import("./check.ts")).runCheck(command, context);
    case "serve":
      return serve(command.configPath, context);
    case "upgrade":
    case "reload":
    case "status":
      return (await import("./control-commands.ts")).runControl(command);
    case "healthcheck":
      return (await import("./healthcheck.ts")).runHealthcheck(command);
    case "worker":
      return (await import("./worker.ts")).runWorker(context);
    case "trial":
      return (await import("./trial.ts")).runTrial(context);
    case "demo":
      // Loaded only here: it brings the certificate writer and the demo's backends.
      return (await import("./demo.ts")).runDemo(command.port, context);
  }
}
