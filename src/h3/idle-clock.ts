/** For how long a connection has had no request under way. */

/** The clock of one connection. It stands still between batches of datagrams, when nobody knows what time it is. */
export class IdleClock {
  readonly #idleMs: number;
  /** When a request was last under way, as far as is known. */
  #busyMs: number;
  /** One ended since the last batch. */
  #wasBusy = false;

  constructor(idleMs: number, nowMs: number) {
    this.#idleMs = idleMs;
    this.#busyMs = nowMs;
  }

  /** When a connection that has no request has been without one for too long. */
  get deadlineMs(): number {
    return this.#busyMs + this.#idleMs;
  }

  /** A batch has come: the confirmation of an answer at least follows every request. */
  onBatch(nowMs: number, isBusy: boolean): void {
    if (isBusy || this.#wasBusy) this.#busyMs = nowMs;
    this.#wasBusy = false;
  }

  /** A request has ended. */
  onEnd(): void {
    this.#wasBusy = true;
  }

  /** Begins anew. */
  restart(nowMs: number): void {
    this.#busyMs = nowMs;
  }
}
