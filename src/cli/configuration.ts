/** A configuration from its file: read, checked, and every problem named. */
import { readFileSync } from "node:fs";
import { formatProblem, loadConfig } from "../config/load.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { messageOf, ProxyError } from "../core/error.ts";

/** Reads and checks a file. Throws `CONFIG_UNREADABLE`, or `CONFIG_INVALID` with one line per problem. */
export function readConfiguration(path: string): Snapshot {
  const result = loadConfig(readText(path), path);
  if ("snapshot" in result) return result.snapshot;
  throw new ProxyError("CONFIG_INVALID", result.problems.map(formatProblem).join("\n"));
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    throw new ProxyError("CONFIG_UNREADABLE", `the configuration cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
      remedy: "name the file with --config PATH",
    });
  }
}
