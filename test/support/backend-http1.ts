/** A test backend's HTTP/1.1 server, in clear or over TLS. */
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { listen, waitForDrain } from "./backend-tcp.ts";
import { pairFields } from "./exchange.ts";
import type { BackendExchange, BackendServer, Field } from "./exchange.ts";
import type { BackendListen } from "./backend-tcp.ts";

/** Starts it; `tls` makes it HTTPS. */
export async function startHttp1(options: BackendListen): Promise<BackendServer> {
  const secure = options.tls !== null;
  const connections = new Map<Socket, number>();
  const serve = (request: IncomingMessage, response: ServerResponse) =>
    options.onExchange(exchangeOf(request, response, connections.get(request.socket) ?? -1, secure));
  const server: Server =
    options.tls === null
      ? createServer(serve)
      : createTlsServer({ cert: options.tls.certPem, key: options.tls.keyPem, ALPNProtocols: ["http/1.1"] }, serve);
  let count = 0;
  server.on(secure ? "secureConnection" : "connection", (socket: Socket) => {
    connections.set(socket, count++);
    options.onConnection();
    socket.on("error", () => undefined);
    socket.once("close", () => connections.delete(socket));
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.requestTimeout = 0;
  const port = await listen(server, options);
  const dropConnections = () => {
    for (const socket of connections.keys()) socket.destroy();
  };
  return {
    port,
    dropConnections,
    goAway: () => server.closeIdleConnections(),
    stop: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      dropConnections();
      return promise;
    },
  };
}

function exchangeOf(
  request: IncomingMessage,
  response: ServerResponse,
  connection: number,
  secure: boolean,
): BackendExchange {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  response.on("error", () => gone.abort());
  request.on("error", () => gone.abort());
  return {
    method: request.method ?? "",
    target: request.url ?? "",
    fields: pairFields(request.rawHeaders),
    connection,
    body: request,
    trailers: () => pairFields(request.rawTrailers),
    gone: gone.signal,
    inform: (_status, fields) => response.writeEarlyHints(earlyHints(fields)),
    head: (status, fields) => {
      response.writeHead(status, fields.flat());
      response.flushHeaders();
    },
    write: (piece) => (response.write(piece) ? Promise.resolve() : waitForDrain(response, gone.signal)),
    end: (trailers) => {
      if (trailers !== undefined) response.addTrailers(Object.fromEntries(trailers));
      response.end();
    },
    // Bun 1.4.5 knows no TCP reset of a TLS socket: it ends without close_notify and without the last chunk.
    reset: () => (secure ? request.socket.destroy() : request.socket.resetAndDestroy()),
    cut: () => void request.socket.end(),
  };
}

/** Node writes no other interim response with fields than 103. */
function earlyHints(fields: readonly Field[]): Record<string, string> {
  return Object.fromEntries(fields);
}

/** Longer than any test, so that a connection ends only when somebody ends it. */
const KEEP_ALIVE_MS = 600_000;
