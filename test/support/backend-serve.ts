/**
 * HTTP by `Bun.serve` for test backends. It is fast, but (Bun 1.4.5) it drops Content-Length from streamed bodies, has no trailers
 * and no interim responses, and shows request fields sorted and joined.
 */
import { must } from "../../src/core/assert.ts";
import { ClientGone, DeliberateReset, PieceChannel } from "./exchange.ts";
import type { BackendExchange, BackendServer } from "./exchange.ts";
import type { BackendListen } from "./backend-tcp.ts";

/** What it may speak; exactly one of them, so that a client cannot choose. */
export type ServeProtocol = "http1" | "https1" | "h2c" | "h2" | "h3";

/** Starts it. `onConnection` is never called. */
export async function startServe(protocol: ServeProtocol, options: BackendListen): Promise<BackendServer> {
  let server = listen(protocol, options, options.port);
  const port = must(server.port, "a listening server has a port");
  return {
    port,
    dropConnections: () => undefined,
    goAway: () => {
      const old = server;
      if (protocol !== "h3") server = listen(protocol, options, port);
      void old.stop();
    },
    stop: () => server.stop(true),
  };
}

/** On TCP the port may be listened on twice, so that one server can take over from another. */
function listen(protocol: ServeProtocol, options: BackendListen, port: number): Bun.Server<undefined> {
  const { tls } = options;
  const server = Bun.serve({
    hostname: options.host,
    port,
    reusePort: protocol !== "h3",
    ...(tls === null ? {} : { tls: { cert: tls.certPem, key: tls.keyPem } }),
    ...VERSIONS[protocol],
    idleTimeout: 0,
    fetch: (request) => {
      const connection = protocol === "h3" ? -1 : (server.requestIP(request)?.port ?? -1);
      const { exchange, response } = serveExchange(request, connection);
      options.onExchange(exchange);
      return response;
    },
  });
  return server;
}

function serveExchange(
  request: Request,
  connection: number,
): { exchange: BackendExchange; response: Promise<Response> } {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const channel = new PieceChannel();
  const { pathname, search } = new URL(request.url);
  request.signal.addEventListener("abort", () => channel.cancel(new ClientGone()));
  let isEmpty = false;
  let begun = false;
  const exchange: BackendExchange = {
    method: request.method,
    target: pathname + search,
    fields: [...request.headers],
    connection,
    body: request.body ?? nothing(),
    trailers: () => [],
    gone: request.signal,
    inform: () => undefined,
    head: (status, fields) => {
      begun = true;
      isEmpty = status === 204 || status === 304 || request.method === "HEAD";
      resolve(new Response(isEmpty ? null : readableOf(channel), { status, headers: fields.map(([n, v]) => [n, v]) }));
    },
    write: (piece) => (isEmpty ? Promise.resolve() : channel.write(piece)),
    end: () => channel.end(),
    // Before the head it cannot: a 500 instead.
    reset: () => {
      if (begun) channel.fail(new DeliberateReset());
      else resolve(new Response(null, { status: 500 }));
    },
    cut: () => channel.end(),
  };
  return { exchange, response: promise };
}

function readableOf(channel: PieceChannel): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const piece = await channel.next();
      if (piece === null) controller.close();
      else controller.enqueue(piece);
    },
    cancel: () => channel.cancel(new ClientGone()),
  });
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

const VERSIONS: Readonly<Record<ServeProtocol, { http1: boolean; http2: boolean; http3: boolean }>> = {
  http1: { http1: true, http2: false, http3: false },
  https1: { http1: true, http2: false, http3: false },
  h2c: { http1: false, http2: true, http3: false },
  h2: { http1: false, http2: true, http3: false },
  h3: { http1: false, http2: false, http3: true },
};
