/**
 * Which first flights of clients are surely new, so that what they ask for may be done before the handshake has shown it (RFC 8446 8). Whoever
 * has recorded a flight can play it again, but cannot change the ClientHello in it, nor get to the end of a handshake. So a ClientHello that
 * was seen before, or that would no longer be remembered, is one that has to wait; nothing is refused for it.
 */
import { LIMITS } from "../core/limits.ts";

/**
 * Why a flight may be a repetition. `seen`: its ClientHello was here. `stale`: its client says another age of its ticket than we reckon, by
 * more than is remembered. `young`: it may have been here before this process was. `full`: there is no room to remember it.
 */
export type ReplayDoubt = "seen" | "stale" | "young" | "full";

/** Seconds by which the two ages of a ticket may differ (RFC 8446 8.3): a round trip, a clock that runs wrong, and the cut-off parts. */
const SKEW_SECONDS_MAX = 10;
/** A flight that was good at its skew's one end is good until its other; both ages are whole seconds, cut off. */
const REMEMBERED_SECONDS = 2 * SKEW_SECONDS_MAX + 3;
const WAYS = 8;
/** Two words of a ClientHello's random, and the second in which it came, counted from 1; 0: empty. */
const WORDS = 3;
const BUCKET_WORDS = WAYS * WORDS;
const BUCKETS = LIMITS.replaysRememberedMax / WAYS;

/** Remembers ClientHellos for as long as they could be played again. One for all connections of a process. */
export class ReplayGuard {
  readonly #words = new Uint32Array(BUCKETS * BUCKET_WORDS);
  readonly #startedMs: number;
  readonly #surelyNewMs: number;

  /** `ticketsAreOlder`: there may be tickets that were given out before this process began, so also flights that it does not remember. */
  constructor(nowMs: number, ticketsAreOlder: boolean) {
    this.#startedMs = nowMs;
    this.#surelyNewMs = ticketsAreOlder ? nowMs + REMEMBERED_SECONDS * 1000 : nowMs;
  }

  /**
   * Judges a flight by its ClientHello's random, 32 bytes, and remembers it: null when it is surely new here. Two words of the random do: a
   * repetition has the same ones, and a client whose own are another's by chance only waits.
   */
  judge(random: Uint8Array, ticketAgeSkewSeconds: number, nowMs: number): ReplayDoubt | null {
    const isKnown = this.#remember(random, nowMs);
    if (isKnown === true) return "seen";
    if (Math.abs(ticketAgeSkewSeconds) > SKEW_SECONDS_MAX) return "stale";
    if (nowMs < this.#surelyNewMs) return "young";
    return isKnown === null ? "full" : null;
  }

  /** True: it was there. Null: no room. */
  #remember(random: Uint8Array, nowMs: number): boolean | null {
    const second = 1 + Math.floor((nowMs - this.#startedMs) / 1000);
    const first = wordOf(random, 0);
    const next = wordOf(random, 4);
    const words = this.#words;
    const at = (wordOf(random, 8) % BUCKETS) * BUCKET_WORDS;
    let free = -1;
    for (let way = at; way < at + BUCKET_WORDS; way += WORDS) {
      const came = words[way + 2] ?? 0;
      if (came === 0 || second - came > REMEMBERED_SECONDS) free = way;
      else if (words[way] === first && words[way + 1] === next) return true;
    }
    if (free < 0) return null;
    words[free] = first;
    words[free + 1] = next;
    words[free + 2] = second;
    return false;
  }
}

function wordOf(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16);
  return (high | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0;
}
