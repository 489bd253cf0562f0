/** A port that a child process gets together with the socket that listens on it, so that nobody can take it in between. */
import { must } from "../../src/core/assert.ts";

/** A socket that listens on a port of the kernel's choice and accepts nobody. */
export interface ListeningSocket {
  readonly port: number;
  readonly descriptor: number;
  /** To be called once the child has it. */
  close(): void;
}

/** Makes one on 127.0.0.1. */
export function listeningSocket(): ListeningSocket {
  const socket = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const descriptor: unknown = Reflect.get(socket, "fd");
  return {
    port: socket.port,
    descriptor: must(typeof descriptor === "number" ? descriptor : null, "a listening socket has a descriptor"),
    close: () => socket.stop(true),
  };
}
