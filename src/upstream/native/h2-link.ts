/** One HTTP/2 connection to a backend: moves bytes between the state machine and the socket, all frames of a turn in one write. */
import type { Counters } from "../../core/counters.ts";
import { ProxyError } from "../../core/error.ts";
import type { FieldWriter } from "../../core/field-writer.ts";
import { type H2ConnectionSink, Http2Connection } from "../../h2/connection.ts";
import type { ByteStream, ConnectStream, StreamAttempt, StreamTarget, StreamUser } from "../../runtime/streams.ts";

/** Who keeps links. */
export interface H2LinkOwner {
  readonly counters: Counters;
  readonly writer: FieldWriter;
  readonly where: string;
  nowMs(): number;
  /** The link may take requests, or may take some again. */
  onRoom(link: H2Link): void;
  /** The link takes no further requests; those under way go on. */
  onClosing(link: H2Link): void;
  /** The link is gone. `error` says why when it never opened. */
  onGone(link: H2Link, error: ProxyError | null): void;
  /** ALPN did not choose HTTP/2. */
  onOtherProtocol(link: H2Link): void;
}

const H2 = "h2";

/** A link. It connects at once. */
export class H2Link implements StreamUser, H2ConnectionSink {
  readonly connection: Http2Connection;
  /** When it was last seen with a stream; for the sweep. */
  idleSinceMs: number;
  /** When the backend last sent something. */
  heardMs: number;
  /** When it is old enough to be replaced. */
  readonly agedAtMs: number;
  readonly #owner: H2LinkOwner;
  readonly #needsAlpn: boolean;
  readonly #attempt: StreamAttempt;
  readonly #flush = (): void => this.#flushNow();
  #stream: ByteStream | null = null;
  #scheduled = false;
  #gone = false;
  #failure: ProxyError | null = null;

  constructor(connect: ConnectStream, target: StreamTarget, owner: H2LinkOwner, ageMsMax: number) {
    this.#owner = owner;
    this.#needsAlpn = target.tls !== null;
    this.idleSinceMs = owner.nowMs();
    this.heardMs = this.idleSinceMs;
    this.agedAtMs = this.idleSinceMs + ageMsMax;
    const { writer, counters } = owner;
    this.connection = new Http2Connection({ sink: this, writer, counters, nowMs: owner.nowMs() });
    this.#attempt = connect(target, this);
  }

  /** Connected and not on its way out. */
  get isUsable(): boolean {
    return this.#stream !== null && !this.#gone && !this.connection.isClosing;
  }

  /** Not connected yet, or the backend has not yet said how many requests it takes at once. */
  get isBeginning(): boolean {
    if (this.#gone || this.connection.isClosing) return false;
    return this.#stream === null || !this.connection.isReady;
  }

  /** Requests that it could take now beside those it has; 0 before the backend has shown that it speaks HTTP/2. */
  get spareStreams(): number {
    const { streams, streamsMax, isReady } = this.connection;
    return this.isUsable && isReady ? Math.max(0, streamsMax - streams.count) : 0;
  }

  /** Why it failed, once it has. */
  get failureError(): ProxyError | null {
    const { failure } = this.connection;
    if (this.#failure !== null || failure === null) return this.#failure;
    const { fault, detail } = failure;
    const text = `${this.#owner.where}: HTTP/2 connection failed (${fault}${detail === "" ? "" : `: ${detail}`})`;
    const isGone = fault === "lost" || fault === "ping-timeout";
    this.#failure = new ProxyError(isGone ? "UPSTREAM_RESET" : "UPSTREAM_PROTOCOL", text);
    return this.#failure;
  }

  /** There may be output: it goes out in one write when the present turn of the event loop is done. */
  wake(): void {
    if (this.#scheduled || this.#stream === null) return;
    this.#scheduled = true;
    queueMicrotask(this.#flush);
  }

  /** Takes no new requests and closes when the last is done. */
  drain(): void {
    this.connection.drain();
    this.wake();
    this.#closeIfDone();
  }

  /** Closes now. */
  close(): void {
    this.#end(null);
  }

  /** Deadlines, and the end of a drained link. */
  onTime(nowMs: number): void {
    if (this.#stream === null || this.#gone) return;
    if (this.connection.streams.count > 0) this.idleSinceMs = nowMs;
    this.connection.output.shrink();
    if (this.connection.deadlineMs() <= nowMs) {
      this.connection.onTime(nowMs);
      this.wake();
    }
    this.#closeIfDone();
  }

  onOpen(stream: ByteStream): void {
    this.#stream = stream;
    if (this.#needsAlpn && stream.alpn !== H2) {
      this.#owner.onOtherProtocol(this);
      return;
    }
    this.#owner.counters.upstreamConnections += 1;
    this.wake();
    this.#owner.onRoom(this);
  }

  onData(bytes: Uint8Array): void {
    this.heardMs = this.#owner.nowMs();
    this.connection.receive(bytes, this.heardMs);
    this.wake();
  }

  onDrain(): void {
    this.#flushNow();
  }

  onClose(error: ProxyError | null): void {
    if (this.#gone) return;
    const opened = this.#stream !== null;
    this.#failure ??= error;
    this.connection.lost(error?.message ?? "closed by the backend");
    this.#end(opened ? null : error);
  }

  onReady(): void {
    this.#owner.onRoom(this);
  }

  onOpenable(): void {
    this.#owner.onRoom(this);
  }

  onGoaway(): void {
    this.#owner.onClosing(this);
  }

  onFailure(): void {
    // Of one that never opened `onGone` tells.
    if (this.#stream !== null) this.#owner.onClosing(this);
    this.wake();
  }

  #flushNow(): void {
    this.#scheduled = false;
    const { output } = this.connection;
    if (this.#stream === null || this.#gone) return;
    if (output.length > 0) {
      const pending = output.pending();
      this.#owner.counters.upstreamWrites += 1;
      const taken = this.#stream.write(pending, 0, pending.length);
      if (taken > 0) this.connection.flushed(taken);
    }
    if (this.connection.failure !== null) this.#end(null);
    else this.#closeIfDone();
  }

  #closeIfDone(): void {
    const { connection } = this;
    if (connection.isClosing && connection.streams.count === 0 && connection.output.length === 0) this.#end(null);
  }

  #end(error: ProxyError | null): void {
    if (this.#gone) return;
    this.#gone = true;
    this.connection.lost("closed");
    this.#attempt.abandon();
    this.#owner.onGone(this, error);
  }
}
