/** Early data (0-RTT, RFC 9001 4.6) on the connections of an endpoint: which of it may be a repetition, and what became of it. */
import type { Counters } from "../core/counters.ts";
import type { ReplayGuard } from "../guard/replay-guard.ts";
import { isForOneConnection } from "./coalesced.ts";
import type { DatagramSocket, EarlyReason, EngineConnection } from "./engine.ts";

/** A first flight with early data, on its connection. */
export class EarlyFlight {
  /** It may be a repetition, so what it asks for waits until the handshake is done. */
  readonly doubted: boolean;
  /** Called once, when the handshake is done: whatever was asked for on the connection is no repetition. */
  whenEstablished: (() => void) | null = null;
  /** Since the session last read there were packets that may have been the flight's. */
  hadLongHeaders = true;
  #established = false;

  constructor(doubted: boolean) {
    this.doubted = doubted;
  }

  /** The handshake is done. */
  get established(): boolean {
    return this.#established;
  }

  /**
   * What is read now may have come as early data: before the handshake was done, or with packets that were late. A request in it may then
   * have been forwarded before, by another process to which somebody has played the flight.
   */
  get mayBeEarly(): boolean {
    return !this.#established || this.hadLongHeaders;
  }

  /** The handshake is done now. */
  onEstablished(): void {
    this.#established = true;
    this.whenEstablished?.();
  }
}

/** Of one endpoint whose clients may send it. */
export class EarlyData {
  readonly #guard: ReplayGuard;
  readonly #counters: Counters;

  constructor(guard: ReplayGuard, counters: Counters) {
    this.#guard = guard;
    this.#counters = counters;
  }

  /** Are packets for several connections in datagram `slot`? Then nothing in it is read. */
  isMixed(socket: DatagramSocket, slot: number): boolean {
    const at = socket.offsetOf(slot);
    if (isForOneConnection(socket.received, at, at + socket.lengthOf(slot))) return false;
    this.#counters.datagramsMalformed += 1;
    return true;
  }

  /** TLS takes a client's early data. */
  onTaken(engine: EngineConnection, nowMs: number): EarlyFlight {
    this.#counters.earlyConnections += 1;
    const { random, ticketAgeSkewSeconds } = engine.earlyFacts();
    const doubt = this.#guard.judge(random, ticketAgeSkewSeconds, nowMs);
    if (doubt !== null) this.#counters.earlyDoubts.add(doubt);
    return new EarlyFlight(doubt !== null);
  }

  /** A handshake is done in which none was taken: a client that wanted to send some has sent it again. */
  onNoneTaken(engine: EngineConnection): void {
    const { reason } = engine.earlyFacts();
    if (!UNASKED.has(reason)) this.#counters.earlyRejected.add(reason);
  }
}

/** Nothing was rejected: the client had no ticket, or sent nothing with it. */
const UNASKED: ReadonlySet<EarlyReason> = new Set(["accepted", "no-ticket", "not-offered"]);
