/**
 * Which request streams of a connection are there without a whole head, and for how long. The engine says nothing of a stream before its
 * head is whole, and a client may use its ids in any order, so the streams are searched for: those beyond the highest id seen and those
 * that were passed over. Both are few: the engine lets a client use no more ids at a time than its stream limit.
 */
import { LIMITS } from "../core/limits.ts";
import type { EngineSession } from "../quic/engine.ts";
import { STREAM_ID_STEP, type StreamIds } from "./stream-ids.ts";

/** Into how many parts of the time that a head may take the search divides it, when nothing calls for one. */
const SWEEPS_PER_WAIT = 4;

/** The heads that one connection owes. */
export class HeadWatch {
  readonly #engine: EngineSession;
  readonly #streamsMax: number;
  readonly #headMs: number;
  /** Streams whose head has come, or which ended without. */
  readonly #settled: StreamIds;
  /** Streams that exist without a head, and when they were first found, oldest first. */
  readonly #waiting = new Map<number, number>();
  #sweptMs: number;
  /** A search that was called for too soon after the last one. */
  #dueMs = Infinity;

  /** `settled`: streams whose head has come, or which ended without; `headMs`: how long a head may take. */
  constructor(engine: EngineSession, settled: StreamIds, streamsMax: number, headMs: number, nowMs: number) {
    this.#engine = engine;
    this.#settled = settled;
    this.#streamsMax = streamsMax;
    this.#headMs = headMs;
    this.#sweptMs = nowMs;
  }

  /** When `sweep` must be called at the latest, or a head is late; `Infinity` for never. */
  get deadlineMs(): number {
    if (this.#waiting.size === 0) return this.#dueMs;
    return Math.min(this.#dueMs, this.#firstFoundMs() + this.#headMs);
  }

  /** The head has come, or the stream is over without. */
  settle(id: number): void {
    this.#settled.note(id);
    if (this.#waiting.size > 0) this.#waiting.delete(id);
  }

  /** Datagrams have come. `called`: streams had bytes of which nothing came, so there may be one without a whole head. */
  onBatch(nowMs: number, called: boolean): void {
    const paceMs = this.#headMs / SWEEPS_PER_WAIT;
    const earliestMs = this.#sweptMs + (called ? Math.min(LIMITS.headSweepMsMin, paceMs) : paceMs);
    if (nowMs >= earliestMs) this.#sweep(nowMs);
    else if (called) this.#dueMs = earliestMs;
  }

  /** Streams whose heads are late; each is told until it is settled. */
  late(nowMs: number): number[] {
    if (nowMs >= this.#dueMs) this.#sweep(nowMs);
    if (this.#waiting.size === 0 || nowMs < this.#firstFoundMs() + this.#headMs) return [];
    // What is over meanwhile was no longer worth an answer.
    this.#sweep(nowMs);
    return [...this.#waiting].filter(([, foundMs]) => nowMs >= foundMs + this.#headMs).map(([id]) => id);
  }

  #sweep(nowMs: number): void {
    this.#sweptMs = nowMs;
    this.#dueMs = Infinity;
    const open = this.#engine.openStreams(this.#settled.highest + STREAM_ID_STEP, this.#streamsMax);
    for (const id of this.#settled.missing) open.push(...this.#engine.openStreams(id, 1));
    if (open.length === 0 && this.#waiting.size === 0) return;
    const there = new Set(open);
    for (const id of this.#waiting.keys()) if (!there.has(id)) this.#waiting.delete(id);
    for (const id of there) if (!this.#waiting.has(id)) this.#waiting.set(id, nowMs);
  }

  #firstFoundMs(): number {
    for (const foundMs of this.#waiting.values()) return foundMs;
    return Infinity;
  }
}
