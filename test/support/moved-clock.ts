/** Programs whose clock of the day is moved while they run, by a library that is loaded into them (`moved-clock.c`); nobody else's is. */
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { AssertionFault } from "../../src/core/assert.ts";
import { tempFolder, writeTemp } from "./temp.ts";

/** Why no clock can be moved here; null when one can. */
export const MOVED_CLOCK_MISSING: string | null =
  process.platform !== "linux"
    ? "a moved clock: this is not Linux"
    : Bun.which("cc") === null
      ? "a moved clock: there is no C compiler (`cc`)"
      : null;

/** A clock of one program and its children. */
export interface MovedClock {
  /** For the program's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Ahead of the true one by so many seconds from now on; negative: behind. */
  move(seconds: number): void;
}

/** One that is right at first. */
export function makeMovedClock(): MovedClock {
  const folder = tempFolder("clock");
  const library = join(folder, "moved-clock.so");
  const source = join(import.meta.dir, "moved-clock.c");
  const { exitCode, stderr } = Bun.spawnSync(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]);
  if (exitCode !== 0) throw new AssertionFault(`cc: ${stderr.toString()}`);
  const file = writeTemp(folder, "seconds", new Uint8Array(8));
  const move = (seconds: number): void => {
    const fd = openSync(file, "r+");
    writeSync(fd, new Uint8Array(BigInt64Array.of(BigInt(seconds)).buffer), 0, 8, 0);
    closeSync(fd);
  };
  return { env: { LD_PRELOAD: library, MOVED_CLOCK_FILE: file }, move };
}
