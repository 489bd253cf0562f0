/** Deno. Nothing here names Bun. */
import { denoForeign, denoPoll } from "../../ffi/open.deno.ts";
import { SOCKET } from "../../ffi/layout.ts";
import type { Library } from "../../ffi/library.ts";
import { Arena } from "../../ffi/memory.ts";
import { connectNodeStream } from "./node-streams.ts";
import type { Runtime, Waker, WakerHost } from "./runtime.ts";

/** A poll that is not answered ends after this, so that a closed waker leaves no thread behind for longer. */
const POLL_MS = 250;
const POLLFD_BYTES = 8;
const EVENTS_AT = 4;

/** The runtime Deno. */
export const denoRuntime: Runtime = {
  name: "deno",
  version: readVersion(),
  foreign: denoForeign,
  connectStream: connectNodeStream,
  processes: null,
  createWaker: createDenoWaker,
};

/** `poll(2)` on a thread of Deno's pool, as a promise. */
function createDenoWaker(library: Library, fds: readonly number[], host: WakerHost): Promise<Waker> {
  const poll = denoPoll();
  const arena = new Arena(library.foreign, POLLFD_BYTES * fds.length);
  let wanted = 0;
  let polling = false;
  let closed = false;
  const run = async (): Promise<void> => {
    polling = true;
    while (!closed && wanted !== 0) {
      fds.forEach((fd, i) => {
        arena.view.setInt32(POLLFD_BYTES * i, fd, true);
        arena.view.setUint32(POLLFD_BYTES * i + EVENTS_AT, wanted, true);
      });
      const ready = await poll(arena.address, fds.length, POLL_MS);
      if (closed || ready <= 0) continue;
      wanted = 0;
      host.onWake();
    }
    polling = false;
  };
  return Promise.resolve({
    arm(alsoWritable: boolean) {
      wanted = alsoWritable ? SOCKET.POLLIN | SOCKET.POLLOUT : SOCKET.POLLIN;
      if (!polling) void run();
    },
    close() {
      closed = true;
    },
  });
}

function readVersion(): string {
  const { Deno: deno } = globalThis as unknown as { Deno?: { version: { deno: string } } };
  return deno?.version.deno ?? "";
}
