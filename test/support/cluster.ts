/** Keys of clusters for tests. */
import { tempFolder, writeTemp } from "./temp.ts";

/** What a key is in its file. */
export type KeyRole = "previous" | "current" | "next";

/** A key file with these numbers; a key's number says what its secret is. It goes with the test, group or file that made it. */
export function clusterKeyFile(keys: Partial<Readonly<Record<KeyRole, number>>>): string {
  return writeTemp(tempFolder("cluster"), "cluster.key", clusterKeys(keys));
}

/** The text of such a file. */
export function clusterKeys(keys: Partial<Readonly<Record<KeyRole, number>>>): string {
  return Object.entries(keys)
    .map(([role, id]) => `${role} ${id} ${secretHex(id)}\n`)
    .join("");
}

/** The secret with that number. */
export function secretHex(id: number): string {
  return id.toString(16).padStart(2, "0").repeat(32);
}
