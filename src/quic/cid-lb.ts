/**
 * Our connection ids where load balancers read them, 12 to 20 bytes:
 *
 * ```text
 * first octet, block   as `quic-lb.ts` has them; server id and nonce have at most 13 bytes together
 * slot byte            worker slot (low 6 bits), rotation (high 2 bits)
 * check byte           both under a veil (`id-mark.ts`): nobody shall tell a worker's ids from another's
 * 4 bytes              index into the id table, masked
 * ```
 *
 * Slot, check and index stand behind the block, since the kernel's program cannot decrypt and we do not want to for each packet. With a key
 * the nonce is the slot byte, so that no two workers make the same block, and a number that counts up from a random one, so that no worker
 * does before it has gone round (draft-ietf-quic-load-balancers-21, 7.2 and 9.6). Without a key it is random.
 */
import { assert } from "../core/assert.ts";
import { type FillRandom, type IdKey, type IdScheme, indexMask, ownSlotByte, write32 } from "./cid.ts";
import { type IdMark, read32, readMark, rotationOf, type Veil, writeMark } from "./id-mark.ts";
import { BLOCK_AT, QuicLbCodec, type QuicLbConfig } from "./quic-lb.ts";

/** What ids for load balancers are made with. */
export interface LbIdKey extends IdKey {
  readonly config: QuicLbConfig;
  /** Of this node; no other node of the load balancer's has it. */
  readonly serverId: Uint8Array;
  /** The first octet says how long the id is. Else it says nothing. */
  readonly encodesLength: boolean;
  /** All nodes may have the same. */
  readonly veil: Omit<Veil, "wordAt">;
}

const MARK_BYTES = 2;
const INDEX_BYTES = 4;
const WORD_BYTES = 4;
/** 20 bytes less the first octet, the mark and the index. */
const BLOCK_BYTES_MAX = 13;

/** Makes ids that load balancers can read and reads the index out of them. */
export class LbIdCodec implements IdScheme {
  readonly mark: IdMark;
  /** How many ids can be made before nonces repeat; then the load balancers need another configuration. */
  readonly noncesMax: number;
  readonly #codec: QuicLbCodec;
  readonly #key: LbIdKey;
  readonly #fillRandom: FillRandom;
  readonly #slotByte: number;
  readonly #nonce: Uint8Array;
  readonly #low = new Uint8Array(1);
  readonly #indexAt: number;
  #minted = 0;

  constructor(key: LbIdKey, fillRandom: FillRandom) {
    this.#codec = new QuicLbCodec(key.config);
    const { blockBytes } = this.#codec;
    assert(blockBytes <= BLOCK_BYTES_MAX, "server id and nonce leave 7 of 20 bytes for the rest");
    assert(key.serverId.length === key.config.serverIdBytes, "a server id is as long as agreed");
    this.#key = key;
    this.#fillRandom = fillRandom;
    this.#slotByte = ownSlotByte(key);
    this.#nonce = new Uint8Array(key.config.nonceBytes);
    fillRandom(this.#nonce);
    this.noncesMax = 2 ** (8 * (key.config.nonceBytes - 1));
    const markAt = BLOCK_AT + blockBytes;
    this.#indexAt = markAt + MARK_BYTES;
    this.mark = {
      idBytes: this.#indexAt + INDEX_BYTES,
      at: markAt,
      checkByte: key.checkByte,
      veil: { ...key.veil, wordAt: markAt - WORD_BYTES },
    };
  }

  /** Ids made so far. */
  get minted(): number {
    return this.#minted;
  }

  mint(index: number): Uint8Array {
    const { config, serverId, encodesLength } = this.#key;
    const id = new Uint8Array(this.mark.idBytes);
    if (config.cipher === null) this.#fillRandom(this.#nonce);
    else this.#countUp();
    if (!encodesLength) this.#fillRandom(this.#low);
    this.#codec.write(id, encodesLength ? id.length - 1 : (this.#low[0] ?? 0), serverId, this.#nonce);
    writeMark(this.mark, id, this.#slotByte);
    write32(id, this.#indexAt, index ^ this.#maskOf(id, 0));
    this.#minted += 1;
    return id;
  }

  indexOf(bytes: Uint8Array, at: number): number {
    if (readMark(this.mark, bytes, at) !== this.#slotByte) return -1;
    return (read32(bytes, at + this.#indexAt) ^ this.#maskOf(bytes, at)) >>> 0;
  }

  isOurs(bytes: Uint8Array, at: number, entriesMax: number): boolean {
    const slotByte = readMark(this.mark, bytes, at);
    if (slotByte < 0 || rotationOf(slotByte) !== rotationOf(this.#slotByte)) return false;
    if ((read32(bytes, at + this.#indexAt) ^ this.#maskOf(bytes, at)) >>> 0 >= entriesMax) return false;
    return this.#codec.isFor(this.#key.serverId, bytes, at, this.mark.idBytes);
  }

  /** By both ends of the block: one of them is the nonce, or all of it is ciphertext. */
  #maskOf(bytes: Uint8Array, at: number): number {
    return indexMask(this.#key.mask, read32(bytes, at + BLOCK_AT), read32(bytes, at + this.mark.at - WORD_BYTES));
  }

  /** The next nonce: slot byte, then a big-endian number. */
  #countUp(): void {
    const nonce = this.#nonce;
    nonce[0] = this.#slotByte;
    for (let i = nonce.length - 1; i > 0; i--) {
      nonce[i] = (nonce[i] ?? 0) + 1;
      if (nonce[i] !== 0) return;
    }
  }
}
