/** What a proxy under test says in its log, awaited line by line: the proof that something has happened, without a clock. */
import type { RunningProcess } from "../support/process.ts";
import type { RunningProxy } from "../support/proxy.ts";

/** A line of `log.format: json`, read. */
export type LogLine = Readonly<Record<string, unknown>>;

/** The first line, old or new, that has these fields. Rejects with all output when the proxy ends without one. */
export async function logLine(proxy: Pick<RunningProxy, "process">, wanted: LogLine): Promise<LogLine> {
  return JSON.parse(await proxy.process.waitForLine((line) => holds(line, wanted)));
}

/** The access line of the first request with this path. */
export function accessLine(proxy: Pick<RunningProxy, "process">, path: string): Promise<LogLine> {
  return logLine(proxy, { msg: "request", path });
}

/** Stops a proxy that nobody uses any more and gives its last words and its end. */
export async function stoppedLine(child: RunningProcess): Promise<LogLine & { readonly code: number | null }> {
  const { code } = await child.stop();
  return { ...JSON.parse(await child.waitForLine((line) => holds(line, { msg: "stopped" }))), code };
}

function holds(line: string, wanted: LogLine): boolean {
  if (!line.startsWith("{")) return false;
  const found: LogLine = JSON.parse(line);
  return Object.entries(wanted).every(([name, value]) => found[name] === value);
}
