/**
 * One client connection: what is fed to the engine, when it must be woken, what it may send in a turn, and its end. HTTP/3 sits on
 * top as a `SessionDriver` that is made when the handshake is done, or when the client's early data (0-RTT) is taken.
 */
import { assert } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import { TimerEntry } from "../core/timer-wheel.ts";
import type { AddressKey } from "../guard/address-table.ts";
import type { ConnectionHost, SessionDriver } from "./connection-host.ts";
import type { EarlyFlight } from "./early-data.ts";
import { type EngineConnection, type PacketFacts, SEND_DONE, SEND_FULL } from "./engine.ts";
import { Pacer } from "./pacer.ts";
import { offerIds, retireIds } from "./spare-ids.ts";

/** A flush of more packets than this was part of something large. */
const BULK_PACKETS = 4;
/** Bytes sent for each byte received before the client's address is validated (RFC 9000 8.1). */
const AMPLIFICATION_MAX = 3;
/** RFC 9114 8.1, and RFC 9000 20.1: closed abruptly in the absence of any error. */
const [H3_INTERNAL_ERROR, NO_ERROR] = [0x102, 0x00];

/** A connection from accept to close. */
export class Connection extends TimerEntry {
  readonly engine: EngineConnection;
  /** All ids of ours that lead here. */
  readonly ids: Uint8Array[] = [];
  /** Key of the id the client chose for its first packets. */
  clientIdKey: string | null = null;
  /** What its client's address is counted under, while addresses are counted. */
  addressKey: AddressKey | null = null;
  /** Already among the dirty ones, and among the touched ones, of this turn. */
  dirty = false;
  touched = false;
  /** What has been counted of its packets. */
  readonly counted: PacketFacts = { sent: 0, lost: 0, retransmitted: 0 };
  /** Its client's early data that was taken. */
  early: EarlyFlight | null = null;
  /** Its endpoint. */
  readonly host: ConnectionHost;
  #driver: SessionDriver | null = null;
  #established = false;
  #closed = false;
  /** Its end was begun from our side. */
  #closing = false;
  /** It is freed as soon as its last words are sent, without waiting for what the client may still send. */
  #freedWhenSent = false;
  readonly #acceptedMs: number;
  /** When an unfinished handshake is given up, whatever the client sends until then. */
  readonly #handshakeDeadlineMs: number;
  /** Something was queued for sending that should not wait. */
  #urgent = true;
  #spoken = false;
  /** Bytes that may be sent to a client whose address is not validated; `Infinity` when it is. */
  #creditBytes = 0;
  #receivedSinceFlush = 0;
  readonly #pacer: Pacer | null;
  #heldUntilMs = 0;
  /** Packets of the last flush: after many, what comes in opens the congestion window for more of them. */
  #lastPackets = 0;
  /** Ids that were wanted could not be made: it is tried again with the next datagrams. */
  #idsShort = false;
  /** Its session was told to take no more because the client has come from so many addresses. */
  #pathsUsedUp = false;
  readonly #idHex: string;

  /** `id` is the one that the handshake uses, which may take so long. */
  constructor(engine: EngineConnection, host: ConnectionHost, id: Uint8Array, handshakeMs: number) {
    super();
    this.engine = engine;
    this.host = host;
    this.#pacer = host.burstBytes > 0 ? new Pacer(host.burstBytes, host.nowMs) : null;
    this.#acceptedMs = host.nowMs;
    this.#handshakeDeadlineMs = host.nowMs + handshakeMs;
    this.ids.push(id);
    this.#idHex = Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** True once the engine's object is freed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** True when the handshake is done. */
  get established(): boolean {
    return this.#established;
  }

  /** The session, once there is one. */
  get driver(): SessionDriver | null {
    return this.#driver;
  }

  /** The id of the handshake, hex: names the connection for as long as it lives. */
  get idHex(): string {
    return this.#idHex;
  }

  /** Neither side has closed it. */
  get isOpen(): boolean {
    return !this.#closed && !this.#closing && !this.engine.isDraining();
  }

  /** Requests that its end would break off now: none where the client has left them itself. */
  get unfinished(): number {
    return this.#driver !== null && this.isOpen ? this.#driver.unfinished : 0;
  }

  /** True once something was sent: until then the client has no keys but those that everybody can derive. */
  get hasSpoken(): boolean {
    return this.#spoken;
  }

  /**
   * The client has sent a datagram with a long header of so many bytes, whether or not it makes sense. quiche counts this credit too, but not the padding that
   * it sends (0.30: a silent client was seen to get 4.8 times its bytes), so the limit is kept here.
   */
  earnCredit(bytes: number): void {
    this.#creditBytes += AMPLIFICATION_MAX * bytes;
    if (this.early !== null) this.early.hadLongHeaders = true;
  }

  /** The client is where it says: it has answered to an id that only our packets could tell it (RFC 9000 8.1), or done its handshake. */
  validateAddress(): void {
    this.#creditBytes = Infinity;
  }

  /** Feeds datagram `slot`; the result is the engine's. */
  feed(slot: number): number {
    assert(!this.#closed, "a closed connection has no ids that lead to it");
    this.#receivedSinceFlush += 1;
    return this.engine.feed(slot);
  }

  /** After a turn's datagrams: opens the session when it is time, then lets it work. */
  process(): void {
    if (this.#closed) return;
    if (this.#established && this.#driver !== null) this.#keepHouse(this.#driver);
    else this.#advance();
    this.#driver?.process();
    // Touched again: the session has left something for the next turn.
    if (this.early !== null && !this.touched) this.early.hadLongHeaders = false;
  }

  /** Something was written for the peer; send it in this turn. */
  wake(): void {
    this.#urgent = true;
    this.host.markDirty(this);
  }

  /** The deadline set with `setDeadline` has come: one of the engine's, of the session's, of the handshake's or of a held flush. */
  onDeadline(): void {
    if (this.#closed) return;
    // Whoever's deadline it was: quiche does nothing when it is not time.
    if (this.#heldUntilMs === 0) this.engine.onTimeout();
    else this.#urgent = true;
    if (!this.#closing) this.#onOwnTime(this.host.nowMs);
    this.host.markDirty(this);
  }

  /**
   * Sends what is due, at most a turn's share. False: the socket is full and the connection stays dirty. A flush that would carry
   * only acknowledgements is held for the answer to go with it (measured: 1.56 packets per request become 1.07).
   */
  flush(): boolean {
    if (this.#closed) return true;
    if (this.#shouldHold()) {
      this.#hold();
      return true;
    }
    const finished = this.#sendShare();
    if (!finished) return false;
    this.#heldUntilMs = 0;
    this.#urgent = false;
    this.#receivedSinceFlush = 0;
    this.#settle();
    return true;
  }

  /** The session tells its client, from `atMs` on, to go elsewhere. Costs no flush: it is looked at again when that time has come. */
  leave(atMs: number): void {
    if (this.#closing || this.#driver === null) return;
    this.#driver.leave(atMs);
    this.host.setDeadline(this, Math.min(this.deadlineMs, this.#driver.deadlineMs));
  }

  /** Begins an orderly end: `code` is an HTTP/3 code when `app`. */
  close(app: boolean, code: number, reason: string): void {
    if (this.#closed) return;
    this.#closing = true;
    this.#pacer?.release();
    this.engine.close(app, code, reason);
    this.wake();
  }

  /**
   * Says a transport code and is gone: nothing is kept for a client that has shown too little of itself to be waited for. What it sends
   * afterwards reaches nobody.
   */
  dismiss(code: number): void {
    if (this.#closed) return;
    this.#freedWhenSent = true;
    this.close(false, code, "");
  }

  /** Ends without a word (the last resort at shutdown). Idempotent. */
  destroy(): void {
    if (!this.#closed) this.#dispose();
  }

  /** Before the handshake is done: it may be now, or early data may have come. */
  #advance(): void {
    if (this.engine.isEstablished()) {
      this.#establish();
      return;
    }
    const { earlyData, nowMs } = this.host;
    if (earlyData === null || this.#driver !== null || !this.engine.isInEarlyData()) return;
    this.early = earlyData.onTaken(this.engine, nowMs);
    this.#open();
  }

  #establish(): void {
    this.validateAddress();
    if (this.#driver === null && this.#open() === null) return;
    this.#established = true;
    const { counters, earlyData, nowMs } = this.host;
    counters.connectionsEstablished += 1;
    counters.handshakeMs.record(nowMs - this.#acceptedMs);
    if (this.engine.isResumed()) counters.connectionsResumed += 1;
    this.host.onEstablished();
    if (this.early === null) earlyData?.onNoneTaken(this.engine);
    else this.early.onEstablished();
    this.#urgent = true;
    this.#idsShort = offerIds(this, this.host);
  }

  #open(): SessionDriver | null {
    const session = this.engine.openSession();
    if (session === null) this.close(true, H3_INTERNAL_ERROR, "");
    else this.#driver = this.host.onOpen(this, session);
    return this.#driver;
  }

  #keepHouse(driver: SessionDriver): void {
    this.host.counters.migrations += this.engine.takeMigrations();
    if (retireIds(this, this.host) || this.#idsShort) this.#idsShort = offerIds(this, this.host);
    if (!this.#pathsUsedUp && this.engine.pathCount > LIMITS.pathsBeforeDrainMax) {
      this.#pathsUsedUp = true;
      this.host.counters.connectionsOverPaths += 1;
      driver.leave(this.host.nowMs);
    }
  }

  #shouldHold(): boolean {
    if (this.#urgent || !this.#established || this.#driver === null || !this.#driver.awaitsAnswer) return false;
    if (this.#lastPackets > BULK_PACKETS) return false;
    if (this.#receivedSinceFlush === 0 || this.#receivedSinceFlush > LIMITS.heldDatagramsMax) return false;
    return this.#heldUntilMs === 0 || this.host.nowMs < this.#heldUntilMs;
  }

  #hold(): void {
    if (this.#heldUntilMs !== 0) return;
    this.#heldUntilMs = this.host.nowMs + LIMITS.heldFlushMsMax;
    this.host.counters.heldFlushes += 1;
    this.host.setDeadline(this, this.#heldUntilMs);
  }

  /** True when nothing is left that may be sent, or the share is used up; the rest goes in the next turn. */
  #sendShare(): boolean {
    this.#lastPackets = 0;
    while (this.#lastPackets < LIMITS.packetsPerConnectionTurnMax) {
      if (this.#pacer?.holds(this.host, this.engine) === true || this.#creditBytes <= 0) return true;
      const result = this.engine.send(this.#creditBytes);
      if (result === SEND_DONE) return true;
      if (result === SEND_FULL) return false;
      this.#spoken = true;
      this.#creditBytes -= result;
      this.#pacer?.spend(result);
      this.#lastPackets += 1;
    }
    this.host.markDirty(this);
    return true;
  }

  #settle(): void {
    if (this.#freedWhenSent || this.engine.isClosed()) {
      this.#dispose();
      return;
    }
    const timeoutMs = this.engine.timeoutMs();
    const pacedMs = this.#pacer?.untilMs ?? Infinity;
    const engineMs = timeoutMs < 0 ? pacedMs : Math.min(this.host.nowMs + timeoutMs, pacedMs);
    this.host.setDeadline(this, this.#closing ? engineMs : Math.min(engineMs, this.#ownDeadlineMs()));
  }

  /** What we wait for beside the engine: the end of the handshake, then whatever the session waits for. */
  #ownDeadlineMs(): number {
    const sessionMs = this.#driver?.deadlineMs ?? Infinity;
    return this.#established ? sessionMs : Math.min(this.#handshakeDeadlineMs, sessionMs);
  }

  #onOwnTime(nowMs: number): void {
    if (nowMs < this.#ownDeadlineMs()) return;
    if (this.#driver === null || (!this.#established && nowMs >= this.#handshakeDeadlineMs)) {
      this.host.counters.handshakesTimedOut += 1;
      return this.dismiss(NO_ERROR);
    }
    this.#driver.onTime(nowMs);
    assert(this.#closing || this.#driver.deadlineMs > nowMs, "a session whose time has come waits for a later one");
  }

  #dispose(): void {
    this.#closed = true;
    const reason = this.engine.closeReason();
    this.#driver?.abandon();
    this.host.onClosed(this, reason);
    this.engine.free();
  }
}
