/**
 * Connection ids that load balancers can read (draft-ietf-quic-load-balancers-21 and its editors' copy of May 2026):
 *
 * ```text
 * first octet   configuration (high 3 bits), bytes that follow or chance (low 5 bits)
 * block         server id and nonce, 5 to 19 bytes together, encrypted when there is a key
 * ```
 *
 * A block of 16 bytes is encrypted once with AES-128-ECB, any other one by a Feistel network of four rounds whose round function that is.
 * Further bytes behind the block are the server's own.
 */
import { assert } from "../core/assert.ts";
import { copyOf } from "../core/bytes.ts";

/** AES-128-ECB over single blocks of 16 bytes. The result may be overwritten by the next call. */
export interface BlockCipher {
  encrypt(block: Uint8Array): Uint8Array;
  decrypt(block: Uint8Array): Uint8Array;
}

/** What servers and load balancers have agreed on. */
export interface QuicLbConfig {
  /** 0 to 6. The seventh says that nobody can read the id. */
  readonly configId: number;
  /** At least 1. */
  readonly serverIdBytes: number;
  /** At least 4; no more than 19 together with the server id. */
  readonly nonceBytes: number;
  /** null: the block stands in clear, and everybody sees which server has a connection. */
  readonly cipher: BlockCipher | null;
}

/** The block begins behind the first octet. */
export const BLOCK_AT = 1;
const CIPHER_BYTES = 16;
const CONFIG_ID_MAX = 6;
const CONFIG_SHIFT = 5;
const LOW_BITS = 0x1f;
const NONCE_BYTES_MIN = 4;
/** QUIC version 1 ids have at most 20 bytes. */
const BLOCK_BYTES_MAX = 19;
const ROUNDS = 4;
const LENGTH_AT = 14;
const ROUND_AT = 15;

/** Writes ids of one configuration and reads them. */
export class QuicLbCodec {
  readonly blockBytes: number;
  readonly #config: QuicLbConfig;
  readonly #halfBytes: number;
  readonly #isOdd: boolean;
  readonly #left = new Uint8Array(CIPHER_BYTES);
  readonly #right = new Uint8Array(CIPHER_BYTES);
  readonly #input = new Uint8Array(CIPHER_BYTES);

  constructor(config: QuicLbConfig) {
    const { configId, serverIdBytes, nonceBytes } = config;
    assert(configId >= 0 && configId <= CONFIG_ID_MAX, "a configuration's number is 0 to 6");
    assert(serverIdBytes >= 1 && nonceBytes >= NONCE_BYTES_MIN, "a server id has 1 byte at least, a nonce 4");
    this.blockBytes = serverIdBytes + nonceBytes;
    assert(this.blockBytes <= BLOCK_BYTES_MAX, "server id and nonce have 19 bytes at most");
    this.#config = config;
    this.#halfBytes = Math.ceil(this.blockBytes / 2);
    this.#isOdd = this.blockBytes % 2 === 1;
  }

  /** Writes first octet and block to the beginning of `id`. Of `lowBits` five count: the bytes of the id but one, or chance. */
  write(id: Uint8Array, lowBits: number, serverId: Uint8Array, nonce: Uint8Array): void {
    const { configId, serverIdBytes, nonceBytes, cipher } = this.#config;
    assert(
      serverId.length === serverIdBytes && nonce.length === nonceBytes,
      "server id and nonce are as long as agreed",
    );
    id[0] = (configId << CONFIG_SHIFT) | (lowBits & LOW_BITS);
    id.set(serverId, BLOCK_AT);
    id.set(nonce, BLOCK_AT + serverIdBytes);
    if (cipher === null) return;
    if (this.blockBytes === CIPHER_BYTES) {
      id.set(cipher.encrypt(id.subarray(BLOCK_AT, BLOCK_AT + CIPHER_BYTES)), BLOCK_AT);
      return;
    }
    this.#split(id, 0);
    for (let round = 1; round <= ROUNDS; round++) this.#mix(cipher, round);
    this.#join(id, 0);
  }

  /** The server id followed by the nonce of the id at `at`; null when it is too short or of another configuration. */
  read(bytes: Uint8Array, at: number, length: number): Uint8Array | null {
    const { configId, cipher } = this.#config;
    if (length < BLOCK_AT + this.blockBytes || (bytes[at] ?? 0) >>> CONFIG_SHIFT !== configId) return null;
    const block = copyOf(bytes, at + BLOCK_AT, at + BLOCK_AT + this.blockBytes);
    if (cipher === null) return block;
    if (this.blockBytes === CIPHER_BYTES) return copyOf(cipher.decrypt(block), 0, CIPHER_BYTES);
    this.#split(bytes, at);
    for (let round = ROUNDS; round >= 1; round--) this.#mix(cipher, round);
    this.#join(block, -BLOCK_AT);
    return block;
  }

  /** Whether the id at `at` was made for this server. */
  isFor(serverId: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean {
    const block = this.read(bytes, at, length);
    return block !== null && serverId.every((byte, i) => block[i] === byte);
  }

  /** The middle byte of an odd block goes to both halves: four bits each, the others clear. */
  #split(bytes: Uint8Array, at: number): void {
    const begin = at + BLOCK_AT;
    const rightBegin = begin + this.blockBytes - this.#halfBytes;
    for (let i = 0; i < this.#halfBytes; i++) {
      this.#left[i] = bytes[begin + i] ?? 0;
      this.#right[i] = bytes[rightBegin + i] ?? 0;
    }
    this.#clearSpare();
  }

  #join(bytes: Uint8Array, at: number): void {
    const begin = at + BLOCK_AT;
    const rightBegin = begin + this.blockBytes - this.#halfBytes;
    for (let i = 0; i < this.#halfBytes; i++) bytes[begin + i] = this.#left[i] ?? 0;
    const shared = this.#isOdd ? (bytes[rightBegin] ?? 0) : 0;
    for (let i = 0; i < this.#halfBytes; i++) bytes[rightBegin + i] = this.#right[i] ?? 0;
    bytes[rightBegin] = (bytes[rightBegin] ?? 0) | shared;
  }

  /** One round: odd ones change the right half by the left one, even ones the left by the right. Doing it again undoes it. */
  #mix(cipher: BlockCipher, round: number): void {
    const [from, to] = round % 2 === 1 ? [this.#left, this.#right] : [this.#right, this.#left];
    const input = this.#input;
    input.fill(0);
    for (let i = 0; i < this.#halfBytes; i++) input[i] = from[i] ?? 0;
    input[LENGTH_AT] = this.blockBytes;
    input[ROUND_AT] = round;
    const output = cipher.encrypt(input);
    for (let i = 0; i < this.#halfBytes; i++) to[i] = (to[i] ?? 0) ^ (output[i] ?? 0);
    this.#clearSpare();
  }

  #clearSpare(): void {
    if (!this.#isOdd) return;
    const last = this.#halfBytes - 1;
    this.#left[last] = (this.#left[last] ?? 0) & 0xf0;
    this.#right[0] = (this.#right[0] ?? 0) & 0x0f;
  }
}
