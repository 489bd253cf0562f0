/**
 * Another program in place of the one that runs: same process, same descriptors, same children. It is tried in a process of its own first;
 * what can fail fails there. From the moment in which the state is written down until the new program runs, nothing else does.
 */
import { closeSync, constants, openSync, readFileSync, statSync } from "node:fs";
import process from "node:process";
import { setImmediate, setTimeout } from "node:timers/promises";
import { type Handover, type WayBack, writeHandover } from "../control/handover.ts";
import type { Program } from "../control/program.ts";
import { EXEC_REMEDY } from "../control/seat.ts";
import { messageOf, ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../observe/log.ts";
import type { ChildProcess, Processes } from "../runtime/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { keepOnExec, openMemoryFile } from "../../ffi/descriptors.ts";
import { type Libc, openLibc } from "../../ffi/library.ts";
import { replaceProcess } from "../../ffi/process.ts";
import { TRIAL_COMMAND } from "./args.ts";
import { childEnvironment, readSelf } from "./self.ts";
import { readAnswer } from "./trial.ts";

/** Names the descriptor of the document, for the program that begins with it. */
export const HANDOVER_KEY = "SPOOKY_HANDOVER";
/** For a program that is gone back to: why the other one could not go on. */
export const HANDOVER_FAILED_KEY = "SPOOKY_HANDOVER_FAILED";
/** How long between two looks at whether all is settled enough to be written down, milliseconds. */
const SETTLE_MS = 10;
/** Characters of the reason why a program could not go on. */
const REASON_CHARACTERS_MAX = 1000;

/** What is replaced, and by what. */
export interface ReplaceParts {
  readonly runtime: Runtime;
  readonly processes: Processes;
  readonly log: Log;
  /** The program that shall run. */
  readonly program: Program;
  /** The state, when all is settled; null while it is not. */
  readonly write: (back: Omit<WayBack, "fds">) => Handover | null;
  /** All shall end: nothing is replaced any more. */
  readonly isStopping: () => boolean;
  /** The process of the trial while there is one: whoever ends this program ends that one too. */
  readonly onTrial: (trial: ChildProcess | null) => void;
  /** The trial has gone well; what others shall know of it beforehand is told now. */
  readonly onReplacing: () => Promise<void>;
}

/** Replaces the program. Returns only when that does not work: why, for people. Everything is as before then. */
export async function replaceProgram(parts: ReplaceParts): Promise<string> {
  const self = readSelf();
  if (self === null) return "the system does not tell how this program was started";
  const libc = openLibc(parts.runtime.foreign);
  let programFd = -1;
  try {
    // A program with capabilities of its own (setcap) may not be allowed to look at itself.
    programFd = openSync("/proc/self/exe", constants.O_RDONLY);
    const back = { programFd, args: self.args };
    const document = await settled(parts, () => parts.write(back));
    const refusal = document === null ? UNSETTLED : await tryOut(parts, libc, document);
    if (refusal !== null) return refusal;
    await parts.onReplacing();
    return (await settled(parts, () => executeNow(parts, libc, self, back))) ?? UNSETTLED;
  } catch (thrown) {
    return messageOf(thrown);
  } finally {
    if (programFd >= 0) closeSync(programFd);
  }
}

const UNSETTLED = "workers come and go, so that nothing can be handed over";

/**
 * Runs `attempt` in a moment in which all signals that were heard have been acted on (the runtime lets them in when it waits, and gives
 * them to their listeners before an immediate) and all log lines are out, until it gives something. Null when time is up.
 */
async function settled<T>({ log, isStopping }: ReplaceParts, attempt: () => T | null): Promise<T | null> {
  for (let waitedMs = 0; waitedMs < LIMITS.workerStartMsMax; waitedMs += SETTLE_MS) {
    await log.flush();
    await setImmediate();
    if (isStopping()) throw new ProxyError("DRAINING", "the program stops");
    const result = log.idle ? attempt() : null;
    if (result !== null) return result;
    await setTimeout(SETTLE_MS);
  }
  return null;
}

/** Why the program cannot go on from such a document; null when it can. */
async function tryOut(parts: ReplaceParts, libc: Libc, handover: Handover): Promise<string | null> {
  const document = openDocument(libc, handover);
  const answer = openMemoryFile(libc, "spooky-trial", new Uint8Array(0));
  try {
    const child = parts.processes.spawn({
      program: parts.program.path,
      args: [TRIAL_COMMAND],
      name: TRIAL_COMMAND,
      env: childEnvironment(),
      descriptors: [document, answer],
    });
    parts.onTrial(child);
    const killing = globalThis.setTimeout(() => child.kill(), LIMITS.workerStartMsMax);
    const end = await child.ended;
    parts.onTrial(null);
    clearTimeout(killing);
    const said = readAnswer(readFileSync(`/proc/self/fd/${answer}`, "utf8"));
    if (said !== null && "refusal" in said) return said.refusal;
    // Executed in place of this process it would be its child: whoever has the workers would not be the program.
    if (said?.pid !== undefined && said.pid !== child.pid) return `its trial was another process: ${EXEC_REMEDY}`;
    if (end.code === 0 && said !== null) return null;
    return `its trial ended ${end.signal === null ? `with exit code ${end.code}` : `by ${end.signal}`}`;
  } finally {
    libc.close(document);
    libc.close(answer);
  }
}

/** Writes the state down and executes. Null when the state is not settled; else why the kernel refused, with everything as before. */
function executeNow(
  parts: ReplaceParts,
  libc: Libc,
  self: { readonly path: string; readonly args: readonly string[] },
  back: Omit<WayBack, "fds">,
): string | null {
  const handover = parts.write(back);
  if (handover === null) return null;
  const document = openDocument(libc, handover);
  const { held } = parts.program;
  const path = held === null ? self.path : pathOf(held);
  // From source, the first two arguments are the runtime and the script; another build has only its own name before those for people.
  const args = held === null ? self.args : [held.name, ...process.argv.slice(2)];
  execute(parts.runtime, libc, { path, args, document, fds: handover.back.fds, failure: null });
  libc.close(document);
  return `the kernel does not execute ${path}`;
}

/** By its own name where that is still the same file, since the kernel names the process after it. */
function pathOf({ name, fd }: { readonly name: string; readonly fd: number }): string {
  const opened = `/proc/self/fd/${fd}`;
  const [there, held] = [statSync(name, { throwIfNoEntry: false }), statSync(opened)];
  return there?.ino === held.ino && there.dev === held.dev ? name : opened;
}

function openDocument(libc: Libc, handover: Handover): number {
  return openMemoryFile(libc, "spooky-handover", new TextEncoder().encode(writeHandover(handover)));
}

/** What is executed, and what it finds. */
interface Execution {
  readonly path: string;
  readonly args: readonly string[];
  /** The descriptor of the document. */
  readonly document: number;
  readonly fds: readonly number[];
  /** Why a program is gone back to; null when it is none. */
  readonly failure: string | null;
}

/** Executes a program in place of this one. Returns when the kernel refuses, with no descriptor kept. */
export function execute(runtime: Runtime, libc: Libc, execution: Execution): void {
  const { path, args, document, failure } = execution;
  const fds = [...execution.fds, document];
  const given = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const env: Record<string, string> = { ...Object.fromEntries(given), [HANDOVER_KEY]: String(document) };
  if (failure !== null) env[HANDOVER_FAILED_KEY] = failure.slice(0, REASON_CHARACTERS_MAX).replaceAll("\0", " ");
  for (const fd of fds) keepOnExec(libc, fd, true);
  replaceProcess(runtime.foreign, libc, { path, args, env });
  for (const fd of fds) keepOnExec(libc, fd, false);
}
