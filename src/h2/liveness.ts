/**
 * Finds a peer that is gone without a word, and one that never answered our SETTINGS. Any byte received is a sign of life; silence
 * while requests are under way is asked about with a PING. Without requests nobody is asked: servers punish idle pings.
 */
import { LIMITS } from "../core/limits.ts";

/** What is to be done now. */
export type LivenessVerdict = "fine" | "ping" | "settings-timeout" | "ping-timeout";

/**
 * How much longer each further silence may last before it is asked about, and how often it grows. gRPC servers allow one ping in 5
 * minutes and two more than that until they next send something, so 5 s, 40 s and then 320 s never offend them.
 */
const BACK_OFF = 8;
const BACK_OFFS_MAX = 2;

/** The deadlines of one connection. Times are monotonic milliseconds. */
export class Liveness {
  readonly #pingAfterMs: number;
  /** The silence that is asked about next; grows while pings are all that moves. */
  #silenceMs: number;
  readonly #silenceMsMax: number;
  readonly #answerMs: number;
  #heardMs: number;
  #pingedMs = -1;
  #settingsDueMs: number;

  constructor(nowMs: number, pingAfterMs: number = LIMITS.h2PingAfterMs, answerMs: number = LIMITS.h2PingAnswerMsMax) {
    this.#pingAfterMs = pingAfterMs;
    this.#silenceMs = pingAfterMs;
    this.#silenceMsMax = pingAfterMs * BACK_OFF ** BACK_OFFS_MAX;
    this.#answerMs = answerMs;
    this.#heardMs = nowMs;
    this.#settingsDueMs = nowMs + LIMITS.h2SettingsAckMsMax;
  }

  /** Bytes came. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#pingedMs = -1;
  }

  /** A head or a piece of a body came. */
  progressed(): void {
    this.#silenceMs = this.#pingAfterMs;
  }

  /** The first request after none: the silence before it tells nothing. */
  woke(nowMs: number): void {
    this.#silenceMs = this.#pingAfterMs;
    this.#heardMs = Math.max(this.#heardMs, nowMs);
  }

  settingsAcknowledged(): void {
    this.#settingsDueMs = Infinity;
  }

  /** When `judge` has something to say next, if nothing happens before; `Infinity` for never. */
  deadlineMs(isBusy: boolean): number {
    if (this.#pingedMs >= 0) return Math.min(this.#settingsDueMs, this.#pingedMs + this.#answerMs);
    return isBusy ? Math.min(this.#settingsDueMs, this.#heardMs + this.#silenceMs) : this.#settingsDueMs;
  }

  /** After "ping" the caller sends one. */
  judge(nowMs: number, isBusy: boolean): LivenessVerdict {
    if (nowMs < this.deadlineMs(isBusy)) return "fine";
    if (nowMs >= this.#settingsDueMs) return "settings-timeout";
    if (this.#pingedMs >= 0) return "ping-timeout";
    this.#pingedMs = nowMs;
    this.#silenceMs = Math.min(this.#silenceMs * BACK_OFF, this.#silenceMsMax);
    return "ping";
  }
}
