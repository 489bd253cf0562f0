/** Node's own HTTP/2 server, where there is a Node: another implementation than the one that runs the tests. */
import { join } from "node:path";
import { must } from "../../src/core/assert.ts";
import { startProcess } from "./process.ts";

const SERVER = join(import.meta.dir, "..", "interop", "http2-server.mjs");

/** Whether there is a Node. Tests that need it are skips by name where there is none. */
export function hasNode(): boolean {
  return Bun.which("node") !== null;
}

/** Starts it in clear (h2c) and answers with its port; it ends with the caller's scope. */
export async function startNodeServer(): Promise<number> {
  const child = startProcess({ command: [must(Bun.which("node"), "there is a Node"), SERVER] });
  return Number(await child.waitForLine((line) => /^\d+$/.test(line)));
}
