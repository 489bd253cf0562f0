/** A request body on its way into fetch: pulled from the client only when the backend's connection takes more. */
import { ProxyError } from "../core/error.ts";
import type { BodySource } from "../proxy/ports.ts";

type Piece = Uint8Array<ArrayBuffer>;

/** Who wants to know how the body fares. */
export interface BodyWatcher {
  /** The runtime asks for the body for the first time: a connection stands. */
  onBodyWanted(): void;
  /** A piece went to the runtime, or the body ended. */
  onBodyProgress(): void;
  /** The runtime wants no more of a body that has not ended. */
  onBodyUnwanted(): void;
}

/**
 * The body as a stream. Nothing is pulled before the runtime asks, which it does only when a connection stands, and never ahead of
 * it: what waits in memory is one piece. The declared length is kept: a body that differs from it breaks the request, so a
 * backend never sees a request that ends at another byte than the client said.
 */
export class RequestBody implements UnderlyingDefaultSource<Piece> {
  readonly stream: ReadableStream<Piece>;
  readonly #source: BodySource;
  readonly #watcher: BodyWatcher;
  readonly #declaredBytes: number;
  #controller: ReadableStreamDefaultController<Piece> | null = null;
  #sentBytes = 0;
  #wanted = false;
  #over = false;

  /** `declaredBytes` is -1 when unknown. */
  constructor(source: BodySource, declaredBytes: number, watcher: BodyWatcher) {
    this.#source = source;
    this.#declaredBytes = declaredBytes;
    this.#watcher = watcher;
    source.onReadable = () => {
      if (this.#wanted) this.#advance();
    };
    this.stream = new ReadableStream<Piece>(this, { highWaterMark: 0 });
  }

  /** The runtime has asked for the body: a connection stands, and bytes may have been sent. */
  get begun(): boolean {
    return this.#controller !== null;
  }

  /** The runtime waits for the client. */
  get starved(): boolean {
    return this.#wanted && !this.#over;
  }

  /** The source may go to another reader: nothing is pulled any more. */
  detach(): void {
    if (this.#over) return;
    this.#over = true;
    this.#source.onReadable = null;
  }

  /** For the runtime. */
  pull(controller: ReadableStreamDefaultController<Piece>): void {
    const isFirst = this.#controller === null;
    this.#controller = controller;
    if (this.#over) return;
    this.#wanted = true;
    if (isFirst) this.#watcher.onBodyWanted();
    this.#advance();
  }

  /** For the runtime: the exchange is over, or it failed. */
  cancel(): void {
    if (this.#over) return;
    this.detach();
    this.#watcher.onBodyUnwanted();
  }

  #advance(): void {
    const piece = this.#next();
    // Pulling may have ended the exchange, and this body with it.
    if (this.#over) return;
    if (piece !== null) this.#send(piece);
    else if (this.#source.state === "ended") this.#end();
    else if (this.#source.state === "broken")
      this.#break(new ProxyError("CLIENT_GONE", "the client broke off its request body"));
  }

  /** A stream must not be given empty pieces. */
  #next(): Uint8Array | null {
    for (;;) {
      const piece = this.#source.pull();
      if (piece === null || piece.length > 0) return piece;
    }
  }

  #send(piece: Uint8Array): void {
    this.#sentBytes += piece.length;
    if (this.#declaredBytes >= 0 && this.#sentBytes > this.#declaredBytes) {
      this.#break(new ProxyError("BAD_REQUEST", "the request body is longer than its Content-Length"));
      return;
    }
    this.#wanted = false;
    this.#controller?.enqueue(owned(piece));
    this.#watcher.onBodyProgress();
    // Ending with the last byte, and not when asked once more: an answer that comes before the question ends the connection.
    if (this.#source.state === "ended" || this.#sentBytes === this.#declaredBytes) this.#end();
  }

  #end(): void {
    if (this.#declaredBytes > this.#sentBytes) {
      this.#break(new ProxyError("BAD_REQUEST", "the request body is shorter than its Content-Length"));
      return;
    }
    this.detach();
    this.#controller?.close();
    this.#watcher.onBodyProgress();
    if (this.#source.state === "open") this.#awaitEnd();
  }

  /** The declared bytes are there and the client's end is not: it is read still, so that the stream below can be done with. */
  #awaitEnd(): void {
    const source = this.#source;
    const read = (): void => {
      if (this.#next() !== null) source.stop();
      if (source.state !== "open") source.onReadable = null;
    };
    source.onReadable = read;
    read();
  }

  #break(error: ProxyError): void {
    this.detach();
    this.#controller?.error(error);
  }
}

/** Only memory that is not shared with other threads can be handed to the runtime; pieces of bodies never are. */
function owned(piece: Uint8Array): Piece {
  return isOwned(piece) ? piece : piece.slice();
}

function isOwned(piece: Uint8Array): piece is Piece {
  return piece.buffer instanceof ArrayBuffer;
}
