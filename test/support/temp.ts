/** Folders for one test's files, removed when the test, group or file that asked for them ends. */
import { afterAll } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * A new private folder. Called at the top of a file or in a `describe`, it lives as long as that; called in a test, as long as
 * the test (Bun runs an `afterAll` registered there at the test's end; it never fires the process's `exit` event).
 */
export function tempFolder(label = "test"): string {
  const folder = mkdtempSync(join(tmpdir(), `spooky-${label}-`));
  chmodSync(folder, 0o700);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file into a folder and returns its path. */
export function writeTemp(folder: string, name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}
