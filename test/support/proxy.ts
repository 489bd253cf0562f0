/** The proxy as a child process: from source with Bun or Deno, or the built binary, with a configuration written for the test. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { testCertificateFiles } from "./certs.ts";
import { startProcess } from "./process.ts";
import { tempFolder, writeTemp } from "./temp.ts";
import type { CertificateFiles } from "./certs.ts";
import type { NetworkPlace } from "./netns.ts";
import type { ProcessOptions, RunningProcess } from "./process.ts";

/** What runs the proxy: `source` is `bun src/main.ts`, `deno` is `deno run src/main.ts`, `binary` is `dist/spooky`. */
export type ProxyRunner = "source" | "deno" | "binary";

/** A backend of a pool, in the words of the configuration file. */
export interface ProxyBackend {
  readonly address: string;
  readonly id?: string;
  readonly weight?: number;
  readonly health_check?: Readonly<Record<string, unknown>>;
}

/** A pool, in short. `extra` is merged into the pool's mapping as the file writes it. */
export interface ProxyPool {
  readonly prefix: string;
  readonly backends: readonly (ProxyBackend | string)[];
  readonly balancing?: "round-robin" | "random" | "consistent-hash";
  readonly name?: string;
  readonly host?: string;
  readonly method?: string;
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** What to start. */
export interface ProxyOptions {
  readonly pools: readonly ProxyPool[];
  /** Default: the environment's SPOOKY_TEST_RUNNER, else `source`. */
  readonly runner?: ProxyRunner;
  /** Another way to call it than the runner's, to which the arguments are added. */
  readonly command?: readonly string[];
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** Default 0: the kernel chooses, and `RunningProxy.port` says what. */
  readonly port?: number;
  /** Default: the run's leaf. */
  readonly certificate?: CertificateFiles;
  /**
   * Default: off, unless `extra` has `workers`, since most tests are of what one process does and a second one takes its time to start.
   * SPOOKY_TEST_SUPERVISOR=auto in the environment makes it `auto` for all.
   */
  readonly supervisor?: "auto" | "off";
  /** Merged into the top level of the file: `log`, `performance`, timeouts and so on. */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly env?: ProcessOptions["env"];
  readonly forgets?: ProcessOptions["forgets"];
  /** Another network to run it in; default the test's own. */
  readonly place?: NetworkPlace;
}

/** A proxy that listens. */
export interface RunningProxy {
  readonly process: RunningProcess;
  readonly host: string;
  readonly port: number;
  /** `https://host:port`, without a slash at the end. */
  readonly url: string;
  readonly configFile: string;
  readonly certificate: CertificateFiles;
  /** Log lines so far that are JSON objects. */
  logs(): Record<string, unknown>[];
  stop: RunningProcess["stop"];
}

/** Writes the configuration, starts the proxy and waits until it says that it listens. It is killed at the end of the caller's scope. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const certificate = options.certificate ?? (await testCertificateFiles());
  const configFile = writeTemp(tempFolder("proxy"), "config.yaml", proxyConfig(options, certificate));
  const program = options.command ?? runnerCommand(options.runner ?? defaultRunner());
  const command = [...program, "--config", configFile];
  const child = startProcess({
    command: options.place?.command(command) ?? command,
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.forgets === undefined ? {} : { forgets: options.forgets }),
  });
  const { host, port } = await listeningAddress(child);
  return {
    process: child,
    host,
    port,
    url: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    configFile,
    certificate,
    logs: () =>
      child.stdout
        .concat(child.stderr)
        .map(jsonObject)
        .filter((object) => object !== null),
    stop: () => child.stop(),
  };
}

/** The text of a configuration file. It is JSON, which is YAML too. Pools trust the run's authority for TLS to backends. */
export function proxyConfig(options: ProxyOptions, certificate: CertificateFiles): string {
  const upstream: Record<string, unknown> = {};
  options.pools.forEach((pool, index) => (upstream[pool.name ?? `pool_${index}`] = poolConfig(pool)));
  return JSON.stringify(
    {
      version: 1,
      listen: {
        protocol: "http3",
        address: options.address ?? "127.0.0.1",
        port: options.port ?? 0,
        tls: { cert: certificate.certFile, key: certificate.keyFile },
      },
      upstream_tls: { ca_file: certificate.caFile },
      upstream,
      log: { level: "info", format: "json" },
      // Many run beside each other; those that are asked something have a path of their own.
      control: { socket: "off", watch: "off" },
      observability: { metrics: { enabled: false }, health: { enabled: false } },
      supervisor: options.supervisor ?? defaultSupervisor(options.extra),
      ...options.extra,
    },
    null,
    2,
  );
}

function poolConfig(pool: ProxyPool): object {
  return {
    load_balancing: { type: pool.balancing ?? "round-robin" },
    ...(wantsNative(pool) ? { transport: "native" } : {}),
    route: {
      path_prefix: pool.prefix,
      ...(pool.host === undefined ? {} : { host: pool.host }),
      ...(pool.method === undefined ? {} : { method: pool.method }),
    },
    backends: pool.backends.map((backend, index) => ({
      id: `backend-${index}`,
      ...(typeof backend === "string" ? { address: backend } : backend),
    })),
    ...pool.extra,
  };
}

function defaultSupervisor(extra: ProxyOptions["extra"] = {}): "auto" | "off" {
  return "workers" in extra || process.env["SPOOKY_TEST_SUPERVISOR"] === "auto" ? "auto" : "off";
}

/** With SPOOKY_TEST_TRANSPORT=native every pool that can is spoken to by the clients of our own. */
function wantsNative({ backends }: ProxyPool): boolean {
  if (process.env["SPOOKY_TEST_TRANSPORT"] !== "native") return false;
  return backends.every((backend) => !(typeof backend === "string" ? backend : backend.address).startsWith("h3:"));
}

/** The command that runs the proxy, to which arguments are added. */
export function runnerCommand(runner: ProxyRunner): readonly string[] {
  if (runner === "binary") return [binaryPath()];
  const main = join(PROJECT, "src", "main.ts");
  return runner === "deno" ? [must(denoPath(), "Deno is installed"), "run", "-A", main] : [process.execPath, main];
}

/** Whether that runner is there: tests of one that is not are skips by name. */
export function hasRunner(runner: ProxyRunner): boolean {
  if (runner === "binary") return existsSync(binaryPath());
  return runner === "source" || denoPath() !== null;
}

/** The built executable: the one that `scripts/ok.ts` has just built, else what lies in `dist`. */
export function binaryPath(): string {
  return process.env["SPOOKY_TEST_BINARY"] ?? join(PROJECT, "dist", "spooky");
}

/** Deno's own executable: the wrapper that npm links would not hand on signals. */
export function denoPath(): string | null {
  const packages = join(PROJECT, "node_modules", "@deno");
  if (!existsSync(packages)) return null;
  const paths = readdirSync(packages).map((name) => join(packages, name, "deno"));
  return paths.find((path) => existsSync(path)) ?? null;
}

/** Waits for the log line `listening` with its field `address`, in JSON or plain form. */
export async function listeningAddress(child: RunningProcess): Promise<{ host: string; port: number }> {
  const line = await child.waitForLine((text) => addressIn(text) !== null);
  const address = must(addressIn(line), "the awaited line has an address");
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
}

function addressIn(line: string): string | null {
  const object = jsonObject(line);
  if (object !== null) return object["msg"] === "listening" ? String(object["address"]) : null;
  return /\blistening\b.*\baddress=(\S+)/.exec(line)?.[1] ?? null;
}

function jsonObject(line: string): Record<string, unknown> | null {
  if (!line.startsWith("{")) return null;
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What runs the proxy unless a test says otherwise: SPOOKY_TEST_RUNNER, else the source. */
export function defaultRunner(): ProxyRunner {
  const named = process.env["SPOOKY_TEST_RUNNER"];
  return named === "deno" || named === "binary" ? named : "source";
}

const PROJECT = join(import.meta.dir, "..", "..");
