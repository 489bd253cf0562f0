/** A test backend's HTTP/2 server: over TLS (ALPN h2 only) or in clear with prior knowledge (h2c). */
import { createSecureServer, createServer } from "node:http2";
import type { Http2Server, IncomingHttpHeaders, Http2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { listen, waitForDrain } from "./backend-tcp.ts";
import { announcesTrailers, DeliberateReset, groupFields, pairFields } from "./exchange.ts";
import type { BackendExchange, BackendServer, Field } from "./exchange.ts";
import type { BackendListen } from "./backend-tcp.ts";

/** Starts it; without `tls` it speaks h2c. */
export async function startHttp2(options: BackendListen): Promise<BackendServer> {
  const server: Http2Server =
    options.tls === null
      ? createServer(SETTINGS)
      : createSecureServer({ ...SETTINGS, cert: options.tls.certPem, key: options.tls.keyPem });
  const sessions = new Map<Http2Session, number>();
  const sockets = new Set<Socket>();
  let count = 0;
  server.on("session", (session: Http2Session) => {
    sessions.set(session, count++);
    options.onConnection();
    session.on("error", () => undefined);
    session.once("close", () => sessions.delete(session));
  });
  server.on(options.tls === null ? "connection" : "secureConnection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("sessionError", () => undefined);
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    const connection = stream.session === undefined ? -1 : (sessions.get(stream.session) ?? -1);
    options.onExchange(exchangeOf(stream, headers, pairFields(raw), connection));
  });
  const port = await listen(server, options);
  // Not by `destroy` of the session: Bun 1.4.5 ends what is under way there as if it were whole.
  const dropConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    dropConnections,
    goAway: () => {
      for (const session of sessions.keys()) session.close();
    },
    stop: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      dropConnections();
      return promise;
    },
  };
}

function exchangeOf(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  fields: readonly Field[],
  connection: number,
): BackendExchange {
  const gone = new AbortController();
  let trailersToSend: readonly Field[] = [];
  let trailersReceived: readonly Field[] = [];
  stream.on("trailers", (received: IncomingHttpHeaders) => {
    trailersReceived = Object.entries(received).map(([name, value]) => [name, String(value)]);
  });
  stream.on("error", () => gone.abort());
  stream.once("aborted", () => gone.abort());
  stream.once("close", () => {
    if (!stream.writableFinished) gone.abort();
  });
  stream.once("wantTrailers", () => {
    if (trailersToSend.length > 0) stream.sendTrailers(groupFields(trailersToSend));
    else stream.close();
  });
  return {
    method: String(headers[":method"]),
    target: String(headers[":path"]),
    fields,
    connection,
    body: stream,
    trailers: () => trailersReceived,
    gone: gone.signal,
    inform: (status, extra) => stream.additionalHeaders({ ":status": status, ...groupFields(extra) }),
    head: (status, extra) =>
      stream.respond({ ":status": status, ...groupFields(extra) }, { waitForTrailers: announcesTrailers(extra) }),
    write: (piece) => (stream.write(piece) ? Promise.resolve() : waitForDrain(stream, gone.signal)),
    end: (trailers = []) => {
      trailersToSend = trailers;
      stream.end();
    },
    // Not `close(code)`: Bun 1.4.5 ends the response cleanly there (oven-sh/bun 33380). An error goes out as INTERNAL_ERROR.
    reset: () => stream.destroy(new DeliberateReset()),
    cut: () => void stream.end(),
  };
}

const SETTINGS = { settings: { maxConcurrentStreams: 1000 } };
