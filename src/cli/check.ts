/** `spooky check`: all that can be found wrong before a start, in one go. */
import process from "node:process";
import { isGiven, nodeAt, type PathSegment } from "../config/document.ts";
import { loadConfig } from "../config/load.ts";
import { parseYaml } from "../config/parse.ts";
import { ProblemList } from "../config/problem.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { controlPlaces } from "../control/control-place.ts";
import { checkAddresses } from "../control/preflight/addresses.ts";
import { checkBackends, withChecks } from "../control/preflight/backends.ts";
import { checkCertificates } from "../control/preflight/certificates.ts";
import { checkFiles } from "../control/preflight/files.ts";
import { Findings, numbered } from "../control/preflight/finding.ts";
import { checkRoutes } from "../control/preflight/routes.ts";
import { checkSystem } from "../control/preflight/system.ts";
import { Counters } from "../core/counters.ts";
import { ProxyError } from "../core/error.ts";
import { writeNow } from "../observe/sink.ts";
import { openLibrary } from "../../ffi/library.ts";
import { type CheckCommand, DEFAULT_CONFIG_PATH } from "./args.ts";
import { type CheckedFile, reportJson, reportText } from "./check-text.ts";
import { type CommandContext, EXIT } from "./command.ts";
import { parseConfiguration, readText } from "./configuration.ts";
import { libraryPlaces } from "./places.ts";
import { makeTransports } from "./server-parts.ts";
import { warningsOf } from "./warnings.ts";

/** Resolves to the exit code. Throws `CONFIG_UNREADABLE` and, but with `--json`, `CONFIG_INVALID`. */
export async function runCheck(command: CheckCommand, context: CommandContext): Promise<number> {
  const { configPath, json, strict } = command;
  const text = readText(configPath);
  const findings = new Findings();
  const result = loadConfig(text, configPath);
  if (!("snapshot" in result)) {
    // People get what a start would say.
    if (!json) parseConfiguration(configPath, text);
    writeNow(1, reportJson(configPath, null, findings, "problems" in result ? result.problems : []));
    return EXIT.usage;
  }
  const file = { path: configPath, root: parseYaml(text, new ProblemList(configPath)) };
  await checkAll(result.snapshot, file, command, context, findings);
  if (json) writeNow(1, reportJson(configPath, file.root, findings));
  else writeNow(1, reportText(file, findings, process.stdout.isTTY === true) + summaryOf(configPath, findings));
  if (findings.count("error") > 0) return EXIT.usage;
  return strict && findings.count("warning") > 0 ? EXIT.failure : EXIT.ok;
}

async function checkAll(
  snapshot: Snapshot,
  file: CheckedFile,
  { configPath, offline }: CheckCommand,
  { runtime, embedded }: CommandContext,
  found: Findings,
): Promise<void> {
  const backends = snapshot.pools.reduce((sum, pool) => sum + pool.backends.length, 0);
  found.ok("configuration", `valid (${numbered(snapshot.pools.length, "pool")}, ${numbered(backends, "backend")})`);
  for (const { upstream, key, text } of warningsOf(snapshot))
    found.warn("configuration", warningPath(upstream, key), text);
  checkFiles(snapshot, configPath, found);
  const hasPair = (path: readonly PathSegment[]): boolean => isGiven(nodeAt(file.root, [...path, "cert"]));
  const library = openLibrary(runtime.foreign, libraryPlaces(embedded, process.env));
  checkCertificates(snapshot, hasPair, library, Date.now(), found);
  checkRoutes(snapshot, found);
  await checkAddresses(
    snapshot,
    { configPath, defaultPath: DEFAULT_CONFIG_PATH, controlPaths: controlPathsOf(snapshot) },
    library,
    found,
  );
  checkSystem(snapshot, library, found);
  await checkTransports(snapshot, runtime, offline, found);
}

/** Trust and reach of backends; offline without asking them. */
async function checkTransports(
  snapshot: Snapshot,
  runtime: CommandContext["runtime"],
  offline: boolean,
  found: Findings,
): Promise<void> {
  const asked = withChecks(snapshot);
  try {
    const transports = makeTransports(asked, runtime, new Counters());
    if (!offline) await checkBackends(snapshot, asked, transports.probe, found);
    transports.close();
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    found.error("backends", ["upstream"], thrown.message, thrown.remedy);
  }
}

function controlPathsOf({ control: { socket } }: Snapshot): readonly string[] {
  if (socket === "auto") return controlPlaces(process.env);
  return socket === null ? [] : [socket];
}

/** A warning names the key as it is spoken of: within its pool, or by its whole path. */
function warningPath(upstream: string | null, key: string): readonly string[] {
  if (upstream === null) return key.split(".");
  return key === "verify_certificates" ? ["upstream", upstream, "tls", key] : ["upstream", upstream, key];
}

function summaryOf(path: string, findings: Findings): string {
  const of = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`;
  return `${path}: ${of(findings.count("error"), "error")}, ${of(findings.count("warning"), "warning")}\n`;
}
