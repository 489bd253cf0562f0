/** Where the control socket is, whether its folder is one that only its owner changes, and who serves it now. */
import { Buffer } from "node:buffer";
import { linkSync, lstatSync, mkdirSync, renameSync, type Stats, statSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { connectUnix, listenUnix, type UnixHost, type UnixListener, type UnixStream } from "../runtime/unix-sockets.ts";

/** What the system has for a program's sockets, and what the name of the socket is there. */
type Env = Readonly<Record<string, string | undefined>>;
const SOCKET_NAME = "control.sock";

/** Places of the socket for `control.socket: auto`, the best one first. */
export function controlPlaces(env: Env): readonly string[] {
  // A service with several such folders has them all in the variable.
  const service = env["RUNTIME_DIRECTORY"]?.split(":")[0] ?? "";
  const user = env["XDG_RUNTIME_DIR"] ?? "";
  const folders = [service, "/run/spooky", user === "" ? "" : join(user, "spooky")];
  return [...new Set(folders.filter((folder) => folder !== "").map((folder) => join(folder, SOCKET_NAME)))];
}

/** A path of ours that listens. */
export interface HeldPath {
  readonly path: string;
  /** Stops listening, and removes the path if it is still ours. */
  release(): void;
}

/**
 * Makes the folder of a path if it is missing, for this user alone; what that folder is in must be there. False when it cannot be made here.
 * Throws `CONTROL_SOCKET` when others than this user and root could put something else in the socket's place.
 */
export function prepareFolder(path: string): boolean {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (thrown) {
    if (codeOf(thrown) !== "EEXIST") return false;
  }
  checkFolder(folder);
  return true;
}

/** Throws `CONTROL_SOCKET`, as `prepareFolder`, and when there is no such folder. */
export function checkFolder(folder: string): void {
  // A link to a folder is as good as what it leads to.
  const found = statSync(folder, { throwIfNoEntry: false }) ?? null;
  if (found === null) throw unusable(`${folder} is not there`);
  if (!found.isDirectory()) throw unusable(`${folder} is no folder`);
  const own = process.getuid?.() ?? 0;
  if (found.uid !== 0 && found.uid !== own) throw unusable(`${folder} belongs to another user (${found.uid})`);
  const isSticky = (found.mode & 0o1000) !== 0;
  if ((found.mode & 0o022) !== 0 && !isSticky) throw unusable(`${folder} can be written by others than its owner`);
}

/**
 * Listens on a path, in place of a program that ended without removing its socket. Throws `CONTROL_SOCKET` when one that runs serves it,
 * or something else stands there.
 */
export async function holdPath(path: string, onStream: (stream: UnixStream) => UnixHost): Promise<HeldPath> {
  if (Buffer.byteLength(path) > LIMITS.controlPathBytesMax)
    throw unusable(`${path} is longer than ${LIMITS.controlPathBytesMax} bytes`);
  // Under another name first: whoever sees the path finds somebody listening, and what stands there already is never overwritten.
  const making = `${path}.${process.pid}`;
  removeSocket(making);
  const listener = await listen(making, onStream);
  try {
    if (!tryLink(making, path)) {
      await clearDead(path);
      if (!tryLink(making, path)) throw unusable(`${path} was taken by another program just now`);
    }
    return held(path, listener);
  } catch (thrown) {
    listener.close();
    throw thrown;
  } finally {
    removeSocket(making);
  }
}

/** Is nothing there? */
export function isAbsent(path: string): boolean {
  return statOf(path) === null;
}

/** Does somebody listen there? False also when nothing is there. */
async function isServed(path: string): Promise<boolean> {
  const nobody = { onText: () => undefined, onClosed: () => undefined };
  let timer: ReturnType<typeof setTimeout> | undefined;
  // Whoever does not even answer that is alive, for the kernel answers for the dead.
  const late = new Promise<true>((resolve) => {
    timer = setTimeout(() => resolve(true), LIMITS.controlProbeMsMax);
  });
  const asked = connectUnix(path, () => nobody).then(
    (stream) => {
      stream.destroy();
      return true;
    },
    (thrown: unknown) => codeOf(thrown) !== "ECONNREFUSED" && codeOf(thrown) !== "ENOENT",
  );
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function listen(path: string, onStream: (stream: UnixStream) => UnixHost): Promise<UnixListener> {
  try {
    return await listenUnix(path, onStream);
  } catch (thrown) {
    throw unusable(`no socket can be made in ${dirname(path)}: ${messageOf(thrown)}`, thrown);
  }
}

function held(path: string, listener: UnixListener): HeldPath {
  const own = statOf(path);
  return {
    path,
    release() {
      listener.close();
      const now = statOf(path);
      if (own !== null && now !== null && isSame(own, now)) removeSocket(path);
    },
  };
}

/** Removes the socket of a program that has ended. Throws `CONTROL_SOCKET` when there is anything else. */
async function clearDead(path: string): Promise<void> {
  const found = statOf(path);
  if (found === null) return;
  if (!found.isSocket()) throw unusable(`${path} exists and is no socket`);
  if (await isServed(path)) throw unusable(`${path} is served by another program that runs`);
  // Between the question and this, another program may have put its own there; so what is removed is looked at once more.
  const aside = `${path}.${process.pid}.old`;
  renameSync(path, aside);
  const moved = statOf(aside);
  if (moved !== null && !isSame(found, moved)) {
    renameSync(aside, path);
    throw unusable(`${path} was taken by another program just now`);
  }
  removeSocket(aside);
}

/** False: the name is taken. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === "EEXIST") return false;
    throw unusable(`${to} cannot be made: ${messageOf(thrown)}`, thrown);
  }
}

function removeSocket(path: string): void {
  if (statOf(path)?.isSocket() !== true) return;
  try {
    unlinkSync(path);
  } catch {
    // Gone already, or its folder is no longer ours: nothing of ours is lost.
  }
}

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

function isSame(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/** The system's code of an error, "" for none. */
export function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
}

function unusable(message: string, cause?: unknown): ProxyError {
  return new ProxyError("CONTROL_SOCKET", `control.socket: ${message}`, {
    ...(cause === undefined ? {} : { cause }),
    remedy: "name another path in control.socket, in a folder of this user alone; `off` does without it",
  });
}
