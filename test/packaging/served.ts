/** A backend and a client beside a program that is installed in a root of its own. */
import { expect } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { exchangeOf, runAioquicOnce, startAioquic, textOf } from "../interop/aioquic.ts";
import { testCertificateFiles } from "../support/certs.ts";
import type { OwnRoot } from "../support/own-root.ts";
import { startProcess } from "../support/process.ts";

const SUPPORT = join(import.meta.dir, "..", "support");

/** A backend in the root's network. */
export interface BackendInside {
  /** As a configuration writes it. */
  readonly address: string;
  /** Resolves when so many requests wait in `/hold`. */
  holding(count: number): Promise<void>;
  /** Lets them go on. */
  release(): Promise<void>;
}

/** Starts a backend in HTTP/1.1. */
export async function startBackendIn(root: OwnRoot): Promise<BackendInside> {
  const program = [process.execPath, join(SUPPORT, "real-server.child.ts"), "http1", "node", "backend"];
  const child = startProcess({ command: root.network.command(program) });
  const first: { port: number } = JSON.parse(await child.waitForLine((line) => line.startsWith('{"port"')));
  const tell = async (command: string): Promise<void> => {
    const before = child.stdout.length;
    child.write(`${command}\n`);
    await child.waitForLine(() => child.stdout.length > before);
  };
  return {
    address: `127.0.0.1:${first.port}`,
    holding: (count) => tell(`holding ${count}`),
    release: () => tell("release"),
  };
}

/** One request over HTTP/3 from the root's network: status and body. */
export async function askOverHttp3(root: OwnRoot, path: string, port = 443): Promise<string> {
  const { caFile } = await testCertificateFiles();
  const steps = [{ do: "request", id: "one", path }] as const;
  const connection = await runAioquicOnce({ host: "127.0.0.1", port, ca_file: caFile, steps }, root.network);
  const exchange = must(exchangeOf(connection, "one"), "it was asked");
  return `${exchange.status} ${textOf(exchange).trim()}`;
}

/** A request is under way while something is done: it ends well, and another one after it. */
export async function underRequest(root: OwnRoot, backend: BackendInside, job: () => Promise<void>): Promise<void> {
  const steps = [{ do: "request", id: "held", path: "/hold" }] as const;
  const client = startAioquic({ host: "127.0.0.1", port: 443, steps }, root.network);
  await backend.holding(1);
  await job();
  await backend.release();
  const [connection] = await client.connections;
  expect(exchangeOf(must(connection, "one connection"), "held")).toMatchObject({ status: 200, ended: true });
  expect(await askOverHttp3(root, "/after")).toBe("200 backend GET /after");
}
