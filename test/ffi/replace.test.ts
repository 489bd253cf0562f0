/** A program that another one takes the place of, same process: what the new one finds of descriptors, signals and children. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { blockedSignals, blockSignals, unblockSignals } from "../../ffi/signal-mask.ts";
import { openMemoryFile, keepOnExec } from "../../ffi/descriptors.ts";
import { reapChild } from "../../ffi/children.ts";
import { bunForeign } from "../../ffi/open.bun.ts";
import { openTestLibrary } from "../support/native.ts";
import { startProcess } from "../support/process.ts";

const library = openTestLibrary();
const SIGNALS = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTERM"] as const;

describe("a process whose program is replaced", () => {
  test("keeps what it is told to, hears what was sent meanwhile, and knows how its children ended", async () => {
    const child = startProcess({ command: [process.execPath, join(import.meta.dir, "replace.child.ts")] });
    const before = JSON.parse(await child.waitForLine((line) => line.includes('"children"')));
    expect(before).toEqual({ pid: child.pid, children: expect.any(Array), mask: [...SIGNALS] });
    // Somebody that it starts inherits no mask.
    expect(JSON.parse(await child.waitForLine((line) => line.startsWith('{"mask"')))).toEqual({ mask: [] });
    for (const name of SIGNALS) child.signal(name);
    child.write("\n");
    const after = JSON.parse(await child.waitForLine((line) => line.includes('"heard"')));
    const unknown = { code: null, signal: null };
    expect(after).toEqual({
      pid: child.pid,
      heard: SIGNALS.toSorted(),
      before: true,
      open: [true, false],
      keptAfter: false,
      ends: [
        { code: 0, signal: null },
        { code: 7, signal: null },
        { code: null, signal: "SIGKILL" },
        { code: null, signal: "SIGKILL" },
      ],
      again: [unknown, unknown, unknown, unknown],
    });
    expect(await child.ended).toEqual({ code: 0, signal: null });
  });
});

describe("in one process", () => {
  test("signals are blocked by name and unblocked", () => {
    blockSignals(bunForeign, library.libc, ["SIGUSR2", "SIGHUP"]);
    expect(blockedSignals(bunForeign, library.libc).toSorted()).toEqual(["SIGHUP", "SIGUSR2"]);
    unblockSignals(bunForeign, library.libc, ["SIGHUP"]);
    expect(blockedSignals(bunForeign, library.libc)).toEqual(["SIGUSR2"]);
    unblockSignals(bunForeign, library.libc, ["SIGUSR2"]);
    expect(blockedSignals(bunForeign, library.libc)).toEqual([]);
  });

  test("a descriptor that is not open cannot be kept", () => {
    const fd = openMemoryFile(library.libc, "gone", new Uint8Array(0));
    library.libc.close(fd);
    expect(() => keepOnExec(library.libc, fd, true)).toThrow("is not open");
  });

  test("somebody else's child has ended in ways unknown", () => {
    expect(reapChild(library, process.pid)).toEqual({ code: null, signal: null });
  });
});
