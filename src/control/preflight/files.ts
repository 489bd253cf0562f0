/** Files and folders that the program writes, and who may change its configuration. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { PathSegment } from "../../config/document.ts";
import type { Snapshot } from "../../config/snapshot.ts";
import { messageOf, ProxyError } from "../../core/error.ts";
import { checkWatchFiles } from "../connection-watch.ts";
import { startSecrets } from "../node-keys.ts";
import type { Findings } from "./finding.ts";

const OTHERS_WRITE = 0o002;
const CHECK = "files";

/** Looks without making anything. */
export function checkFiles(snapshot: Snapshot, configPath: string, found: Findings): void {
  const mode = statSync(configPath, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & OTHERS_WRITE) !== 0)
    found.warn(CHECK, [], `every user of this machine can change ${configPath}`, `chmod o-w ${configPath}`);
  if (snapshot.log.file !== null) checkWritable(snapshot.log.file, ["log", "file"], found);
  const accessFile = snapshot.log.access?.file ?? null;
  if (accessFile !== null) checkWritable(accessFile, ["log", "access", "file"], found);
  attempt(["debug"], found, () => checkWatchFiles(snapshot.debug));
  attempt(["cluster", "key_file"], found, () => void startSecrets(snapshot.cluster));
  if (found.isFine(CHECK)) found.ok(CHECK, "what the configuration names can be read and written");
}

/** Existing files are opened again, others are made in their folder. */
function checkWritable(file: string, path: readonly PathSegment[], found: Findings): void {
  const folder = dirname(resolve(file));
  const target = existsSync(file) ? file : folder;
  try {
    accessSync(target, constants.W_OK);
    if (target === file && statSync(file).isDirectory()) found.error(CHECK, path, `${file} is a folder`);
  } catch (thrown) {
    const text = existsSync(target) ? messageOf(thrown) : `its folder ${folder} is not there`;
    const remedy = `make its folder writable for this user, or leave ${path.join(".")} out to log to standard output`;
    found.error(CHECK, path, `${path.join(".")} cannot be written: ${text}`, remedy);
  }
}

function attempt(path: readonly PathSegment[], found: Findings, look: () => void): void {
  try {
    look();
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    found.error(CHECK, path, thrown.message, thrown.remedy);
  }
}
