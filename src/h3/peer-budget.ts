/**
 * What one client may do that costs us and brings nothing, in two budgets that fill with time. Requests that it gives up or breaks (rapid
 * reset; MadeYouReset, where it makes us reset them) are one; packets and frames without a use (empty DATA, PING, PRIORITY_UPDATE,
 * fragments of heads) the other. Beyond either the connection ends with H3_EXCESSIVE_LOAD.
 */
import type { ConnectionSettings } from "../config/snapshot.ts";
import type { Counters } from "../core/counters.ts";
import { TokenBucket } from "../guard/token-bucket.ts";

/** The four keys of the two budgets. */
export type BudgetBounds = Pick<
  ConnectionSettings,
  "resetBurst" | "resetsPerSecond" | "glitchBurst" | "glitchesPerSecond"
>;

/** What came with one batch of datagrams. */
export interface BatchFacts {
  /** Genuine packets, and their bytes. */
  readonly packets: number;
  readonly bytes: number;
  /** Bytes of ours that they acknowledged. */
  readonly acknowledgedBytes: number;
  /** Events and frames of no use. */
  readonly idleFrames: number;
  /** A head, an end or body bytes came, or body bytes wait that nobody on our side has taken yet. */
  readonly brought: boolean;
}

/** Packets of at least this many bytes are taken for body that lies behind a loss: windows bound those, and they cost less. */
const FULL_PACKET_BYTES = 600;
const FULL_PACKET_COST = 0.25;
/** A client confirms every full packet of ours with one of its own at most, twice over for what is lost. */
const ACKNOWLEDGED_BYTES_PER_PACKET = 600;
/** The same for what we write in small pieces: a packet each, perhaps. */
const PACKETS_PER_PIECE = 2;

/** The budgets of one connection. */
export class PeerBudget {
  readonly #counters: Counters;
  readonly #resets: TokenBucket;
  readonly #glitches: TokenBucket;
  readonly #glitchBurst: number;

  constructor(bounds: BudgetBounds, counters: Counters, nowMs: number) {
    this.#counters = counters;
    this.#resets = new TokenBucket({ perSecond: bounds.resetsPerSecond, burst: bounds.resetBurst }, nowMs);
    this.#glitches = new TokenBucket({ perSecond: bounds.glitchesPerSecond, burst: bounds.glitchBurst }, nowMs);
    this.#glitchBurst = bounds.glitchBurst;
  }

  /** A request was given up or broken by the client. False: too many were. */
  onReset(nowMs: number): boolean {
    if (this.#resets.take(nowMs)) return true;
    this.#counters.connectionsOverResets += 1;
    return false;
  }

  /** A piece of a response was taken for the client, who will say that it has come. */
  onSent(): void {
    this.#glitches.give(PACKETS_PER_PIECE);
  }

  /**
   * False: the client has sent too much that brought nothing. A batch with progress costs nothing whatever else was in it: whoever hides
   * behind a byte of progress in each might as well send nothing but progress, which costs us more.
   */
  onBatch(batch: BatchFacts, nowMs: number): boolean {
    if (batch.acknowledgedBytes > 0) this.#glitches.give(batch.acknowledgedBytes / ACKNOWLEDGED_BYTES_PER_PACKET);
    const cost = batch.idleFrames + (batch.brought ? 0 : packetCost(batch));
    if (cost === 0) return true;
    if (!this.#glitches.take(nowMs, cost)) {
      this.#counters.connectionsOverGlitches += 1;
      return false;
    }
    const used = Math.ceil(this.#glitchBurst - this.#glitches.tokens);
    if (used > this.#counters.glitchesHighest) this.#counters.glitchesHighest = used;
    return true;
  }
}

function packetCost({ packets, bytes }: BatchFacts): number {
  return bytes >= packets * FULL_PACKET_BYTES ? packets * FULL_PACKET_COST : packets;
}
