/** An HTTP/2 server that plays frames by hand: for answers that no HTTP library would send. */
import { afterAll } from "bun:test";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { FLAG, FRAME } from "../../src/h2/codes.ts";
import { HpackEncoder } from "../../src/h2/hpack-encoder.ts";
import { listen } from "./backend-tcp.ts";
import { dataFrame, frame, framesOf, joined, type SentFrame, settingsFrame, words } from "./h2-peer.ts";
import { type Field, sectionOf } from "./sections.ts";

/** What to start. */
export interface H2RawOptions {
  /** Speaks TLS with ALPN h2; without it in clear, by prior knowledge. */
  readonly tls?: { readonly certPem: string; readonly keyPem: string };
  /** A request's head has come: the `n`-th of all connections, from 0. */
  readonly onRequest: (peer: H2RawPeer, streamId: number, n: number) => void;
}

/** A running one. It stops at the end of the test, group or file that started it. */
export interface H2RawBackend {
  readonly port: number;
  /** One entry for each connection so far. */
  readonly peers: readonly H2RawPeer[];
  /** Requests so far. */
  readonly requests: number;
}

/** One connection. */
export class H2RawPeer {
  /** All frames so far. */
  readonly frames: SentFrame[] = [];
  /** Resolves when the other side has ended or reset the connection. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #encoder = new HpackEncoder();
  #waiting: { readonly type: number; readonly resolve: (found: SentFrame) => void }[] = [];
  #unread = Buffer.alloc(0);
  #prefaceSeen = false;

  constructor(socket: Socket, onHead: (streamId: number) => void) {
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    for (const event of ["end", "close", "error"]) socket.on(event, () => resolve());
    socket.on("data", (piece: Uint8Array) => {
      this.#unread = Buffer.concat([this.#unread, piece]);
      for (const found of this.#takeFrames()) {
        this.frames.push(found);
        if (found.type === FRAME.headers) onHead(found.streamId);
        for (const { resolve: tell } of this.#waiting.filter(({ type }) => type === found.type)) tell(found);
        this.#waiting = this.#waiting.filter(({ type }) => type !== found.type);
      }
    });
    this.say(settingsFrame(), frame(FRAME.settings, FLAG.ack, 0));
  }

  /** Sends frames, in one piece. */
  say(...parts: readonly Uint8Array[]): void {
    this.#socket.write(joined(...parts));
  }

  /** HEADERS. */
  headers(streamId: number, fields: readonly Field[], endStream: boolean = false): Uint8Array {
    const section = sectionOf(fields);
    const into = new Uint8Array(HpackEncoder.blockBytesMax(section));
    const block = into.slice(0, this.#encoder.putSection(section, into, this.#encoder.begin(into, 0)));
    return frame(FRAME.headers, FLAG.endHeaders | (endStream ? FLAG.endStream : 0), streamId, block);
  }

  /** Sends a whole answer. */
  answer(streamId: number, text: string = "ok"): void {
    this.say(this.headers(streamId, [[":status", "200"]]), dataFrame(streamId, text, true));
  }

  reset(streamId: number, code: number): void {
    this.say(frame(FRAME.resetStream, 0, streamId, words(code)));
  }

  goaway(lastId: number, code: number = 0): void {
    this.say(frame(FRAME.goaway, 0, 0, words(lastId, code)));
  }

  /** Orderly end of the connection. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The first frame of this type, old or new. */
  frame(type: number): Promise<SentFrame> {
    const found = this.frames.find((seen) => seen.type === type);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve) => this.#waiting.push({ type, resolve }));
  }

  #takeFrames(): readonly SentFrame[] {
    if (!this.#prefaceSeen) {
      if (this.#unread.length < PREFACE_BYTES) return [];
      this.#unread = this.#unread.subarray(PREFACE_BYTES);
      this.#prefaceSeen = true;
    }
    let whole = 0;
    while (this.#unread.length >= whole + 9) {
      const end = whole + 9 + this.#unread.readUIntBE(whole, 3);
      if (end > this.#unread.length) break;
      whole = end;
    }
    const frames = framesOf(this.#unread.subarray(0, whole));
    this.#unread = this.#unread.subarray(whole);
    return frames;
  }
}

/** Starts it. */
export async function startH2RawBackend({ tls, onRequest }: H2RawOptions): Promise<H2RawBackend> {
  const peers: H2RawPeer[] = [];
  let requests = 0;
  const accept = (socket: Socket): void => {
    const peer: H2RawPeer = new H2RawPeer(socket, (streamId) => onRequest(peer, streamId, requests++));
    peers.push(peer);
  };
  const server =
    tls === undefined
      ? createServer(accept)
      : createTlsServer({ cert: tls.certPem, key: tls.keyPem, ALPNProtocols: ["h2"] }, accept);
  const port = await listen(server, { host: "127.0.0.1", port: 0 });
  afterAll(() => {
    for (const peer of peers) peer.destroy();
    server.close();
  });
  return {
    port,
    peers,
    get requests() {
      return requests;
    },
  };
}

/** `PRI * HTTP/2.0` and what follows it. */
const PREFACE_BYTES = 24;
