/** The file that the workers of a crew are made of: held open, so that all of them, later ones too, are the same build. */
import { accessSync, closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import process from "node:process";
import { messageOf, ProxyError } from "../core/error.ts";

/** A program for workers. Whoever holds it says so, and closes the file by letting go of it last. */
export class Program {
  /** As people wrote it; null for the file that this process runs. */
  readonly name: string | null;
  readonly #fd: number | null;
  #holders = 1;

  private constructor(name: string | null, fd: number | null) {
    this.name = name;
    this.#fd = fd;
  }

  /** The file that this process runs, be it replaced on disk by now. */
  static running(): Program {
    return new Program(null, null);
  }

  /** Opens a file. Throws `CONFIG_INVALID` when it is not there or cannot be run. */
  static open(path: string): Program {
    try {
      // A pipe without a writer is found to be no file instead of being waited for.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        if (!fstatSync(fd).isFile()) throw new ProxyError("CONFIG_INVALID", `${path} is no file`);
        accessSync(path, constants.X_OK);
        return new Program(path, fd);
      } catch (thrown) {
        closeSync(fd);
        throw thrown;
      }
    } catch (thrown) {
      throw new ProxyError("CONFIG_INVALID", `the program cannot be run: ${messageOf(thrown)}`, {
        cause: thrown,
        remedy: "install it there, readable and executable for this user, or name another one with --binary",
      });
    }
  }

  /** One that another program in this process has opened. */
  static held(name: string, fd: number): Program {
    return new Program(name, fd);
  }

  /** What to leave to another program in this process; null for the file that this one runs. */
  get held(): { readonly name: string; readonly fd: number } | null {
    return this.name === null || this.#fd === null ? null : { name: this.name, fd: this.#fd };
  }

  /** What to start; null for the file that this process runs. A path of this process, since a script is opened once more by its reader. */
  get path(): string | null {
    return this.#fd === null ? null : `/proc/${process.pid}/fd/${this.#fd}`;
  }

  /** One more holds it. */
  hold(): this {
    this.#holders += 1;
    return this;
  }

  /** One holder less. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0 && this.#fd !== null) closeSync(this.#fd);
  }
}

/** How this process was started. */
export interface Origin {
  /** The program's name as it was called. */
  readonly argv0: string;
  readonly folder: string;
  /** Folders to look for a name without a slash, as in PATH. */
  readonly searchPath: string;
}

/**
 * The path that this program was started by, with symbolic links as they are: what lies there after an installation is the new one. Null
 * when nothing there is the program that runs (a forged name), and when the system does not say.
 */
export function startedPath(
  { argv0, folder, searchPath }: Origin,
  isRunning: (path: string) => boolean,
): string | null {
  if (argv0.includes("/")) {
    const path = resolve(folder, argv0);
    return isRunning(path) ? path : null;
  }
  const candidates = searchPath.split(delimiter).map((place) => join(resolve(folder, place), argv0));
  return candidates.find(isRunning) ?? null;
}

/** `startedPath` of this process; where it gives none, the path that the kernel has for the file that runs. */
export function ownStartedPath(): string | null {
  try {
    const [argv0 = ""] = readFileSync("/proc/self/cmdline", "utf8").split("\0");
    const running = statSync("/proc/self/exe");
    const isRunning = (path: string): boolean => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat !== undefined && stat.ino === running.ino && stat.dev === running.dev;
    };
    const origin = { argv0, folder: process.cwd(), searchPath: process.env["PATH"] ?? "" };
    return startedPath(origin, isRunning) ?? readlinkSync("/proc/self/exe");
  } catch {
    return null;
  }
}
