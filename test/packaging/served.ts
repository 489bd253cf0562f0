/** A backend and a client beside a program that is installed in a root of its own. */
import { expect } from "bun:test";
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { exchangeOf, runAioquicOnce, startAioquic, textOf } from "../interop/aioquic.ts";
import { testCertificateFiles } from "../support/certs.ts";
import type { NetworkPlace } from "../support/netns.ts";
import { patternSha256 } from "../support/pattern.ts";
import { startProcess } from "../support/process.ts";

const SUPPORT = join(import.meta.dir, "..", "support");
const DOWNLOAD_BYTES = 3_000_000;

/** Where it is installed: a root or a machine of its own. */
export interface Place {
  readonly network: NetworkPlace;
}

/** A backend in the place's network. */
export interface BackendInside {
  /** As a configuration writes it. */
  readonly address: string;
  /** Resolves when so many requests wait in `/hold`. */
  holding(count: number): Promise<void>;
  /** Lets them go on. */
  release(): Promise<void>;
}

/** Starts a backend in HTTP/1.1. */
export async function startBackendIn({ network }: Place): Promise<BackendInside> {
  const program = [process.execPath, join(SUPPORT, "real-server.child.ts"), "http1", "node", "backend"];
  const child = startProcess({ command: network.command(program) });
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

/** One request over HTTP/3 from the place's network: status and body. */
export async function askOverHttp3({ network }: Place, path: string, port = 443): Promise<string> {
  const { caFile } = await testCertificateFiles();
  const steps = [{ do: "request", id: "one", path }] as const;
  const connection = await runAioquicOnce({ host: "127.0.0.1", port, ca_file: caFile, steps }, network);
  const exchange = must(exchangeOf(connection, "one"), "it was asked");
  return `${exchange.status} ${textOf(exchange).trim()}`;
}

/** A request that waits and a download that is half done are under way while something is done: both end well, and another one after them. */
export async function underRequest(place: Place, backend: BackendInside, job: () => Promise<void>): Promise<void> {
  const steps = [
    { do: "start", id: "download", path: `/bytes/${DOWNLOAD_BYTES}?seed=p` },
    { do: "start", id: "held", path: "/hold" },
    { do: "wait_bytes", id: "download", bytes: 100_000 },
    { do: "say", text: "half done" },
    { do: "cue" },
    { do: "release" },
    { do: "wait" },
  ] as const;
  const windows = { max_stream_data: 200_000, hold_flow_control: true };
  const client = startAioquic({ host: "127.0.0.1", port: 443, ...windows, steps }, place.network);
  await client.event("said", { text: "half done" });
  await backend.holding(1);
  await job();
  await backend.release();
  client.cue();
  const [first] = await client.connections;
  const connection = must(first, "one connection");
  expect(exchangeOf(connection, "held")).toMatchObject({ status: 200, ended: true });
  expect(exchangeOf(connection, "download")).toMatchObject({
    ...{ status: 200, ended: true, body_bytes: DOWNLOAD_BYTES },
    sha256: patternSha256("p", DOWNLOAD_BYTES),
  });
  expect(await askOverHttp3(place, "/after")).toBe("200 backend GET /after");
}
