/** Whether a backend takes TCP connections at all, asked beside fetch, which does not say whether it is still connecting. */
import { connect } from "node:net";
import { ProxyError } from "../core/error.ts";
import { fetchError } from "./fetch-errors.ts";

/** Null: a connection stood within `timeoutMs` and was closed again. Never rejects. */
export type Dial = (host: string, port: number, timeoutMs: number) => Promise<ProxyError | null>;

/** Over the machine's sockets. */
export const dialTcp: Dial = (host, port, timeoutMs) => {
  const { promise, resolve } = Promise.withResolvers<ProxyError | null>();
  const socket = connect({ host, port });
  const where = `${host}:${port}`;
  socket.setTimeout(timeoutMs, () => {
    socket.destroy();
    resolve(new ProxyError("UPSTREAM_CONNECT_TIMEOUT", `${where}: no connection within ${timeoutMs} ms`));
  });
  socket.once("connect", () => {
    socket.destroy();
    resolve(null);
  });
  socket.on("error", (thrown) => resolve(fetchError(thrown, where)));
  return promise;
};
