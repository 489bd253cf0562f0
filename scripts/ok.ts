/**
 * One command that says whether everything is in order: format, types on both runtimes, layers, tidiness, documents, the
 * native library, the executable, every test. Runs all of it even if something fails. `./scripts/test` sets up and runs
 * it; with everything in place `bun run ok [STEP...]` does.
 *
 * The last line is `N passed, N failed, N skipped`: a step counts as one, the tests count each for itself. The exit code is 1
 * if anything failed or nothing ran.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { countTests } from "./junit.ts";
import { listFiles } from "./source.ts";

/** What a step found. */
interface Outcome {
  readonly passed: number;
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
}

interface Step {
  readonly name: string;
  readonly run: (settings: TestSettings) => Promise<Outcome>;
}

/** What earlier steps made that the tests want. An empty string: it is not there, and tests of it skip themselves. */
interface TestSettings {
  binary: string;
  python: string;
  /** Programs of real servers, by name. */
  servers: ReadonlyMap<string, string>;
  /** The rule breaker of the adversarial suite. */
  h3i: string;
  /** Where ansible-lint is. */
  ansible: string;
  /** What makes and looks at packages, by name. */
  packageTools: ReadonlyMap<string, string>;
}

const ROOT = join(import.meta.dir, "..");
const TOOLS = join(ROOT, "node_modules", ".bin");
const REPORT = join(ROOT, "dist", "test", "junit.xml");

/** No test is proved by its time; this only ends a run that hangs. */
const TEST_HANGS_AFTER_MS = 600_000;

const FORMATTED = ["{src,ffi,test,scripts,bench}/**/*.ts", "*.json"];

const STEPS: readonly Step[] = [
  check("format", [join(TOOLS, "prettier"), "--check", "--log-level=warn", ...FORMATTED]),
  check("types", [join(TOOLS, "tsc"), "-p", "."]),
  { name: "deno", run: checkDeno },
  check("layers", [process.execPath, "scripts/layers.ts"]),
  check("tidy", [process.execPath, "scripts/tidy.ts"]),
  check("docs", [process.execPath, "scripts/docs.ts", "--check"]),
  check("native", [join(ROOT, "quiche.build.sh")]),
  { name: "binary", run: buildBinary },
  { name: "python", run: findPython },
  { name: "servers", run: findServers },
  { name: "networks", run: async () => (await findPrograms("networks")).outcome },
  { name: "h3i", run: findH3i },
  { name: "operations", run: findOperationTools },
  { name: "readers", run: async () => (await findPrograms("readers")).outcome },
  { name: "site", run: installSiteGenerator },
  { name: "package-tools", run: findPackageTools },
  { name: "tests", run: (settings) => runTests(settings, [], {}) },
  { name: "native-e2e", run: (settings) => runTests(settings, TRANSPORT_TESTS, { SPOOKY_TEST_TRANSPORT: "native" }) },
];

/** What every transport must do alike; run once with `fetch` among all tests, and once more with the clients of our own. */
const TRANSPORT_TESTS = [
  ...["backpressure", "balancing", "bodies", "broken-responses", "concurrency", "fields", "routing", "streaming"],
  "unreachable-backends",
].map((name) => join("test", "e2e", `${name}.test.ts`));

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.find((name) => !STEPS.some((step) => step.name === name));
  if (unknown !== undefined) {
    console.error(`error: no step ${unknown}; the steps are ${STEPS.map((step) => step.name).join(", ")}`);
    return 2;
  }
  const settings: TestSettings = {
    binary: "",
    python: "",
    servers: new Map(),
    h3i: "",
    ansible: "",
    packageTools: new Map(),
  };
  const outcomes: Outcome[] = [];
  for (const { name, run } of STEPS) {
    if (names.length > 0 && !names.includes(name)) continue;
    const started = performance.now();
    const outcome = await run(settings);
    const tookS = ((performance.now() - started) / 1000).toFixed(1);
    const word = outcome.failed.length > 0 ? "FAILED" : outcome.passed > 0 ? "ok" : "skipped";
    console.log(`${word.padEnd(8)}${name.padEnd(8)}${tookS.padStart(6)} s`);
    outcomes.push(outcome);
  }
  return report(outcomes);
}

function report(outcomes: readonly Outcome[]): number {
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.flatMap((outcome) => outcome.failed);
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  for (const name of skipped) console.log(`skipped: ${name}`);
  for (const name of failed) console.log(`failed: ${name}`);
  console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
  return failed.length === 0 && passed > 0 ? 0 : 1;
}

/** A step that is one command. Its output is shown only if it fails. */
function check(name: string, command: readonly string[]): Step {
  return { name, run: async () => outcomeOf(name, await run(command)) };
}

function outcomeOf(name: string, { code, output }: { readonly code: number; readonly output: string }): Outcome {
  if (code === 0) return { passed: 1, failed: [], skipped: [] };
  console.log(output.trimEnd());
  return { passed: 0, failed: [name], skipped: [] };
}

async function checkDeno(): Promise<Outcome> {
  const deno = join(ROOT, "node_modules", "@deno", "linux-x64-glibc", "deno");
  if (process.arch !== "x64")
    return { passed: 0, failed: [], skipped: [`deno: its package is not locked for ${process.arch}`] };
  return outcomeOf("deno", await run([deno, "check", "--quiet", "src", "ffi"]));
}

async function buildBinary(settings: TestSettings): Promise<Outcome> {
  const result = await run([process.execPath, "scripts/build.ts"]);
  if (result.code === 0) {
    console.log(result.output.trimEnd());
    settings.binary = join(ROOT, "dist", "spooky");
  }
  return outcomeOf("binary", result);
}

async function findPython(settings: TestSettings): Promise<Outcome> {
  const child = Bun.spawn([join(ROOT, "scripts", "python.sh")], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const path = (await new Response(child.stdout).text()).trim();
  const code = await child.exited;
  if (code === 3)
    return { passed: 0, failed: [], skipped: ["python: no Python with venv, and it may not be installed"] };
  if (code === 0) settings.python = path;
  return outcomeOf("python", { code, output: "" });
}

/** The servers that the transports are tested against. */
async function findServers(settings: TestSettings): Promise<Outcome> {
  const { found, outcome } = await findPrograms("servers");
  settings.servers = found;
  return outcome;
}

async function findH3i(settings: TestSettings): Promise<Outcome> {
  const { found, outcome } = await findPrograms("h3i");
  settings.h3i = found.get("h3i") ?? "";
  return outcome;
}

/** What makes the documentation's site; without it the tests of the site skip themselves. */
async function installSiteGenerator(): Promise<Outcome> {
  const { code } = await run([join(ROOT, "scripts", "site"), "--install"]);
  if (code === 0) return { passed: 1, failed: [], skipped: [] };
  return { passed: 0, failed: [], skipped: ["site: the generator's packages could not be fetched"] };
}

/** They take many minutes to build and to install, so only what is there already is used, unless the environment asks for all. */
async function findPackageTools(settings: TestSettings): Promise<Outcome> {
  const options = process.env["SPOOKY_TEST_PACKAGING"] === "1" ? [] : ["--cached"];
  const { found, outcome } = await findPrograms("package-tools", options);
  settings.packageTools = found;
  return outcome;
}

async function findOperationTools(settings: TestSettings): Promise<Outcome> {
  const { found, outcome } = await findPrograms("operations");
  settings.ansible = found.get("ansible") ?? "";
  return outcome;
}

/** What a script finds or builds, `NAME=PATH` a line. What cannot be had is told of here, and its tests are skipped by name. */
async function findPrograms(
  name: string,
  options: readonly string[] = [],
): Promise<{ found: ReadonlyMap<string, string>; outcome: Outcome }> {
  const command = [join(ROOT, "scripts", `${name}.sh`), ...options];
  const child = Bun.spawn(command, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const lines = (await new Response(child.stdout).text()).trimEnd().split("\n");
  const outcome = outcomeOf(name, { code: await child.exited, output: "" });
  const found = lines.flatMap((line) =>
    [...line.matchAll(/^([a-z0-9]+)=(.+)$/g)].map(([, key = "", path = ""]) => [key, path] as const),
  );
  const lacking = lines.filter((line) => line.startsWith("lacking "));
  const skipped = lacking.map((line) => `${name}: ${line.slice("lacking ".length)}`);
  return { found: new Map(found), outcome: { ...outcome, skipped } };
}

async function runTests(
  settings: TestSettings,
  files: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  mkdirSync(dirname(REPORT), { recursive: true });
  rmSync(REPORT, { force: true });
  const options = ["--reporter=junit", `--reporter-outfile=${REPORT}`, `--timeout=${TEST_HANGS_AFTER_MS}`];
  const child = Bun.spawn([process.execPath, "test", ...options, ...files], {
    cwd: ROOT,
    env: {
      ...process.env,
      BUN_CONFIG_MAX_HTTP_REQUESTS: "65336",
      SPOOKY_TEST_BINARY: settings.binary,
      SPOOKY_TEST_PYTHON: settings.python,
      SPOOKY_TEST_NGINX: settings.servers.get("nginx") ?? "",
      SPOOKY_TEST_NGINX_STREAM: settings.servers.get("nginxstream") ?? "",
      SPOOKY_TEST_PROMETHEUS: settings.servers.get("prometheus") ?? "",
      SPOOKY_TEST_PROMTOOL: settings.servers.get("promtool") ?? "",
      SPOOKY_TEST_CHROMIUM: settings.servers.get("chromium") ?? "",
      SPOOKY_TEST_HAPROXY: settings.servers.get("haproxy") ?? "",
      SPOOKY_TEST_GO_SERVER: settings.servers.get("go") ?? "",
      SPOOKY_TEST_GRPC: settings.servers.get("grpc") ?? "",
      SPOOKY_TEST_QUICGO: settings.servers.get("quicgo") ?? "",
      SPOOKY_TEST_H2LOAD: settings.servers.get("h2load") ?? "",
      SPOOKY_TEST_H3I: settings.h3i,
      SPOOKY_TEST_ANSIBLE: settings.ansible,
      ...packageToolsEnv(settings),
      ...env,
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const code = await child.exited;
  if (!existsSync(REPORT))
    return { passed: 0, failed: [`tests: bun test wrote no report (exit code ${code})`], skipped: [] };
  const { passed, failed, skipped, files: reported } = countTests(readFileSync(REPORT, "utf8"));
  // A file that fails while it is loaded, or that holds no test, is missing in the report.
  const expected = files.length > 0 ? files : listFiles(ROOT, ["test"]).filter((path) => path.endsWith(".test.ts"));
  const silent = expected.filter((path) => !reported.has(path));
  const problems = [...failed, ...silent.map((path) => `${path}: ran no test`)];
  if (code !== 0 && problems.length === 0) problems.push(`tests: bun test ended with exit code ${code}`);
  return { passed, failed: problems, skipped };
}

function packageToolsEnv({ packageTools }: TestSettings): Record<string, string> {
  return Object.fromEntries([...packageTools].map(([name, path]) => [`SPOOKY_TEST_${name.toUpperCase()}`, path]));
}

async function run(command: readonly string[]): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, output: out + err };
}

process.exitCode = await main(process.argv.slice(2));
