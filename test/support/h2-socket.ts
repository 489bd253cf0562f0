/** Drives the HTTP/2 client over a real socket, in the plainest way: one write after each read and each request. */
import { connect, type Socket } from "node:net";
import { Counters } from "../../src/core/counters.ts";
import { FieldWriter } from "../../src/core/field-writer.ts";
import { Http2Connection } from "../../src/h2/connection.ts";
import { NotedStream } from "./h2-peer.ts";
import { type Field, sectionOf } from "./sections.ts";
import type { H2Stream } from "../../src/h2/stream.ts";

/** What a request came to. */
export interface Answer {
  readonly notes: readonly string[];
  readonly body: string;
}

/** How a request is sent. */
export interface RequestShape {
  readonly fields: readonly Field[];
  readonly body?: Uint8Array;
  readonly trailers?: readonly Field[];
  /** How much of each piece is consumed; 1 is all. */
  readonly onStream?: (stream: H2Stream, sink: NotedStream) => void;
}

/** A connection to a server on the loopback address. */
export class H2Socket {
  readonly counters = new Counters();
  readonly client: Http2Connection;
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #ready = Promise.withResolvers<void>();
  #isBlocked = false;

  constructor(port: number) {
    const sink = {
      onReady: () => this.#ready.resolve(),
      onOpenable: () => {},
      onGoaway: () => {},
      onFailure: () => queueMicrotask(() => this.flush()),
    };
    this.client = new Http2Connection({ sink, writer: new FieldWriter(), counters: this.counters, nowMs: 0 });
    this.#socket = connect({ port, host: "127.0.0.1" }, () => this.flush());
    this.#socket.on("data", (chunk: Uint8Array) => {
      this.client.receive(chunk, performance.now());
      this.flush();
    });
    this.#socket.on("drain", () => {
      this.#isBlocked = false;
      this.flush();
    });
    this.#socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.#socket.on("close", () => {
        this.client.lost("closed");
        resolve();
      });
    });
  }

  /** The server's SETTINGS came: many requests may be opened at once. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  flush(): void {
    const { output } = this.client;
    while (output.length > 0 && !this.#isBlocked) {
      // The socket keeps what it is given, so it is given a copy.
      const bytes = output.pending().slice();
      this.#isBlocked = !this.#socket.write(bytes);
      this.client.flushed(bytes.length);
    }
    if (this.client.failure !== null) this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Sends a request, body and all, and answers with all that came back. */
  request(shape: RequestShape): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sink = new NotedStream();
      const body = shape.body ?? null;
      const stream = this.client.open(
        sectionOf(shape.fields),
        body !== null || shape.trailers !== undefined,
        sink,
        performance.now(),
      );
      if (stream === null) {
        reject(new TypeError("no stream is free"));
        return;
      }
      let sent = 0;
      let isSent = false;
      const pump = (): void => {
        if (isSent || (body === null && shape.trailers === undefined)) return;
        const bytes = body ?? new Uint8Array(0);
        const last = shape.trailers === undefined;
        sent += this.client.send(stream, bytes, sent, bytes.length, last);
        if (sent < bytes.length || stream.isReset) return;
        isSent = true;
        if (shape.trailers !== undefined) this.client.sendTrailers(stream, sectionOf(shape.trailers));
      };
      sink.onCall = (call) => {
        if (call === "writable") pump();
        if (call.startsWith("data")) this.client.consumed(stream, stream.unconsumedBytes);
        if (call === "end" || call.startsWith("reset")) resolve({ notes: sink.notes, body: sink.body });
      };
      shape.onStream?.(stream, sink);
      pump();
      this.flush();
    });
  }
}
