/** One request as a test backend sees it, whatever the protocol, and the ways to answer it. */

/** A header field: name and value as they came. */
export type Field = readonly [name: string, value: string];

/** What a backend server hands to the routes. Calls come in the order inform*, head, write*, end; reset at any time. */
export interface BackendExchange {
  readonly method: string;
  /** Path and query as received. */
  readonly target: string;
  /** As received: order, case and duplicates kept where the server shows them (see `startBackend`). */
  readonly fields: readonly Field[];
  /** Number of the connection it came on, from 0; -1 where the server does not tell. */
  readonly connection: number;
  readonly body: AsyncIterable<Uint8Array>;
  /** Fields that followed the body; none before its end, and on `h3`, which does not tell. */
  trailers(): readonly Field[];
  /** Aborted when the client goes away or resets the request. */
  readonly gone: AbortSignal;
  /** An interim (1xx) head. */
  inform(status: number, fields: readonly Field[]): void;
  head(status: number, fields: readonly Field[]): void;
  /** Resolves when the next piece has room; rejects with `ClientGone` when there is nobody to write to. */
  write(piece: Uint8Array): Promise<void>;
  end(trailers?: readonly Field[]): void;
  /** Breaks the response off: a TCP reset, or a stream reset with an error code. */
  reset(): void;
  /** Ends before the announced length: an orderly end of the connection (HTTP/1.1), else of the stream. */
  cut(): void;
}

/** The client went away while the backend answered. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** The backend broke its response off on purpose. */
export class DeliberateReset extends Error {
  override readonly name = "DeliberateReset";
}

/** A started server, as `startBackend` drives it. */
export interface BackendServer {
  readonly port: number;
  /** Ends every connection at once. */
  dropConnections(): void;
  /**
   * Asks clients to go elsewhere and finishes what runs. `h2`, `h2c`: GOAWAY; `h3`: GOAWAY, and no new connections; HTTP/1.1: the end
   * of idle connections; `h3-quic`: nothing.
   */
  goAway(): void;
  /** Frees everything. */
  stop(): Promise<void>;
}

/** Fields as an object with arrays for duplicates, names lower case: what node's HTTP/2 and QUIC take. */
export function groupFields(fields: readonly Field[]): Record<string, string | string[]> {
  const grouped: Record<string, string | string[]> = {};
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    const before = grouped[key];
    grouped[key] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
  }
  return grouped;
}

/** Whether a response will have trailers: it announces them, so that one without ends with its last DATA frame. */
export function announcesTrailers(fields: readonly Field[]): boolean {
  return fields.some(([name]) => name.toLowerCase() === "trailer");
}

/** Pairs out of node's flat `rawHeaders`. */
export function pairFields(flat: readonly string[]): Field[] {
  const pairs: Field[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) pairs.push([flat[index] ?? "", flat[index + 1] ?? ""]);
  return pairs;
}

/** Turns writes into an iteration with backpressure: a write resolves when its piece has been taken. */
export class PieceChannel {
  #piece: Uint8Array | null = null;
  #ended = false;
  /** Why writes are refused. */
  #refusal: Error | null = null;
  /** Thrown to the reader. */
  #failure: Error | null = null;
  #taken: { readonly resolve: () => void; readonly reject: (error: Error) => void } | null = null;
  #wake: (() => void) | null = null;

  write(piece: Uint8Array): Promise<void> {
    if (this.#refusal !== null) return Promise.reject(this.#refusal);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#piece = piece;
    this.#taken = { resolve, reject };
    this.#wake?.();
    return promise;
  }

  /** No more pieces: the reader sees the end after the last. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** The reader has gone: writes are refused with `reason`, and whoever still reads sees the end. */
  cancel(reason: Error): void {
    this.#refusal ??= reason;
    this.#taken?.reject(this.#refusal);
    this.#taken = null;
    this.#piece = null;
    this.end();
  }

  /** Breaks off: the reader's next read throws. */
  fail(reason: Error): void {
    this.#failure = reason;
    this.cancel(reason);
  }

  /** The next piece; null at the end; rejects after `fail`. */
  async next(): Promise<Uint8Array | null> {
    while (this.#piece === null && !this.#ended && this.#failure === null) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#failure !== null) throw this.#failure;
    const piece = this.#piece;
    this.#piece = null;
    this.#taken?.resolve();
    this.#taken = null;
    return piece;
  }
}
