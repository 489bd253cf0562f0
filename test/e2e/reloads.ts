/** What tests of reloads have in common: files that change, and what is said of it. */
import { readFileSync, writeFileSync } from "node:fs";
import { runAioquicOnce } from "../interop/aioquic.ts";
import type { RunningProxy } from "../support/proxy.ts";

/** A configuration file. */
type Document = Record<string, never> & { upstream: Record<string, { backends: { weight?: number }[] }> };

/** Changes the file that a proxy was started with. */
export function edit(proxy: RunningProxy, change: (document: Document) => void): void {
  const document: Document = JSON.parse(readFileSync(proxy.configFile, "utf8"));
  change(document);
  writeFileSync(proxy.configFile, JSON.stringify(document));
}

/** A change that can be put to work in place. */
export function reweigh(proxy: RunningProxy, weight: number): void {
  edit(proxy, ({ upstream }) => {
    for (const pool of Object.values(upstream)) for (const backend of pool.backends) backend.weight = weight;
  });
}

/** Lines so far with these words. */
export function linesOf(proxy: RunningProxy, msg: string): Record<string, unknown>[] {
  const lines = [...proxy.process.stdout, ...proxy.process.stderr].filter((line) => line.includes(`"msg":"${msg}"`));
  return lines.map((line): Record<string, unknown> => JSON.parse(line));
}

/** Asks by signal, and gives the line that says what came of it. */
export async function reload(proxy: RunningProxy): Promise<Record<string, unknown>> {
  const isDone = (line: string): boolean => line.includes('"msg":"reload done"');
  const before = new Set(proxy.process.stdout.filter(isDone));
  proxy.process.signal("SIGHUP");
  // Cheap for each line: the backend is in this process, too.
  const done: Record<string, unknown> = JSON.parse(
    await proxy.process.waitForLine((line) => isDone(line) && !before.has(line)),
  );
  return done;
}

/** Over a connection of its own. */
export async function get(proxy: RunningProxy, path: string): Promise<number | null> {
  const { exchanges } = await runAioquicOnce({ port: proxy.port, steps: [{ do: "request", path }] });
  return exchanges[0]?.status ?? null;
}
