/** The program: arguments to a command to an exit code. The only place that ends the process. */
import process from "node:process";
import { HELP, parseArgs } from "./cli/args.ts";
import { type CommandContext, EXIT, explain, runCheck, runVersion } from "./cli/commands.ts";
import { runServe } from "./cli/supervise.ts";
import { writeNow } from "./observe/sink.ts";
import { selectRuntime } from "./runtime/select.ts";

/** Runs the program. `embedded` is the path of the native library inside the executable; null when run from source. */
export async function main(embedded: string | null): Promise<never> {
  process.on("uncaughtException", (thrown) => {
    writeNow(2, explain(thrown).text);
    process.exit(EXIT.failure);
  });
  let code: number;
  try {
    code = await run({ runtime: await selectRuntime(), embedded });
  } catch (thrown) {
    const { text, code: exitCode } = explain(thrown);
    writeNow(2, text);
    code = exitCode;
  }
  process.exit(code);
}

async function run(context: CommandContext): Promise<number> {
  const command = parseArgs(process.argv.slice(2));
  switch (command.kind) {
    case "help":
      writeNow(1, HELP);
      return EXIT.ok;
    case "usage-error":
      writeNow(2, `spooky: ${command.message}\n`);
      return EXIT.usage;
    case "version":
      return runVersion(context);
    case "check":
      return runCheck(command.configPath, context);
    case "serve":
      return runServe(command.configPath, context);
    case "worker":
      return (await import("./cli/worker.ts")).runWorker(context);
    case "demo":
      // Loaded only here: it brings the certificate writer and the demo's backends.
      return (await import("./cli/demo.ts")).runDemo(command.port, context);
  }
}

if (import.meta.main) await main(null);
