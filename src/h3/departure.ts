/**
 * How a connection is ended in order (RFC 9114 5.2). First its client hears GOAWAY with the highest id there is: it begins nothing new
 * here, and whatever it had sent before is still taken. Two round trips later all of that has come, and GOAWAY says which request was the
 * last; later ones are refused and may be sent elsewhere. After as long again nothing is on its way that anybody waits for. Then the
 * connection is closed, once all has been quiet for a while: a client's QUIC acknowledges what its program has not read yet, and drops it when a
 * close comes (RFC 9000 10.2). Seen with quic-go on a busy machine, some 60 KB before the end of a download.
 */
import { LIMITS } from "../core/limits.ts";
import type { EngineSession } from "../quic/engine.ts";
import { STREAM_ID_STEP } from "./stream-ids.ts";

const PHASE = { staying: 0, warned: 1, told: 2, over: 3 } as const;

/** Round trips between two steps: one for what is on its way, one for a client that is not waiting for us. */
const STEP_ROUND_TRIPS = 2;

/** One connection's. */
export class Departure {
  readonly #engine: EngineSession;
  #phase: (typeof PHASE)[keyof typeof PHASE] = PHASE.staying;
  #dueMs = Infinity;
  /** A step was due and the connection had no room for its frame. */
  #isBlocked = false;
  #firstRefusedId = Infinity;
  /** Since when nothing has run, monotonic milliseconds; `Infinity` while something does. A client without a request need not be waited for. */
  #quietSinceMs = -Infinity;

  constructor(engine: EngineSession) {
    this.#engine = engine;
  }

  /** When `advance` has something to do at the latest, monotonic milliseconds; `Infinity` for never. */
  get deadlineMs(): number {
    return this.#dueMs;
  }

  /** It shall end, some time: `plan` was called. */
  get isPlanned(): boolean {
    return this.#phase > PHASE.staying || this.#dueMs !== Infinity;
  }

  /**
   * Whether the connection may be closed: its client has had time to hear all that was to be said, and to read the last answer. `unfinished` is
   * how many requests run or have an answer that has not arrived. Called whenever that may have changed.
   */
  mayClose(unfinished: number, nowMs: number): boolean {
    if (unfinished > 0) this.#quietSinceMs = Infinity;
    else if (this.#quietSinceMs === Infinity) this.#quietSinceMs = nowMs;
    if (this.#phase !== PHASE.over) return false;
    this.#dueMs = this.#quietSinceMs + LIMITS.lastAnswerReadMs;
    return nowMs >= this.#dueMs;
  }

  /** Whether a request on that stream comes after the last one that is taken. */
  refuses(streamId: number): boolean {
    return streamId >= this.#firstRefusedId;
  }

  /** Begins at `atMs`, unless it began or begins before. */
  plan(atMs: number): void {
    if (this.#phase === PHASE.staying) this.#dueMs = Math.min(this.#dueMs, atMs);
  }

  /**
   * Takes the step that is due; `highestId` is the highest stream that has begun. True: something is to be sent. A frame that has no room,
   * since a long answer fills the connection's windows, is tried with each datagram that may open them, and now and then.
   */
  advance(nowMs: number, highestId: number): boolean {
    if (this.#phase === PHASE.over || (nowMs < this.#dueMs && !this.#isBlocked)) return false;
    if (this.#phase === PHASE.told) {
      this.#phase = PHASE.over;
      this.#dueMs = Infinity;
      return false;
    }
    const isFirst = this.#phase === PHASE.staying;
    const firstRefusedId = highestId + STREAM_ID_STEP;
    this.#isBlocked = !this.#engine.sendGoaway(isFirst ? null : firstRefusedId);
    if (this.#isBlocked) {
      this.#dueMs = nowMs + LIMITS.goawayStepMsMax;
      return false;
    }
    if (!isFirst) this.#firstRefusedId = firstRefusedId;
    this.#phase = isFirst ? PHASE.warned : PHASE.told;
    this.#dueMs = nowMs + this.#stepMs();
    return true;
  }

  #stepMs(): number {
    const wantedMs = STEP_ROUND_TRIPS * this.#engine.roundTripMs();
    return Math.min(Math.max(wantedMs, LIMITS.goawayStepMsMin), LIMITS.goawayStepMsMax);
  }
}
