/** Connections to backends by script: a test is the network. */
import { must } from "../../src/core/assert.ts";
import { ProxyError } from "../../src/core/error.ts";
import type { ByteStream, StreamAttempt, StreamTarget, StreamUser } from "../../src/runtime/streams.ts";

/** One connection, or an attempt at one. */
export class ScriptedStream implements ByteStream, StreamAttempt {
  readonly target: StreamTarget;
  readonly alpn: string | null = null;
  readonly written: number[] = [];
  abandoned = false;
  readonly #user: StreamUser;

  constructor(target: StreamTarget, user: StreamUser) {
    this.target = target;
    this.#user = user;
  }

  write(bytes: Uint8Array, at: number, end: number): number {
    this.written.push(...bytes.subarray(at, end));
    return end - at;
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

  /** The backend takes the connection. */
  open(): this {
    this.#user.onOpen(this);
    return this;
  }

  /** The backend sends. */
  send(bytes: string | readonly number[]): this {
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

  /** The connection asked for last. */
  get last(): ScriptedStream {
    return must(this.streams.at(-1), "a connection was asked for");
  }
}
