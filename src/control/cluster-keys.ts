/**
 * The secrets that the nodes of a cluster share, from a file:
 *
 * ```text
 * # spooky cluster keys
 * previous 6 <64 hexadecimal digits>
 * current  7 <64 hexadecimal digits>
 * next     8 <64 hexadecimal digits>
 * ```
 *
 * One line for each key: what it is, its number (0 to 255), and 32 random bytes. `current` must be there and is what new tokens, tickets and
 * ids are made with; what was made with the others is taken. Numbers go up by one from each to the next, 0 follows 255. To change keys,
 * give all nodes the file with a `next`; when all have it, the file with that one as `current` and the old one as `previous`; when nothing
 * of the old one lives any more, the file without it. Blank lines and lines that begin with # do not count.
 *
 * Who reads the file can forge tokens and end connections, so it must be readable by nobody but its owner and group.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { messageOf, ProxyError } from "../core/error.ts";
import type { ClusterSecret } from "../quic/secrets.ts";

/** Keys of a file: `current` first, then the others that count. */
export type ClusterSecrets = readonly [current: ClusterSecret, ...others: ClusterSecret[]];

/** Three keys with comments are far below. */
const FILE_BYTES_MAX = 4096;
const KEY_IDS = 256;
/** Anything for others, and writing for the group. */
const FORBIDDEN_MODE = 0o027;
const ROLES = ["current", "previous", "next"] as const;
type Role = (typeof ROLES)[number];

/** The secrets of a key file. Throws `CONFIG_UNREADABLE` or `CONFIG_INVALID`. */
export function loadClusterSecrets(path: string): ClusterSecrets {
  return parseKeyFile(readKeyFile(path), path);
}

/** Reads the text of a key file. Permissions are looked at on the open file, so that nobody changes it in between. */
function readKeyFile(path: string): string {
  let fd = -1;
  try {
    // Opening a pipe would wait for somebody who writes to it.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new ProxyError("CONFIG_INVALID", `${path} is no file`);
    if ((stat.mode & FORBIDDEN_MODE) !== 0) {
      const mode = (stat.mode & 0o777).toString(8);
      throw new ProxyError("CONFIG_INVALID", `${path} holds keys and is open to others (mode ${mode})`, {
        remedy: `chmod 600 ${path}, and if others may have read it, make new keys`,
      });
    }
    const bytes = new Uint8Array(FILE_BYTES_MAX + 1);
    const size = readSync(fd, bytes, 0, bytes.length, 0);
    if (size > FILE_BYTES_MAX) {
      throw new ProxyError("CONFIG_INVALID", `${path} has more than ${FILE_BYTES_MAX} bytes: that is no key file`);
    }
    return new TextDecoder("latin1").decode(bytes.subarray(0, size));
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    throw new ProxyError("CONFIG_UNREADABLE", `the key file cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
      remedy: `check that ${path} exists and that this user may read it`,
    });
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/** Reads keys out of a file's text. `path` is for messages, which never show what stands in a line. */
export function parseKeyFile(text: string, path: string): ClusterSecrets {
  const found = new Map<Role, ClusterSecret>();
  for (const [index, line] of text.split("\n").entries()) {
    const words = line.trim();
    if (words === "" || words.startsWith("#")) continue;
    const [role, secret] = parseLine(words, `${path}:${index + 1}`);
    if (found.has(role)) throw new ProxyError("CONFIG_INVALID", `${path}:${index + 1}: there are two ${role} keys`);
    found.set(role, secret);
  }
  const current = found.get("current");
  if (current === undefined) throw new ProxyError("CONFIG_INVALID", `${path} has no current key`);
  const [previous, next] = [found.get("previous"), found.get("next")];
  checkNumber(path, "previous", previous, (current.id + KEY_IDS - 1) % KEY_IDS);
  checkNumber(path, "next", next, (current.id + 1) % KEY_IDS);
  const others = [previous, next].filter((secret) => secret !== undefined);
  for (const [i, one] of [current, ...others].entries()) {
    const same = others.slice(i).some(({ bytes }) => bytes.every((byte, at) => byte === one.bytes[at]));
    if (same)
      throw new ProxyError("CONFIG_INVALID", `${path}: two keys are the same, so that nothing changes with them`);
  }
  return [current, ...others];
}

function parseLine(words: string, place: string): readonly [Role, ClusterSecret] {
  const [name = "", number = "", digits = "", ...rest] = words.split(/\s+/);
  const role = ROLES.find((known) => known === name);
  if (role === undefined) throw new ProxyError("CONFIG_INVALID", `${place}: expected previous, current or next`);
  const id = /^\d{1,3}$/.test(number) ? Number(number) : KEY_IDS;
  if (id >= KEY_IDS) throw new ProxyError("CONFIG_INVALID", `${place}: expected the key's number, 0 to 255`);
  if (!/^[0-9a-f]{64}$/i.test(digits) || rest.length > 0) {
    throw new ProxyError("CONFIG_INVALID", `${place}: expected 64 hexadecimal digits and nothing behind`, {
      remedy: "make them with: openssl rand -hex 32",
    });
  }
  return [role, { id, bytes: Uint8Array.fromHex(digits) }];
}

function checkNumber(path: string, role: Role, secret: ClusterSecret | undefined, expected: number): void {
  if (secret === undefined || secret.id === expected) return;
  throw new ProxyError("CONFIG_INVALID", `${path}: the ${role} key has number ${secret.id}, expected ${expected}`);
}
