/**
 * The turn: deadlines, a bounded batch of datagrams, the connections' work, the flush; then either the next turn at once or sleep.
 * Promises and timers of the runtime run between turns, so neither a flood nor a busy backend can starve the other.
 */
import type { Counters } from "../core/counters.ts";
import type { Endpoint } from "./endpoint.ts";

/** What the loop asks of the runtime. */
export interface LoopHost {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Calls `turn` soon, after what is already due. Asked at most once until it was called. */
  requestTurn(): void;
  /** Calls `turn` at the latest then; replaces the last such wish. */
  wakeAt(deadlineMs: number): void;
  /** Calls `onWake` once when a socket is readable (and, if wished, writable). */
  armWaker(alsoWritable: boolean): void;
}

/** Runs the endpoints of one process. */
export class Loop {
  readonly #host: LoopHost;
  readonly #counters: Counters;
  readonly #endpoints: Endpoint[] = [];
  #requested = false;
  #inTurn = false;
  #armed = false;
  #stopped = false;
  #timerMs = Infinity;

  constructor(host: LoopHost, counters: Counters) {
    this.#host = host;
    this.#counters = counters;
  }

  add(endpoint: Endpoint): void {
    this.#endpoints.push(endpoint);
  }

  /** Begins: the first turn arms the waker. */
  start(): void {
    this.requestTurn();
  }

  /** No further turns. */
  stop(): void {
    this.#stopped = true;
  }

  /** Makes sure a turn comes; cheap when one is due already. */
  requestTurn(): void {
    if (this.#requested || this.#inTurn || this.#stopped) return;
    this.#requested = true;
    this.#host.requestTurn();
  }

  /** The waker fired. */
  onWake(): void {
    this.#armed = false;
    this.#counters.wakeUps += 1;
    this.#run();
  }

  /** The timer fired. */
  onTimer(): void {
    this.#timerMs = Infinity;
    this.#run();
  }

  /** The turn that was requested. */
  turn(): void {
    this.#requested = false;
    this.#run();
  }

  /**
   * One turn. A requested one stays requested when a waker or a timer comes before it: to ask again would leave two behind, and
   * then ever more, that run in a row and keep the runtime's own work waiting.
   */
  #run(): void {
    if (this.#stopped) return;
    this.#inTurn = true;
    this.#counters.turns += 1;
    const nowMs = this.#host.nowMs();
    let more = false;
    let writable = true;
    let deadlineMs = Infinity;
    for (const endpoint of this.#endpoints) {
      more = endpoint.receive(nowMs) || more;
      writable = endpoint.flush() && writable;
      more = endpoint.hasDirty || more;
      deadlineMs = Math.min(deadlineMs, endpoint.deadlineMs);
    }
    this.#inTurn = false;
    if (more && writable) this.requestTurn();
    else this.#sleep(!writable);
    this.#setTimer(deadlineMs);
  }

  #sleep(alsoWritable: boolean): void {
    if (this.#armed && !alsoWritable) return;
    this.#armed = true;
    this.#host.armWaker(alsoWritable);
  }

  /** The runtime's timer is only moved when it would fire too late: an early one costs an empty turn, moving it costs every turn. */
  #setTimer(deadlineMs: number): void {
    if (deadlineMs >= this.#timerMs) return;
    this.#timerMs = deadlineMs;
    this.#host.wakeAt(deadlineMs);
  }
}
