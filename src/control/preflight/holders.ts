/** Which processes hold a port of this machine: what /proc tells to this user. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** A process that has the port. */
export interface Holder {
  readonly pid: number;
  /** Its name for the kernel. */
  readonly name: string;
  readonly args: readonly string[];
  /** The folder that it is in; "" where it is not told. */
  readonly folder: string;
}

/** Of a UDP port, or of a TCP port that is listened on. Empty when there is none, or none that this user may see. */
export function holdersOf(protocol: "udp" | "tcp", port: number): readonly Holder[] {
  const inodes = new Set(
    [...inodesOf(protocol, port), ...inodesOf(`${protocol}6`, port)].map((inode) => `socket:[${inode}]`),
  );
  if (inodes.size === 0) return [];
  return pids()
    .filter((pid) => hasAny(pid, inodes))
    .map(describe);
}

const LISTENING = "0A";

function inodesOf(table: string, port: number): readonly string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return lines(`/proc/self/net/${table}`)
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(`:${wanted}`) === true)
    .filter((fields) => table.startsWith("udp") || fields[3] === LISTENING)
    .flatMap((fields) => fields[INODE_FIELD] ?? []);
}

const INODE_FIELD = 9;

function lines(path: string): readonly string[] {
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n");
  } catch {
    return [];
  }
}

function pids(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function hasAny(pid: number, links: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => links.has(linkOf(`/proc/${pid}/fd/${fd}`)));
  } catch {
    // Another user's, or it has just ended.
    return false;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function describe(pid: number): Holder {
  const args = (lines(`/proc/${pid}/cmdline`)[0] ?? "").split("\0").filter((arg) => arg !== "");
  return { pid, name: lines(`/proc/${pid}/comm`)[0] ?? "", args, folder: linkOf(`/proc/${pid}/cwd`) };
}
