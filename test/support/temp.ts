/** Folders for one test's files, removed when the test, group or file that asked for them ends. */
import { afterAll } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where to say what has to be done at the end; `afterAll` for most. */
export type AtEnd = (clean: () => void | Promise<void>) => void;

/**
 * A new private folder. Called at the top of a file or in a `describe`, it lives as long as that; called in a test, as long as
 * the test (Bun runs an `afterAll` registered there at the test's end; it never fires the process's `exit` event). `atEnd` is for a hook, at whose end one registered there runs as well.
 */
export function tempFolder(label = "test", atEnd: AtEnd = afterAll): string {
  const folder = mkdtempSync(join(tmpdir(), `spooky-${label}-`));
  chmodSync(folder, 0o700);
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file into a folder and returns its path. */
export function writeTemp(folder: string, name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

/** The same for a file that can be run. */
export function writeProgram(folder: string, name: string, content: string): string {
  const path = writeTemp(folder, name, content);
  chmodSync(path, 0o700);
  return path;
}
