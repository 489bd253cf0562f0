/** One HTTP/1.1 connection to a backend: moves bytes between the state machine and the socket, one call at a time. */
import type { Counters } from "../../core/counters.ts";
import type { ProxyError } from "../../core/error.ts";
import { H1Connection } from "../../h1/connection.ts";
import type { ByteStream, ConnectStream, StreamAttempt, StreamTarget, StreamUser } from "../../runtime/streams.ts";
import type { H1Call } from "./h1-call.ts";

/** Who keeps links. */
export interface LinkOwner {
  readonly counters: Counters;
  /** The link has nothing to do and may serve another call. */
  onIdle(link: H1Link): void;
  /** The link is gone. */
  onGone(link: H1Link): void;
}

/** A link. It connects at once and serves the call it was made for; later ones by `serve`. */
export class H1Link implements StreamUser {
  readonly machine: H1Connection;
  /** How long it may idle; for the sweep. */
  idleUntilMs = 0;
  readonly #owner: LinkOwner;
  readonly #attempt: StreamAttempt;
  #stream: ByteStream | null = null;
  #call: H1Call | null;
  #gone = false;

  constructor(connect: ConnectStream, target: StreamTarget, owner: LinkOwner, call: H1Call) {
    this.#owner = owner;
    this.machine = new H1Connection(owner.counters);
    this.#call = call;
    this.#attempt = connect(target, this);
  }

  /** Gives an idle link its next call. */
  serve(call: H1Call): void {
    this.#call = call;
    this.#begin();
  }

  /** The call is over, or was given up: the link is idle again or gone. */
  release(): void {
    this.#call = null;
    if (this.machine.state === "idle") this.#owner.onIdle(this);
    else this.close();
  }

  /** Closes; nothing is called but `onGone`. */
  close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#call = null;
    this.#attempt.abandon();
    this.#owner.onGone(this);
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  /** Hands waiting output to the socket. */
  flush(): void {
    const { output } = this.machine;
    if (this.#stream === null || output.waitingBytes === 0) return;
    this.#owner.counters.upstreamWrites += 1;
    const taken = this.#stream.write(output.bytes, output.at, output.end);
    if (taken > 0) this.machine.sent(taken);
  }

  onOpen(stream: ByteStream): void {
    this.#stream = stream;
    this.#owner.counters.upstreamConnections += 1;
    this.#begin();
  }

  onData(bytes: Uint8Array): void {
    this.#call?.onReceived();
    this.machine.feed(bytes);
    if (this.machine.state === "closed") this.close();
  }

  /** Only a backend that reads makes room: a slow one is not a late one. */
  onDrain(): void {
    this.#call?.onMoved();
    this.flush();
  }

  onClose(error: ProxyError | null): void {
    if (this.#gone) return;
    this.#gone = true;
    const call = this.#call;
    this.#call = null;
    this.#owner.onGone(this);
    if (this.#stream === null && error !== null) call?.onConnectFailed(error);
    else {
      call?.noteBreak(error);
      this.machine.onClose(error === null);
    }
  }

  #begin(): void {
    this.#call?.begin(this);
    this.flush();
  }
}
