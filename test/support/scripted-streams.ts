/** Connections to backends by script: a test is the network. */
import { must } from "../../src/core/assert.ts";
import { ProxyError } from "../../src/core/error.ts";
import type { ByteStream, StreamAttempt, StreamTarget, StreamUser } from "../../src/runtime/streams.ts";

/** One connection, or an attempt at one. */
export class ScriptedStream implements ByteStream, StreamAttempt {
  readonly target: StreamTarget;
  alpn: string | null = null;
  readonly written: number[] = [];
  abandoned = false;
  /** Bytes that the socket takes in one write. */
  roomBytes = Infinity;
  readonly #user: StreamUser;

  constructor(target: StreamTarget, user: StreamUser) {
    this.target = target;
    this.#user = user;
  }

  write(bytes: Uint8Array, at: number, end: number): number {
    const taken = Math.min(end - at, this.roomBytes);
    for (let i = at; i < at + taken; i++) this.written.push(bytes[i] ?? 0);
    return taken;
  }

  pause(): void {
    // A script sends when it likes.
  }

  resume(): void {
    // Likewise.
  }

  close(): void {
    this.abandoned = true;
  }

  abandon(): void {
    this.abandoned = true;
  }

  /** The backend takes the connection; over TLS, with this choice of a protocol. */
  open(alpn: string | null = null): this {
    this.alpn = alpn;
    this.#user.onOpen(this);
    return this;
  }

  /** What was written since the last call. */
  take(): Uint8Array {
    return Uint8Array.from(this.written.splice(0));
  }

  /** The socket has room again. */
  drain(): void {
    this.#user.onDrain();
  }

  /** The backend sends. */
  send(bytes: string | readonly number[] | Uint8Array): this {
    const array = typeof bytes === "string" ? new TextEncoder().encode(bytes) : Uint8Array.from(bytes);
    this.#user.onData(array);
    return this;
  }

  /** The backend ends it in order, or it breaks. */
  end(error: ProxyError | null = null): void {
    this.#user.onClose(error);
  }

  /** The backend does not take it. */
  refuse(): void {
    this.end(new ProxyError("UPSTREAM_REFUSED", "refused by script"));
  }
}

/** Makes connections and keeps them for the test. */
export class ScriptedNetwork {
  readonly streams: ScriptedStream[] = [];

  readonly connect = (target: StreamTarget, user: StreamUser): ScriptedStream => {
    const stream = new ScriptedStream(target, user);
    this.streams.push(stream);
    return stream;
  };

  /** The one asked for at this place, from 0. */
  at(index: number): ScriptedStream {
    return must(this.streams[index], `connection ${index} was asked for`);
  }

  /** The connection asked for last. */
  get last(): ScriptedStream {
    return must(this.streams.at(-1), "a connection was asked for");
  }
}
