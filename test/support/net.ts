/** Ports chosen by the kernel, and waiting for a listener by talking to it. */
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { AssertionFault } from "../../src/core/assert.ts";

/**
 * A port that was free for TCP and UDP a moment ago. Prefer port 0 and reading back the choice; this is for a port that must be
 * known before (a configuration file that is read twice) or that must refuse connections.
 */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  for (let tries = 0; tries < FREE_PORT_TRIES; tries++) {
    const port = await listenTcpOnce(host);
    if (await canBindUdp(host, port)) return port;
  }
  throw new AssertionFault(`no port of ${host} was free for TCP and UDP in ${FREE_PORT_TRIES} tries`);
}

/** True when something accepts TCP connections there. */
export function acceptsTcp(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port });
  socket.once("connect", () => {
    socket.destroy();
    resolve(true);
  });
  socket.once("error", () => resolve(false));
  return promise;
}

/**
 * Waits until `condition` holds, asking again every few milliseconds. Only for states that nothing announces; the test's own
 * time limit ends a wait in vain.
 */
export async function waitUntil(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** Waits for a TCP listener. */
export function waitForTcp(host: string, port: number): Promise<void> {
  return waitUntil(() => acceptsTcp(host, port));
}

function listenTcpOnce(host: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen(0, host, () => {
    const address = server.address();
    server.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0));
  });
  return promise;
}

function canBindUdp(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.once("error", () => resolve(false));
  socket.bind(port, host, () => socket.close(() => resolve(true)));
  return promise;
}

const FREE_PORT_TRIES = 20;
const POLL_MS = 5;
