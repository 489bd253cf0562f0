/** Files whose names come from people: read without ever waiting, whatever lies there. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { ProxyError } from "../core/error.ts";

const CHUNK_BYTES = 64 * 1024;

/**
 * All of a file. Throws what the system throws, and `CONFIG_UNREADABLE` for whatever is no regular file (a pipe would be waited for, a device may never
 * end) and for one of more than `bytesMax`.
 */
export function readRegularFile(path: string, bytesMax: number): Uint8Array<ArrayBuffer> {
  // Looked at first, since opening alone does something to some devices; and once more when it is open, when nobody can exchange it.
  expectRegular(statSync(path), path, bytesMax);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    expectRegular(stat, path, bytesMax);
    return readAll(fd, path, stat.size, bytesMax);
  } finally {
    closeSync(fd);
  }
}

function expectRegular(stat: Stats, path: string, bytesMax: number): void {
  if (stat.isDirectory()) throw new ProxyError("CONFIG_UNREADABLE", `${path} is a folder`);
  if (!stat.isFile()) throw new ProxyError("CONFIG_UNREADABLE", `${path} is no file`);
  if (stat.size > bytesMax) throw tooLarge(path, bytesMax);
}

/** What it has at the moment; it may grow meanwhile, and files that the kernel makes up have no size. */
function readAll(fd: number, path: string, size: number, bytesMax: number): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(Math.max(size + 1, CHUNK_BYTES));
  let length = 0;
  for (;;) {
    const read = readSync(fd, bytes, length, bytes.length - length, null);
    if (read === 0) return bytes.slice(0, length);
    length += read;
    if (length > bytesMax) throw tooLarge(path, bytesMax);
    if (length < bytes.length) continue;
    const larger = new Uint8Array(2 * bytes.length);
    larger.set(bytes);
    bytes = larger;
  }
}

function tooLarge(path: string, bytesMax: number): ProxyError {
  return new ProxyError("CONFIG_UNREADABLE", `${path} has more than ${bytesMax} bytes`);
}
