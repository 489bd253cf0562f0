/** Connections to backends, counted: how long one takes, why there is none, how many there are. */
import type { Counters } from "../core/counters.ts";
import type { ProxyError } from "../core/error.ts";
import type { ByteStream, ConnectStream, StreamAttempt, StreamTarget, StreamUser } from "../runtime/streams.ts";
import type { Timers } from "../runtime/timers.ts";

/** Connects by another way, and counts. */
export class CountedConnect {
  readonly #connect: ConnectStream;
  readonly #counters: Counters;
  readonly #timers: Pick<Timers, "nowMs">;
  #openCount = 0;

  constructor(connect: ConnectStream, counters: Counters, timers: Pick<Timers, "nowMs">) {
    this.#connect = connect;
    this.#counters = counters;
    this.#timers = timers;
  }

  /** Connections there are now. */
  get openCount(): number {
    return this.#openCount;
  }

  readonly connect: ConnectStream = (target: StreamTarget, user: StreamUser): StreamAttempt => {
    const startedMs = this.#timers.nowMs();
    let isOpen = false;
    const onOver = (): void => {
      if (isOpen) this.#openCount -= 1;
      isOpen = false;
    };
    const attempt = this.#connect(target, {
      onOpen: (stream: ByteStream) => {
        isOpen = true;
        this.#openCount += 1;
        this.#counters.upstreamConnectMs.record(this.#timers.nowMs() - startedMs);
        user.onOpen(stream);
      },
      onData: (bytes: Uint8Array) => user.onData(bytes),
      onDrain: () => user.onDrain(),
      onClose: (error: ProxyError | null) => {
        if (!isOpen && error !== null) this.#counters.upstreamConnectsFailed.add(error.code);
        onOver();
        user.onClose(error);
      },
    });
    return {
      abandon: () => {
        onOver();
        attempt.abandon();
      },
    };
  };
}
