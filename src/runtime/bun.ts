/** Bun. */
import { bunForeign } from "../../ffi/open.bun.ts";
import { bunProcesses } from "./bun-processes.ts";
import { connectBunStream } from "./bun-streams.ts";
import { createBunWaker } from "./bun-waker.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime Bun. */
export const bunRuntime: Runtime = {
  name: "bun",
  version: Bun.version,
  foreign: bunForeign,
  connectStream: connectBunStream,
  processes: bunProcesses,
  createWaker: createBunWaker,
};
