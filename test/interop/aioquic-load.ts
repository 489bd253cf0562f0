/** Many users by aioquic, who go from connection to connection as they are told to: for what must not be felt by anybody. */
import { join } from "node:path";
import { AssertionFault, must } from "../../src/core/assert.ts";
import { type RunningProcess, startProcess } from "../support/process.ts";
import { AIOQUIC_MISSING, aioquicPython } from "./aioquic.ts";

/** What they do. */
export interface AioquicLoadPlan {
  readonly port: number;
  readonly path: string;
  readonly users: number;
  /** Between two requests of one user; default none. */
  readonly pause_ms?: number;
  /** Then a user opens another connection; default: only when told to. */
  readonly requests_per_connection?: number;
  readonly idle_timeout_ms?: number;
}

/** What they saw, by their own count. */
export interface AioquicLoadResult {
  readonly sent: number;
  /** Answered 200, whole. */
  readonly ok: number;
  /** The server has said that it did not process them; asked again elsewhere. */
  readonly moved: number;
  readonly failed: number;
  readonly connections: number;
  /** GOAWAY frames. */
  readonly goaways: number;
  /** How connections ended that the user had not left: `peer`, `timeout`, `reset`. */
  readonly closes: Readonly<Record<string, number>>;
  /** The first ten. */
  readonly failures: readonly unknown[];
}

/** A load under way. */
export interface AioquicLoad {
  readonly process: RunningProcess;
  /** Waits until so many more requests than now have been answered; counted in hundreds. */
  more(requests: number): Promise<void>;
  /** Ends it. */
  stop(): Promise<AioquicLoadResult>;
}

/** Starts a load. It is killed at the end of the test that started it. */
export function startAioquicLoad(plan: AioquicLoadPlan): AioquicLoad {
  const child = startProcess({
    command: [must(aioquicPython, AIOQUIC_MISSING), CLIENT],
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    input: `${JSON.stringify(plan)}\n`,
  });
  const answered = (line: string): number => {
    const value: Record<string, unknown> = line.startsWith('{"event"') ? JSON.parse(line) : {};
    return value["event"] === "answered" ? Number(value["count"]) : 0;
  };
  return {
    process: child,
    async more(requests) {
      const before = Math.max(0, ...child.stdout.map(answered));
      await child.waitForLine((line) => answered(line) >= before + requests);
    },
    async stop() {
      child.write("stop\n");
      const { code } = await child.ended;
      const line = child.stdout.find((text) => text.startsWith('{"result"'));
      if (code !== 0 || line === undefined) throw new AssertionFault(`the load has failed:\n${child.output()}`);
      return JSON.parse(line).result;
    },
  };
}

const CLIENT = join(import.meta.dir, "aioquic_load.py");
