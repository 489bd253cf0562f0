/**
 * Bounded bursts (RFC 9002 7.7): what a congestion window allows at once is spread over its round trip. quiche (0.30) gives send times to bbr2
 * alone, and one by one; here is a bucket of bytes for whole flushes, filled at a quarter more than the window brings in a round trip.
 * Small answers never wait: an idle connection has a whole burst. Pure.
 */

import type { ConnectionHost } from "./connection-host.ts";
import type { Pace, PacedPath } from "./engine.ts";

/** Faster than the window alone, so that the window and not the bucket decides how much is under way (RFC 9002 7.7: N). */
const GAIN = 1.25;
/** What comes due between two looks of a busy loop may go at once, milliseconds. */
const LATENESS_MS = 4;
/** Timers are no finer, milliseconds. */
const WAIT_MS_MIN = 1;
/** Round trips below this are the loop's own time, milliseconds; it bounds the rate as well. */
const ROUND_TRIP_MS_MIN = 0.05;

/** The bucket of one connection. */
export class Pacer implements Pace {
  cwndBytes = 0;
  roundTripMs = 0;
  readonly #burstBytes: number;
  #tokensBytes: number;
  #bytesPerMs = 0;
  #filledMs: number;
  #released = false;
  /** When what is held back may go on; `Infinity` while nothing is. */
  untilMs = Infinity;

  /** `burstBytes`: what may always go at once; RFC 9002 names the initial window. */
  constructor(burstBytes: number, nowMs: number) {
    this.#burstBytes = burstBytes;
    this.#tokensBytes = burstBytes;
    this.#filledMs = nowMs;
  }

  /** May another datagram go now? The path is asked only when the bucket is empty. */
  allows(nowMs: number, path: PacedPath): boolean {
    if (this.#tokensBytes > 0) return true;
    path.readPace(this);
    this.#bytesPerMs = (GAIN * this.cwndBytes) / Math.max(this.roundTripMs, ROUND_TRIP_MS_MIN);
    const capacityBytes = Math.max(this.#burstBytes, LATENESS_MS * this.#bytesPerMs);
    this.#tokensBytes = Math.min(this.#tokensBytes + (nowMs - this.#filledMs) * this.#bytesPerMs, capacityBytes);
    this.#filledMs = nowMs;
    return this.#tokensBytes > 0;
  }

  /** True when what is left to send, if anything, waits so that it is no longer a burst: until `untilMs`. */
  holds({ nowMs, counters }: Pick<ConnectionHost, "nowMs" | "counters">, path: PacedPath): boolean {
    this.untilMs = Infinity;
    if (this.#released || this.allows(nowMs, path)) return false;
    this.untilMs = this.readyMs(nowMs);
    counters.flushesPaced += 1;
    return true;
  }

  /** Holds nothing any more: last words do not wait. */
  release(): void {
    this.#released = true;
    this.untilMs = Infinity;
  }

  /** A datagram goes. */
  spend(bytes: number): void {
    this.#tokensBytes -= bytes;
  }

  /** When more may go. */
  readyMs(nowMs: number): number {
    const waitMs = this.#bytesPerMs > 0 ? -this.#tokensBytes / this.#bytesPerMs : WAIT_MS_MIN;
    return nowMs + Math.max(waitMs, WAIT_MS_MIN);
  }
}
