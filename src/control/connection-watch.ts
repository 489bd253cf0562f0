/**
 * A look into connections that were chosen by their client's network or by chance: their TLS secrets are added to one file, and each has
 * a qlog of its own. What goes wrong with these files is counted and never a connection's trouble.
 */
import { accessSync, closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { liesIn } from "../config/cidr.ts";
import type { DebugSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Library } from "../../ffi/library.ts";
import { type EngineWatch, type Watched, WatchLedger } from "../../ffi/quiche/watch.ts";

/** Read and written by this user alone. */
const FILE_MODE = 0o600;
const OTHERS_MODE = 0o077;
const KEYLOG_FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
/** A name that is taken is never written over, whoever made it. */
const QLOG_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const MILLION = 1_000_000;

/** Is anything written down of any connection? */
export function isWatching({ keylogFile, qlogFolder, clients, samplePerMillion }: DebugSettings): boolean {
  return (keylogFile !== null || qlogFolder !== null) && (clients.length > 0 || samplePerMillion > 0);
}

/** Looks whether the files can be written, without making any. Throws `CONFIG_UNREADABLE` or `CONFIG_INVALID`. */
export function checkWatchFiles(settings: DebugSettings): void {
  if (!isWatching(settings)) return;
  const { keylogFile, qlogFolder } = settings;
  if (qlogFolder !== null) checkFolder("debug.qlog_folder", qlogFolder);
  if (keylogFile === null) return;
  let fd: number;
  try {
    fd = openSync(keylogFile, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (thrown) {
    if (isMissing(thrown)) return checkFolder("debug.keylog_file", join(keylogFile, ".."));
    throw unwritable("debug.keylog_file", keylogFile, thrown);
  }
  checkKeylog(fd, keylogFile);
  closeSync(fd);
}

/** Of one listener. */
export class ConnectionWatch implements EngineWatch {
  readonly #settings: DebugSettings;
  readonly #counters: Counters;
  readonly #below: (bound: number) => number;
  readonly #ledger: WatchLedger;
  readonly #keylogFd: number | null;
  #openFailures = 0;

  /** `below` gives a whole number from 0 on below its bound, by chance. Throws as `checkWatchFiles`. */
  constructor(settings: DebugSettings, library: Library, counters: Counters, below: (bound: number) => number) {
    checkWatchFiles(settings);
    this.#settings = settings;
    this.#counters = counters;
    this.#below = below;
    this.#keylogFd = settings.keylogFile === null ? null : openKeylog(settings.keylogFile);
    this.#ledger = new WatchLedger(library, LIMITS.watchBytesMax);
  }

  watch(ip: string, id: Uint8Array): Watched | null {
    if (!this.#isChosen(ip)) return null;
    const qlogFd = this.#openQlog(id);
    if (qlogFd === null && this.#keylogFd === null) return null;
    this.#counters.connectionsWatched += 1;
    return { keylogFd: this.#keylogFd, qlogFd, qlogBytesMax: LIMITS.qlogFileBytesMax };
  }

  /** Brings the counters up to date. */
  count(): void {
    const { errors, cut } = this.#ledger.read();
    this.#counters.watchErrors = errors + this.#openFailures;
    this.#counters.watchCut = cut;
  }

  /** After the last connection is gone. */
  close(): void {
    this.count();
    if (this.#keylogFd !== null) closeSync(this.#keylogFd);
  }

  #isChosen(ip: string): boolean {
    const { clients, samplePerMillion } = this.#settings;
    return liesIn(clients, ip) || (samplePerMillion > 0 && this.#below(MILLION) < samplePerMillion);
  }

  #openQlog(id: Uint8Array): number | null {
    const { qlogFolder } = this.#settings;
    if (qlogFolder === null) return null;
    const { qlogsOpen, bytesWritten } = this.#ledger.read();
    this.count();
    if (qlogsOpen >= LIMITS.qlogsOpenMax || bytesWritten >= LIMITS.watchBytesMax) {
      this.#counters.qlogsRefused += 1;
      return null;
    }
    const name = Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
    try {
      return openSync(join(qlogFolder, `${name}.sqlog`), QLOG_FLAGS, FILE_MODE);
    } catch {
      this.#openFailures += 1;
      this.count();
      return null;
    }
  }
}

function openKeylog(file: string): number {
  try {
    const fd = openSync(file, KEYLOG_FLAGS, FILE_MODE);
    checkKeylog(fd, file);
    return fd;
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    throw unwritable("debug.keylog_file", file, thrown);
  }
}

/** Closes the file when it is none for secrets. */
function checkKeylog(fd: number, file: string): void {
  const stat = fstatSync(fd);
  if (stat.isFile() && (stat.mode & OTHERS_MODE) === 0) return;
  closeSync(fd);
  const wrong = stat.isFile() ? `is open to others (mode ${(stat.mode & 0o777).toString(8)})` : "is no file";
  throw new ProxyError("CONFIG_INVALID", `debug.keylog_file: ${file} ${wrong}`, {
    remedy: `chmod 600 ${file}, or name a file that does not exist yet`,
  });
}

function checkFolder(key: string, folder: string): void {
  try {
    if (statSync(folder).isDirectory()) return accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (thrown) {
    throw unwritable(key, folder, thrown);
  }
  throw new ProxyError("CONFIG_INVALID", `${key}: ${folder} is no folder`, {
    remedy: "name a folder that exists",
  });
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
}

function unwritable(key: string, path: string, cause: unknown): ProxyError {
  return new ProxyError("CONFIG_UNREADABLE", `${key}: ${path} cannot be written: ${messageOf(cause)}`, {
    cause,
    remedy: isMissing(cause)
      ? `make it: mkdir -m 700 ${path}`
      : "make it writable for the user that the program runs as",
  });
}
