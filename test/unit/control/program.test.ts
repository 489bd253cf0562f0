import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../../src/core/assert.ts";
import { Program, startedPath } from "../../../src/control/program.ts";
import { tempFolder, writeTemp } from "../../support/temp.ts";

describe("the path that a program was started by", () => {
  test.each([
    ["/opt/spooky/current/spooky", "/opt/spooky/current/spooky"],
    ["./spooky", "/srv/one/spooky"],
    ["../bin/spooky", "/srv/bin/spooky"],
    ["spooky", "/usr/local/bin/spooky"],
  ])("%s is %s", (argv0, path) => {
    const origin = { argv0, folder: "/srv/one", searchPath: "/nowhere:/usr/local/bin:/usr/bin" };
    expect(startedPath(origin, (candidate) => candidate === path)).toBe(path);
  });

  test.each(["/bin/other", "spooky", ""])("%p is none where another program lies there", (argv0) => {
    expect(startedPath({ argv0, folder: "/", searchPath: "/bin:" }, () => false)).toBeNull();
  });
});

describe("a program", () => {
  test("stays the file that it was when it was opened, for as long as somebody holds it", () => {
    const folder = tempFolder("program");
    const path = writeTemp(folder, "spooky", "old");
    chmodSync(path, 0o755);
    const program = Program.open(path);
    writeFileSync(join(folder, "new"), "new");
    renameSync(join(folder, "new"), path);
    const held = must(program.path, "an opened program has a path");
    program.hold().release();
    expect(readFileSync(held, "utf8")).toBe("old");
    program.release();
    expect(() => readFileSync(held)).toThrow();
    expect(Program.running().path).toBeNull();
  });

  test("that is not there, is a folder or a pipe, or cannot be run is refused", () => {
    const folder = tempFolder("program");
    mkdirSync(join(folder, "folder"));
    writeTemp(folder, "text", "text");
    // Nobody writes into it: an ordinary open would never return.
    expect(spawnSync("mkfifo", [join(folder, "pipe")]).status).toBe(0);
    for (const name of ["nothing", "folder", "text", "pipe"])
      expect(() => Program.open(join(folder, name))).toThrow("the program cannot be run: ");
  });
});
