/** The asking side of the control socket. */
import { LIMITS } from "../core/limits.ts";
import { connectUnix, type UnixStream } from "../runtime/unix-sockets.ts";
import {
  type ControlAnswer,
  type ControlRequest,
  isRecord,
  readAnswer,
  type StatusDocument,
  writeControl,
} from "./control-message.ts";
import { codeOf } from "./control-place.ts";
import { LineCutter } from "./worker-link.ts";

/** The last answer to a request. */
export type FinalAnswer = Exclude<ControlAnswer, { readonly is: "progress" }>;

/**
 * Why there is none. `nobody`: nothing listens there. `forbidden`: it is another user's. `lost`: the connection ended first. `silent`: no
 * word for `LIMITS.controlAnswerMsMax`. `unclear`: an answer that this program does not understand.
 */
export type NoAnswer = "nobody" | "forbidden" | "lost" | "silent" | "unclear";

/** Asks once. `onProgress` hears what is said on the way. */
export async function askControl(
  path: string,
  request: ControlRequest,
  onProgress: (text: string) => void = () => undefined,
): Promise<FinalAnswer | NoAnswer> {
  const answer = Promise.withResolvers<FinalAnswer | NoAnswer>();
  let timer = setTimeout(() => answer.resolve("silent"), LIMITS.controlAnswerMsMax);
  const cutter = new LineCutter();
  const onLine = (line: string): void => {
    clearTimeout(timer);
    timer = setTimeout(() => answer.resolve("silent"), LIMITS.controlAnswerMsMax);
    const read = readAnswer(line);
    if (read?.is === "progress") onProgress(read.text);
    else answer.resolve(read ?? "unclear");
  };
  const onText = (text: string): void => {
    const lines = cutter.push(text);
    if (lines === null) return answer.resolve("unclear");
    for (const line of lines) onLine(line);
  };
  let stream: UnixStream | null = null;
  try {
    stream = await connectUnix(path, () => ({ onText, onClosed: () => answer.resolve("lost") }));
    stream.send(writeControl(request));
    return await answer.promise;
  } catch (thrown) {
    return codeOf(thrown) === "EACCES" || codeOf(thrown) === "EPERM" ? "forbidden" : "nobody";
  } finally {
    clearTimeout(timer);
    stream?.destroy();
  }
}

const FORMER_POLL_MS = 250;

/**
 * Waits until no workers are left that finish what they had before others took over: an upgrade would be refused while there are. Resolves as
 * well after `LIMITS.upgradeWaitMsMax`, and when nobody answers: whoever asks then hears why. `onWait` hears of which generation they are.
 */
export async function awaitFormer(path: string, onWait: (generation: number) => void): Promise<void> {
  const endMs = performance.now() + LIMITS.upgradeWaitMsMax;
  for (let told = NaN; performance.now() < endMs;) {
    const answer = await askControl(path, { do: "status" });
    const former = typeof answer === "object" && answer.is === "status" ? drainingOf(answer.status) : null;
    if (former === null) return;
    if (former !== told) onWait(former);
    told = former;
    await new Promise((resolve) => setTimeout(resolve, FORMER_POLL_MS));
  }
}

function drainingOf({ crews }: StatusDocument): number | null {
  const former = Array.isArray(crews) ? crews.find((crew) => isRecord(crew) && crew["role"] === "draining") : undefined;
  return former === undefined ? null : Number(former["generation"]);
}

const RETURN_POLL_MS = 50;

/**
 * Asks a program that replaces itself how it is, again and again until it is there once more or `LIMITS.controlReturnMsMax` is over. The
 * answer of one whose generation is older than `generation` is not the one that is waited for.
 */
export async function askAfterReplacement(path: string, generation: number): Promise<FinalAnswer | NoAnswer> {
  const endMs = performance.now() + LIMITS.controlReturnMsMax;
  for (;;) {
    const answer = await askControl(path, { do: "status" });
    if (typeof answer === "object" && answer.is === "status" && Number(answer.status["generation"]) >= generation)
      return answer;
    if (performance.now() > endMs) return answer;
    await new Promise((resolve) => setTimeout(resolve, RETURN_POLL_MS));
  }
}
