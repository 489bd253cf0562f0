/** A TCP relay that a test can make go silent: what comes is taken and passed on no more, and nobody is told. */
import { afterAll } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { listen } from "./backend-tcp.ts";

/** A running relay. It stops at the end of the test, group or file that started it. */
export interface Relay {
  readonly port: number;
  /** Connections so far. */
  readonly connections: number;
  /** From now on connections that stand pass nothing on. New ones do. */
  goSilent(): void;
}

/** Relays to a port of the loopback address. */
export async function startRelay(toPort: number): Promise<Relay> {
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connect({ host: "127.0.0.1", port: toPort });
    sockets.push(near, far);
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
    near.pipe(far);
    far.pipe(near);
  });
  const port = await listen(server, { host: "127.0.0.1", port: 0 });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port,
    get connections() {
      return sockets.length / 2;
    },
    goSilent: () => {
      for (const socket of sockets) socket.unpipe().resume();
    },
  };
}
