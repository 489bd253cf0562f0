/** Processes that are recognized by a variable in their environment, which whatever they start inherits. */
import { readdirSync, readFileSync } from "node:fs";

const KEY = "SPOOKY_TEST_MARK";
let marks = 0;

/** A mark that nobody else has. */
export class Mark {
  readonly #value = `${process.pid}.${(marks += 1)}`;

  /** For the environment of the first of them. */
  get env(): Readonly<Record<string, string>> {
    return { [KEY]: this.#value };
  }

  /** Those that live, as `pid name`. One that has ended and has not been waited for has no environment any more. */
  get processes(): readonly string[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, "latin1").includes(`${KEY}=${this.#value}\0`)) return [];
        return [`${pid} ${readFileSync(`/proc/${pid}/comm`, "latin1").trim()}`];
      } catch {
        // It has ended since, or is somebody else's.
        return [];
      }
    });
  }

  /** Resolves when no other than these lives. */
  async only(wanted: (process: string) => boolean): Promise<void> {
    while (!this.processes.every(wanted)) await Bun.sleep(10);
  }

  /** Resolves when none lives. */
  gone(): Promise<void> {
    return this.only(() => false);
  }
}
