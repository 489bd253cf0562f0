/** Real servers that are programs of ours on a foreign stack: Go, Node and Bun. */
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { NOTHING_YET, type BackendCounts } from "./backend-state.ts";
import { RunningProcess } from "./process.ts";
import type { RealServerProtocol } from "./real-server.ts";
import { tempFolder, type AtEnd } from "./temp.ts";

/** What runs. */
export interface ServerProgram {
  readonly port: number;
  counts(): Promise<BackendCounts>;
  /** Resolves when it is obeyed. */
  tell(command: "release" | "goaway" | "drop"): Promise<void>;
  /** Its standard error. */
  log(): string;
  stop(): Promise<void>;
}

/** A certificate as files, where the protocol needs one. */
export interface ProgramOptions {
  readonly protocol: RealServerProtocol;
  readonly id: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly atEnd: AtEnd;
}

/** Starts the Go program at `path`. */
export function startGo(path: string, options: ProgramOptions): Promise<ServerProgram> {
  const { protocol, id, certFile, keyFile } = options;
  return startProgram([path, "-protocol", protocol, "-id", id, "-cert", certFile, "-key", keyFile], options.atEnd);
}

/** Starts the test backends' own routes on Node. */
export async function startNode(path: string, options: ProgramOptions): Promise<ServerProgram> {
  return startProgram(
    [path, ...HEADS, await bundleForNode(options.atEnd), ...childArguments("node", options)],
    options.atEnd,
  );
}

/** Starts them on Bun, on Node's modules or on `Bun.serve`. */
export function startBun(make: "node" | "serve", options: ProgramOptions): Promise<ServerProgram> {
  return startProgram([process.execPath, ...HEADS, CHILD, ...childArguments(make, options)], options.atEnd);
}

function childArguments(make: "node" | "serve", { protocol, id, certFile, keyFile }: ProgramOptions): string[] {
  const isSecure = protocol === "https1" || protocol === "h2";
  return [protocol, make, id, ...(isSecure ? [certFile, keyFile] : [])];
}

async function startProgram(command: readonly string[], atEnd: AtEnd): Promise<ServerProgram> {
  const child = new RunningProcess({ command });
  const stop = () => {
    child.closeInput();
    return child.kill();
  };
  atEnd(stop);
  const replies = new Replies(child);
  const { port } = await replies.next();
  const ask = (command: string) => {
    child.write(`${command}\n`);
    return replies.next();
  };
  return {
    port: must(typeof port === "number" ? port : null, "a server says its port"),
    counts: async () => countsOf(await ask("state")),
    tell: async (command) => void (await ask(command)),
    log: () => child.stderr.join("\n"),
    stop,
  };
}

/** The lines of JSON that a program prints, one for each question. */
class Replies {
  readonly #child: RunningProcess;
  #taken = 0;

  constructor(child: RunningProcess) {
    this.#child = child;
  }

  async next(): Promise<Readonly<Record<string, unknown>>> {
    const index = this.#taken++;
    await this.#child.waitForLine(() => this.#child.stdout.length > index);
    const reply: unknown = JSON.parse(must(this.#child.stdout[index], "the line is there"));
    return Object.fromEntries(Object.entries(must(typeof reply === "object" ? reply : null, "a reply is an object")));
  }
}

function countsOf(reply: Readonly<Record<string, unknown>>): BackendCounts {
  const counts: BackendCounts = { ...NOTHING_YET };
  for (const name of COUNT_NAMES) counts[name] = Number(reply[name]);
  return counts;
}

/** Node reads no TypeScript before its version 22, and lacks what the language got later. */
async function bundleForNode(atEnd: AtEnd): Promise<string> {
  const outdir = tempFolder("node-server", atEnd);
  const { outputs } = await Bun.build({
    entrypoints: [CHILD],
    target: "node",
    naming: "server.mjs",
    outdir,
    banner: WITH_RESOLVERS,
  });
  return must(outputs[0], "a bundle is one file").path;
}

const CHILD = join(import.meta.dirname, "real-server.child.ts");
/** Heads as large as our own limits allow. */
const HEADS = ["--max-http-header-size=131072"];
const WITH_RESOLVERS = `Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((yes, no) => { resolve = yes; reject = no; });
  return { promise, resolve, reject };
};`;
/** All counts. */
export const COUNT_NAMES = [
  ...(["connections", "requests", "active", "completed", "aborted", "holding", "bytesRead", "bytesSent"] as const),
];
