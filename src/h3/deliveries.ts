/**
 * Responses that their client has not taken whole: output that waits for room in the connection's windows, and streams whose output the
 * engine holds until the client has confirmed it. Whoever takes nothing for too long loses the stream, and its memory is free.
 */
import type { Counters } from "../core/counters.ts";
import { LIMITS } from "../core/limits.ts";
import type { EngineSession } from "../quic/engine.ts";
import { H3_CODE } from "./codes.ts";
import type { RequestStream } from "./stream.ts";

/** Responses on their way after which those that have arrived are sorted out, at some 10 ns each. */
const LEAVING_SORT = 64;
/** Into how many parts of the time that a client may take nothing the looks at it divide it. */
const SWEEPS_PER_STALL = 4;

/** What one connection's client is still to take. */
export class Deliveries {
  readonly #engine: EngineSession;
  readonly #counters: Counters;
  readonly #stallMs: number;
  readonly #sweepMs: number;
  /** In the order in which they are tried. */
  readonly #blocked = new Set<RequestStream>();
  /** Streams that are over for us and, as far as is known, not for the client, oldest first. Its stream limit bounds them. */
  #leaving: number[] = [];
  #leavingSort = LEAVING_SORT;
  #sweepAtMs: number;
  /** How the leaving ones stood when they last moved: the oldest, how many, what the client had confirmed, and when that was seen. */
  readonly #still = { oldestId: -1, count: 0, acknowledgedBytes: 0, sinceMs: 0 };

  /** `stallMs`: how long a client may take nothing. */
  constructor(engine: EngineSession, counters: Counters, stallMs: number, nowMs: number) {
    this.#engine = engine;
    this.#counters = counters;
    this.#stallMs = stallMs;
    this.#sweepMs = Math.min(stallMs / SWEEPS_PER_STALL, LIMITS.stallSweepMsMax);
    this.#sweepAtMs = nowMs;
  }

  /** When `sweep` must be called; `Infinity` while nothing waits. */
  get deadlineMs(): number {
    return this.#blocked.size > 0 || this.#leaving.length > 0 ? this.#sweepAtMs : Infinity;
  }

  /** The stream has output that the connection did not take. */
  block(stream: RequestStream, nowMs: number): void {
    if (this.#blocked.has(stream)) return;
    this.#plan(nowMs);
    this.#blocked.add(stream);
  }

  /** The engine has all of the stream's response. */
  leave(id: number, nowMs: number): void {
    this.#plan(nowMs);
    if (this.#leaving.push(id) >= this.#leavingSort) this.#sort();
  }

  /** Any datagram may have opened a window; each blocked stream tries once. There are at most as many as streams. */
  retry(): void {
    let left = this.#blocked.size;
    if (left === 0) return;
    const [first] = this.#blocked;
    // A stream that is blocked again while it is tried goes to the end, and is not tried a second time.
    for (const stream of this.#blocked) {
      if (left-- === 0) break;
      stream.retryOutput();
      if (!stream.blocked) this.#blocked.delete(stream);
    }
    // Whoever was first goes last next time, so that one stream cannot have every window.
    if (first !== undefined && this.#blocked.delete(first)) this.#blocked.add(first);
  }

  /** True when every response that was left to the engine has arrived. */
  get allArrived(): boolean {
    return this.leaving() === 0;
  }

  /** Responses that were left to the engine and have not arrived. */
  leaving(): number {
    this.#sort();
    return this.#leaving.length;
  }

  /** Looks for a client that takes nothing, when it is time. True: streams were reset. */
  sweep(nowMs: number): boolean {
    if (nowMs < this.deadlineMs) return false;
    this.#sweepAtMs = nowMs + this.#sweepMs;
    const isStalled = this.#endBlocked(nowMs);
    return this.#endLeaving(nowMs) || isStalled;
  }

  /** A look that is due already was planned for something else. */
  #plan(nowMs: number): void {
    if (this.deadlineMs === Infinity) this.#sweepAtMs = nowMs + this.#sweepMs;
  }

  #endBlocked(nowMs: number): boolean {
    const late = [...this.#blocked].filter((stream) => stream.stalledMs(nowMs) >= this.#stallMs);
    for (const stream of late) {
      this.#counters.clientDeadlines += 1;
      stream.onAborted("stalled");
    }
    for (const stream of this.#blocked) if (!stream.blocked) this.#blocked.delete(stream);
    return late.length > 0;
  }

  /** Their exchanges are over for everybody else; what is freed here is the engine's memory. */
  #endLeaving(nowMs: number): boolean {
    this.#sort();
    const [oldestId] = this.#leaving;
    if (oldestId === undefined) return false;
    const still = this.#still;
    const { bytesAcknowledged } = this.#engine;
    if (oldestId !== still.oldestId || bytesAcknowledged !== still.acknowledgedBytes) {
      still.oldestId = oldestId;
      still.count = this.#leaving.length;
      still.acknowledgedBytes = bytesAcknowledged;
      still.sinceMs = nowMs;
      return false;
    }
    if (nowMs - still.sinceMs < this.#stallMs) return false;
    for (const id of this.#leaving.splice(0, still.count)) {
      this.#counters.clientDeadlines += 1;
      this.#engine.resetStream(id, H3_CODE.internalError);
    }
    return true;
  }

  /** The engine lets go of a stream when the client has confirmed its end; then, and when the client stops reading, it is over. */
  #sort(): void {
    this.#leaving = this.#leaving.filter((id) => this.#engine.checkWritable(id) === 0);
    this.#leavingSort = this.#leaving.length + LEAVING_SORT;
  }
}
