/**
 * Stateless resets (RFC 9000 10.3): what tells a client that its connection is gone, when all that is known of it is an id of ours in a packet
 * that nobody can read.
 *
 * ```text
 * 0 1 and 6 random bits | random bytes | the id's reset token, 16 bytes
 * ```
 *
 * Only for short headers and ids of our own node: where nodes share keys, a packet that went astray must not end a connection that lives
 * elsewhere. Each is smaller than what it answers, so two ends that take each other's for packets stop at 21 bytes.
 */
import { assert } from "../core/assert.ts";
import { type BucketShape, TokenBucket } from "../guard/token-bucket.ts";
import type { FillRandom } from "./cid.ts";

/** Bytes of a reset token. */
export const RESET_TOKEN_BYTES = 16;
/** The smallest reset: a byte, 32 random bits (RFC 9000 wants 38 with the first byte's six), and the token. */
const RESET_BYTES_MIN = 21;
/** So long a packet of a client with a 20-byte id is at least; a shorter reset would stand out (RFC 9000 10.3). */
const RESET_BYTES_USUAL = 42;
/** Resets are longer by up to as much by chance, so that their length does not tell them. One less than a power of two. */
const RESET_BYTES_SPREAD = 15;
const LONG_HEADER = 0x80;
const FIXED_BIT = 0x40;
const LOW_SIX_BITS = 0x3f;

/** Why there is no answer. */
export const WITHHELD = {
  /** A long header, none of QUIC's, or an id that is not ours. */
  notOurs: 0,
  /** Too short to be answered by something smaller. */
  tooShort: -1,
  /** There were too many lately. */
  tooMany: -2,
} as const;

/** A packet that no connection wants. */
export interface StrayPacket {
  readonly firstByte: number;
  /** Of the datagram. */
  readonly bytes: number;
  /** Its id is one that this node makes (`IdScheme.isOurs`). */
  readonly isOurs: boolean;
}

/** Decides which stray packets are answered. */
export class ResetGate {
  readonly #bucket: TokenBucket;

  constructor(rate: BucketShape, nowMs: number) {
    this.#bucket = new TokenBucket(rate, nowMs);
  }

  /** How long the reset shall be, or one of `WITHHELD`. `chance` is any number of 32 bits. */
  judge(packet: StrayPacket, chance: number, nowMs: number): number {
    const isShort = (packet.firstByte & (LONG_HEADER | FIXED_BIT)) === FIXED_BIT;
    if (!isShort || !packet.isOurs) return WITHHELD.notOurs;
    if (packet.bytes <= RESET_BYTES_MIN) return WITHHELD.tooShort;
    return this.#bucket.take(nowMs) ? resetBytes(packet.bytes, chance) : WITHHELD.tooMany;
  }
}

/** The length of a reset in answer to `bytes`: one less for small ones, else what packets usually have. */
function resetBytes(bytes: number, chance: number): number {
  return Math.min(bytes - 1, RESET_BYTES_USUAL + (chance & RESET_BYTES_SPREAD));
}

/** The datagram. */
export function makeReset(length: number, token: Uint8Array, fillRandom: FillRandom): Uint8Array {
  assert(length >= RESET_BYTES_MIN, "a reset has 21 bytes at least");
  assert(token.length === RESET_TOKEN_BYTES, "a reset token has 16 bytes");
  const datagram = new Uint8Array(length);
  fillRandom(datagram.subarray(0, length - RESET_TOKEN_BYTES));
  datagram[0] = FIXED_BIT | ((datagram[0] ?? 0) & LOW_SIX_BITS);
  datagram.set(token, length - RESET_TOKEN_BYTES);
  return datagram;
}
