/**
 * Two HTTP/3 servers for test backends. `startHttp3` is `Bun.serve`: fast, but (Bun 1.4.5) it drops Content-Length from streamed
 * bodies, has no trailers and no interim responses, shows request fields sorted and joined, and ends a broken response cleanly.
 * `startQuic` is `node:quic`: it can do all of that and shows every field unchecked, but sends no GOAWAY and stalls now and then
 * for a second.
 */
import { createPrivateKey } from "node:crypto";
import { listen as listenQuic } from "node:quic";
import type { QuicSession, QuicStream } from "node:quic";
import { must } from "../../src/core/assert.ts";
import { announcesTrailers, ClientGone, DeliberateReset, groupFields, PieceChannel } from "./exchange.ts";
import type { BackendExchange, BackendServer, Field } from "./exchange.ts";
import type { BackendListen } from "./backend-tcp.ts";

/** HTTP/3 by `Bun.serve`. Connections are not told apart. */
export async function startHttp3(options: BackendListen): Promise<BackendServer> {
  const tls = must(options.tls, "HTTP/3 needs a certificate");
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    tls: { cert: tls.certPem, key: tls.keyPem },
    http3: true,
    http1: false,
    idleTimeout: 0,
    fetch: (request) => {
      const { exchange, response } = serveExchange(request);
      options.onExchange(exchange);
      return response;
    },
  });
  return {
    port: must(server.port, "a listening server has a port"),
    dropConnections: () => undefined,
    goAway: () => void server.stop(),
    stop: () => server.stop(true),
  };
}

function serveExchange(request: Request): { exchange: BackendExchange; response: Promise<Response> } {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const channel = new PieceChannel();
  const { pathname, search } = new URL(request.url);
  request.signal.addEventListener("abort", () => channel.cancel(new ClientGone()));
  const exchange: BackendExchange = {
    method: request.method,
    target: pathname + search,
    fields: [...request.headers],
    connection: -1,
    body: request.body ?? nothing(),
    gone: request.signal,
    inform: () => undefined,
    head: (status, fields) => {
      const empty = status === 204 || status === 304 || request.method === "HEAD";
      resolve(new Response(empty ? null : readableOf(channel), { status, headers: fields.map(([n, v]) => [n, v]) }));
    },
    write: (piece) => channel.write(piece),
    end: () => channel.end(),
    // It cannot: a 500 before the head, a clean end after it. Tests of broken responses take `h3-quic`.
    reset: () => {
      channel.cancel(new DeliberateReset());
      resolve(new Response(null, { status: 500 }));
    },
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

/** HTTP/3 by `node:quic`, with resets, trailers and interim responses. */
export async function startQuic(options: BackendListen): Promise<BackendServer> {
  const tls = must(options.tls, "HTTP/3 needs a certificate");
  const sessions = new Set<QuicSession>();
  let count = 0;
  const endpoint = await listenQuic(
    (session) => {
      const connection = count++;
      sessions.add(session);
      options.onConnection();
      const forget = () => sessions.delete(session);
      session.closed.then(forget, forget);
      session.onstream = (stream) => {
        stream.onheaders = (headers) => options.onExchange(quicExchange(stream, headers, connection));
      };
    },
    {
      alpn: ["h3"],
      sni: { "*": { keys: [createPrivateKey(tls.keyPem)], certs: [Buffer.from(tls.certPem)] } },
      endpoint: { address: `${options.host}:${options.port}` },
    },
  );
  // With a code, so that a CONNECTION_CLOSE goes out and clients do not wait for the idle timeout.
  const closeAll = () => {
    for (const session of sessions) session.destroy(undefined, { code: H3_NO_ERROR, type: "application" });
  };
  return {
    port: must(endpoint.address, "a listening endpoint has an address").port,
    dropConnections: closeAll,
    goAway: () => undefined,
    stop: async () => {
      closeAll();
      endpoint.destroy();
      await endpoint.closed.catch(() => undefined);
    },
  };
}

function quicExchange(
  stream: QuicStream,
  headers: NodeJS.Dict<string | string[]>,
  connection: number,
): BackendExchange {
  const gone = new AbortController();
  const channel = new PieceChannel();
  let begun = false;
  let trailersToSend: readonly Field[] = [];
  const leave = () => {
    gone.abort();
    channel.cancel(new ClientGone());
  };
  stream.closed.then(leave, leave);
  stream.onreset = leave;
  stream.onerror = () => undefined;
  return {
    method: String(headers[":method"]),
    target: String(headers[":path"]),
    fields: fieldsOf(headers),
    connection,
    body: piecesOf(stream),
    gone: gone.signal,
    inform: (status, fields) =>
      void stream.sendInformationalHeaders({ ":status": String(status), ...groupFields(fields) }),
    head: (status, fields) => {
      stream.sendHeaders({ ":status": String(status), ...groupFields(fields) });
      if (announcesTrailers(fields)) stream.onwanttrailers = () => stream.sendTrailers(groupFields(trailersToSend));
      stream.setBody(bodyOf(channel));
      begun = true;
    },
    write: (piece) => channel.write(piece),
    end: (trailers = []) => {
      trailersToSend = trailers;
      channel.end();
    },
    reset: () => {
      if (begun) channel.fail(new DeliberateReset());
      else stream.destroy(undefined, { code: H3_INTERNAL_ERROR });
    },
  };
}

function fieldsOf(headers: NodeJS.Dict<string | string[]>): Field[] {
  const fields: Field[] = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value ?? ""]) fields.push([name, one]);
  }
  return fields;
}

async function* piecesOf(stream: QuicStream): AsyncGenerator<Uint8Array> {
  for await (const pieces of stream) yield* pieces;
}

async function* bodyOf(channel: PieceChannel): AsyncGenerator<Uint8Array> {
  for (let piece = await channel.next(); piece !== null; piece = await channel.next()) yield piece;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

const H3_NO_ERROR = 0x100n;
const H3_INTERNAL_ERROR = 0x102n;
