/** A proxy of its own before a backend in this process, for benchmarks that need both ends: one clock, one end. */
import { readFileSync } from "node:fs";
import { startHttp1 } from "../../test/support/backend-http1.ts";
import { startHttp2 } from "../../test/support/backend-http2.ts";
import { certificateFiles, testCertificate } from "../../test/support/certs.ts";
import type { BackendExchange, BackendServer } from "../../test/support/exchange.ts";
import { RunningProcess } from "../../test/support/process.ts";
import { hasRunner, listeningAddress, proxyConfig, runnerCommand } from "../../test/support/proxy.ts";
import { tempFolder, writeTemp } from "../../test/support/temp.ts";

/** Every way to a backend that has a client of its own in the proxy. */
export const WAYS = [
  { name: "native h1", scheme: "http", transport: "native" },
  { name: "native h1 over TLS", scheme: "https", transport: "native", isHttp1: true },
  { name: "native h2c", scheme: "h2c", transport: "native" },
  { name: "native h2 over TLS", scheme: "https", transport: "native" },
  { name: "fetch h1", scheme: "http", transport: "fetch" },
  { name: "fetch h2 over TLS", scheme: "https", transport: "fetch" },
  // What a file gets that says nothing but https://.
  { name: "https alone", scheme: "https", transport: null },
] as const satisfies readonly Way[];

/** One of them. */
export interface Way {
  readonly name: string;
  readonly scheme: "http" | "h2c" | "https";
  /** Null: the file leaves it out. */
  readonly transport: "native" | "fetch" | null;
  /** Over TLS the backend has no HTTP/2. */
  readonly isHttp1?: boolean;
}

/** What runs; `close` ends it. */
export interface Bed {
  readonly url: string;
  readonly pid: number;
  /** What the proxy has said so far. */
  output(): string;
  close(): Promise<void>;
}

/** Starts a backend that answers by `serve`, and a proxy before it: the built binary where there is one. `extra` goes into the file, `healthCheck` to the backend there. */
export async function openBed(
  way: Way,
  serve: (exchange: BackendExchange) => Promise<void>,
  extra: Readonly<Record<string, unknown>> = {},
  healthCheck?: Readonly<Record<string, unknown>>,
): Promise<Bed> {
  const ends: (() => unknown)[] = [];
  const atEnd = (end: () => unknown): void => void ends.unshift(end);
  const backend = await startBackend(way, serve);
  atEnd(() => backend.stop());
  const certificate = certificateFiles(await testCertificate(), atEnd);
  const address = `${way.scheme}://127.0.0.1:${backend.port}`;
  const pools = [
    {
      prefix: "/",
      backends: [{ address, ...(healthCheck && { health_check: healthCheck }) }],
      extra: way.transport === null ? {} : { transport: way.transport },
    },
  ];
  const text = proxyConfig({ pools, extra }, certificate);
  const file = writeTemp(tempFolder("bench", atEnd), "config.yaml", text);
  const runner = hasRunner("binary") && process.env["SPOOKY_TEST_RUNNER"] !== "source" ? "binary" : "source";
  const child = new RunningProcess({ command: [...runnerCommand(runner), "--config", file] });
  atEnd(() => child.stop());
  const { host, port } = await listeningAddress(child);
  return {
    url: `https://${host}:${port}`,
    pid: child.pid,
    output: () => [...child.stdout, ...child.stderr].join("\n"),
    close: async () => {
      for (const end of ends) await end();
    },
  };
}

async function startBackend(way: Way, serve: (exchange: BackendExchange) => Promise<void>): Promise<BackendServer> {
  const start = way.scheme === "http" || way.isHttp1 === true ? startHttp1 : startHttp2;
  return start({
    host: "127.0.0.1",
    port: 0,
    tls: way.scheme === "https" ? await testCertificate() : null,
    onConnection: () => undefined,
    // A client that leaves ends its exchange by an error that nobody waits for.
    onExchange: (exchange) => void serve(exchange).catch(() => undefined),
  });
}

/** Resident memory of a process, MiB. */
export function rssMib(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

/** The value below which a share of them lies; NaN of none. */
export function quantile(numbers: readonly number[], share: number): number {
  return numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(share * numbers.length))] ?? NaN;
}
