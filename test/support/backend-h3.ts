/**
 * HTTP/3 by `node:quic` for test backends: it can reset, send trailers and interim responses, and shows every field unchecked, but
 * sends no GOAWAY and stalls now and then for a second. (`backend-serve.ts` has a faster one that can do less.)
 */
import { createPrivateKey } from "node:crypto";
import { listen as listenQuic } from "node:quic";
import type { QuicSession, QuicStream } from "node:quic";
import { must } from "../../src/core/assert.ts";
import { announcesTrailers, ClientGone, DeliberateReset, groupFields, PieceChannel } from "./exchange.ts";
import type { BackendExchange, BackendServer, Field } from "./exchange.ts";
import type { BackendListen } from "./backend-tcp.ts";

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
    trailers: () => [],
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
    cut: () => channel.end(),
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

const H3_NO_ERROR = 0x100n;
const H3_INTERNAL_ERROR = 0x102n;
