/** Load by aioquic that goes on until it is told to end, over connections that follow GOAWAY and change their ports. */
import { join } from "node:path";
import { AssertionFault, must } from "../../src/core/assert.ts";
import type { NetworkPlace } from "../support/netns.ts";
import { startProcess } from "../support/process.ts";
import { AIOQUIC_MISSING, aioquicPython } from "./aioquic.ts";

/** What to ask for. */
export interface MovingLoadPlan {
  readonly host: string;
  readonly port: number;
  /** Addresses that connections begin at, in turn. */
  readonly local_hosts: readonly string[];
  readonly path: string;
  readonly connections: number;
  /** Requests a second of each connection. */
  readonly rate: number;
  /** Another port after every so many requests of a connection. */
  readonly move_every: number;
}

/** What came of it. `sent` is `answered` and `failed`; a request that was `rejected` unseen is none. */
export interface MovingLoad {
  readonly counts: Readonly<
    Partial<
      Record<"sent" | "answered" | "failed" | "rejected" | "connections" | "rebinds" | "stateless_resets", number>
    >
  >;
  readonly failures: readonly unknown[];
}

/** Starts it; what is returned ends it and gives its counts. Rejects when it broke or sent nothing. */
export function startMovingLoad(plan: MovingLoadPlan, place?: NetworkPlace): () => Promise<MovingLoad> {
  const command = [must(aioquicPython, AIOQUIC_MISSING), join(import.meta.dir, "moving_load.py")];
  const child = startProcess({
    command: place?.command(command) ?? command,
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    input: `${JSON.stringify(plan)}\n`,
  });
  return async () => {
    child.closeInput();
    const { code } = await child.ended;
    const [line] = child.stdout;
    const load: MovingLoad | null = code === 0 && line !== undefined ? JSON.parse(line) : null;
    if (load === null || !load.counts.sent) throw new AssertionFault(`aioquic's load broke:\n${child.output()}`);
    return load;
  };
}
