/** A configuration from its file: read, checked, and every problem named. */
import { readFileSync } from "node:fs";
import { formatProblem, loadConfig, statedControlSocket } from "../config/load.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { workersForCores } from "../control/cores.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { readRegularFile } from "../runtime/regular-file.ts";

/** A valid configuration, and the text that says so. */
export interface Configuration {
  readonly path: string;
  readonly text: string;
  readonly snapshot: Snapshot;
}

/** Reads and checks a file. Throws `CONFIG_UNREADABLE`, or what `parseConfiguration` throws. */
export function readConfiguration(path: string): Configuration {
  return parseConfiguration(path, readText(path));
}

/** The same for a program that serves already. What was a pipe has been read, and the next reading would wait for a writer. */
export function readConfigurationAgain(path: string): Configuration {
  let text;
  try {
    text = new TextDecoder().decode(readRegularFile(path, LIMITS.configFileBytesMax));
  } catch (thrown) {
    throw new ProxyError("CONFIG_UNREADABLE", `the configuration cannot be read again: ${messageOf(thrown)}`, {
      cause: thrown,
      remedy: "put a file there that this user may read, or restart the program with one that stays",
    });
  }
  return parseConfiguration(path, text);
}

/** Checks a text. Throws `CONFIG_INVALID` with one line per problem. */
export function parseConfiguration(path: string, text: string): Configuration {
  const result = loadConfig(text, path);
  if ("snapshot" in result) return { path, text, snapshot: result.snapshot };
  throw new ProxyError("CONFIG_INVALID", result.problems.map(formatProblem).join("\n"));
}

/** The text of a configuration file. Throws `CONFIG_UNREADABLE`. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    throw new ProxyError("CONFIG_UNREADABLE", `the configuration cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
      remedy: "name the file with --config PATH",
    });
  }
}

/** The path that a file names as `control.socket`, be it otherwise wrong; null where it cannot be read or names none. */
export function readStatedControlSocket(path: string): string | null {
  try {
    return statedControlSocket(readText(path));
  } catch (thrown) {
    if (thrown instanceof ProxyError) return null;
    throw thrown;
  }
}

/** How many workers a configuration asks for here. */
export function workersOf({ snapshot }: Configuration): number {
  return snapshot.workers.count === "auto" ? workersForCores() : snapshot.workers.count;
}
