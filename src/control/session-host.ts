/** What an HTTP/3 session finds of its connection and endpoint. A class, because connections that rest should not each hold closures. */
import type { Counters } from "../core/counters.ts";
import type { BufferAccount } from "../guard/buffer-account.ts";
import type { SessionHost } from "../h3/session-host.ts";
import type { Connection } from "../quic/connection.ts";
import type { Endpoint } from "../quic/endpoint.ts";

/** Of one connection. */
export class ConnectionSessionHost implements SessionHost {
  readonly buffers: BufferAccount;
  readonly #endpoint: Endpoint;
  readonly #connection: Connection;

  constructor(endpoint: Endpoint, connection: Connection, buffers: BufferAccount) {
    this.buffers = buffers;
    this.#endpoint = endpoint;
    this.#connection = connection;
  }

  get counters(): Counters {
    return this.#endpoint.counters;
  }

  get nowMs(): number {
    return this.#endpoint.nowMs;
  }

  wake(): void {
    this.#connection.wake();
  }

  again(): void {
    this.#endpoint.again(this.#connection);
  }

  close(code: number, reason: string): void {
    this.#connection.close(true, code, reason);
  }
}
