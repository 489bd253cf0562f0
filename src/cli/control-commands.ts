/** `spooky upgrade`, `spooky reload`, `spooky status`: what is asked of a program that runs, and what it answers, for people. */
import { resolve } from "node:path";
import process from "node:process";
import {
  askAfterReplacement,
  askControl,
  awaitFormer,
  type FinalAnswer,
  type NoAnswer,
} from "../control/control-client.ts";
import type { ControlRequest, Refusal } from "../control/control-message.ts";
import { controlPlaces } from "../control/control-place.ts";
import { ProxyError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { writeNow } from "../observe/sink.ts";
import type { ControlCommand } from "./args.ts";
import { EXIT } from "./command.ts";
import { readConfiguration, readStatedControlSocket } from "./configuration.ts";
import { statusText } from "./status-text.ts";

/** Asks, tells the answer, and returns the exit code. */
export async function runControl(command: ControlCommand): Promise<number> {
  const { places, problem } = placesOf(command);
  if (places === null) return complain("control.socket is off in this configuration", EXIT.usage, SIGNALS_REMEDY);
  const request = requestOf(command);
  // A service of another user may run beside this user's own program, whose place comes later.
  let forbidden: string | null = null;
  for (const path of places) {
    if (command.wait) await awaitFormer(path, tellWait);
    const answer = await askControl(path, request, tellProgress);
    if (answer === "forbidden") forbidden ??= path;
    else if (answer !== "nobody") return tell(command, path, answer);
  }
  if (forbidden !== null) return complainOfNone("forbidden", forbidden);
  if (problem !== null) writeNow(2, `${problem}\n`);
  return complain(
    `nothing runs at ${places.join(" or ")}`,
    EXIT.usage,
    "start it, or name its socket with --control PATH, or the configuration that it was started with by --config PATH",
  );
}

const SIGNALS_REMEDY = "the process obeys signals: SIGHUP reloads, SIGUSR2 upgrades";

interface Places {
  /** Null: the configuration has none. */
  readonly places: readonly string[] | null;
  /** What is wrong with the configuration, which may be why the right place is not among them. */
  readonly problem: string | null;
}

/** A configuration that is wrong by now must not keep people from the program that still runs with a former one. */
function placesOf({ controlPath, configPath }: ControlCommand): Places {
  if (controlPath !== null) return { places: [resolve(controlPath)], problem: null };
  const usual = controlPlaces(process.env);
  try {
    const { socket } = readConfiguration(configPath).snapshot.control;
    if (socket === null) return { places: null, problem: null };
    return { places: socket === "auto" ? usual : [socket], problem: null };
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    const stated = readStatedControlSocket(configPath);
    return { places: stated === null ? usual : [stated], problem: thrown.message };
  }
}

function requestOf(command: ControlCommand): ControlRequest {
  if (command.kind === "reload") return { do: command.rollback ? "rollback" : "reload" };
  if (command.kind !== "upgrade") return { do: command.kind };
  return { do: "upgrade", binary: command.binary === null ? null : resolve(command.binary) };
}

async function tell(command: ControlCommand, path: string, answer: FinalAnswer | NoAnswer): Promise<number> {
  if (typeof answer === "string") return complainOfNone(answer, path);
  switch (answer.is) {
    case "refused":
      return complainOfRefusal(answer);
    case "status": {
      const isJson = command.kind === "status" && command.json;
      writeNow(1, isJson ? `${JSON.stringify(answer.status, null, 2)}\n` : statusText(answer.status, Date.now()));
      return EXIT.ok;
    }
    case "done":
      return command.kind === "upgrade"
        ? tellUpgraded(path, answer.generation)
        : tellReloaded(answer.generation, answer.text);
    case "replacing":
      return command.kind === "upgrade"
        ? tellUpgraded(path, answer.generation)
        : askNext(command, path, answer.generation);
  }
}

/** The program was being replaced when its turn came: the next one is asked. What it has done of it by itself, it answers as unchanged. */
async function askNext(command: ControlCommand, path: string, generation: number): Promise<number> {
  await askAfterReplacement(path, generation);
  return tell(command, path, await askControl(path, requestOf(command), tellProgress));
}

function tellProgress(text: string): void {
  writeNow(1, `${text}\n`);
}

function tellWait(generation: number): void {
  tellProgress(`it waits: generation ${generation} still finishes what it has`);
}

function tellDone(generation: number): number {
  writeNow(1, `done: generation ${generation} serves, and the one before it finishes what it has\n`);
  return EXIT.ok;
}

function tellReloaded(generation: number, text: string | undefined): number {
  if (text === undefined) return tellDone(generation);
  writeNow(1, `done: generation ${generation} serves; ${text}\n`);
  return EXIT.ok;
}

/** The program itself may have gone on as another one meanwhile: it has the last word. */
async function tellUpgraded(path: string, generation: number): Promise<number> {
  const answer = await askAfterReplacement(path, generation);
  if (typeof answer === "string" || answer.is !== "status") {
    const seconds = LIMITS.controlReturnMsMax / 1000;
    const reason = `generation ${generation} serves, but the program has said nothing for ${seconds} s since it was replaced`;
    return complain(reason, EXIT.failure, "see its log; `spooky status` asks again");
  }
  const { version, pid, notice } = answer.status;
  if (typeof notice === "string")
    return complain(`generation ${generation} serves, but ${notice}`, EXIT.failure, "`spooky upgrade` tries it again");
  writeNow(1, `version ${String(version)} runs as pid ${String(pid)}\n`);
  return tellDone(generation);
}

function complainOfRefusal({ reason, remedy }: Refusal): number {
  return complain(reason, EXIT.failure, remedy);
}

const WORDS_OF_NONE: Readonly<Record<Exclude<NoAnswer, "nobody">, (path: string) => readonly [string, string]>> = {
  forbidden: (path) => [`${path} is another user's`, "run this as that user or as root"],
  lost: () => ["the connection was lost before an answer came", "see the program's log; `spooky status` asks again"],
  silent: () => ["no answer came", "see the program's log; `spooky status` asks again"],
  unclear: (path) => [
    `what answers at ${path} does not say anything known`,
    "use the `spooky` of the release that runs",
  ],
};

function complainOfNone(what: NoAnswer, path: string): number {
  if (what === "nobody") return complain(`nothing runs at ${path}`, EXIT.usage, null);
  const [reason, remedy] = WORDS_OF_NONE[what](path);
  return complain(reason, EXIT.failure, remedy);
}

function complain(reason: string, code: number, remedy: string | null): number {
  writeNow(2, `spooky: ${reason}\n${remedy === null ? "" : `  ${remedy}\n`}`);
  return code;
}
