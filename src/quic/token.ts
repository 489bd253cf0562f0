/**
 * Address validation tokens (RFC 9000 8.1): what a client brings back to show that it gets what is sent to its address.
 *
 * ```text
 * byte 0       kind: Retry or NEW_TOKEN (RFC 9000 8.1.3 wants them told apart)
 * byte 1       number of the key
 * bytes 2-17   salt: each token has a key of its own, made from the numbered one and this
 * then         sealed, with the 18 bytes before as associated data, 16 bytes of tag at the end:
 *                6 bytes   when it was made, milliseconds since 1970
 *                16 bytes  address of the client, IPv4 as IPv4-mapped IPv6
 *              and for Retry
 *                2 bytes   port of the client
 *                1 + n     the destination id of the client's first Initial, needed for the transport parameters
 *                1 + n     the source id of the Retry packet, which the client must now use
 * ```
 *
 * Kinds have different keys as well, so a token whose kind was changed is a forged one. A token may be used again for as long as it lives, by
 * whoever receives at that address: it proves the address and nothing else.
 */
import { assert } from "../core/assert.ts";
import { copyOf } from "../core/bytes.ts";
import type { FillRandom } from "./cid.ts";

/** An AEAD that makes a key for each salt: 16 bytes of it may be random for any number of tokens. */
export interface TokenCipher {
  /** Ciphertext and 16 bytes of tag. */
  seal(salt: Uint8Array, associated: Uint8Array, plain: Uint8Array): Uint8Array;
  /** null: something was changed. */
  open(salt: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | null;
}

/** A numbered key. All nodes of a cluster have the same. */
export interface TokenKey {
  /** 0 to 255. */
  readonly id: number;
  readonly retry: TokenCipher;
  readonly newToken: TokenCipher;
}

/** Who asks. */
export interface ClientAddress {
  /** Four words of 32 bits, the highest first, IPv4 as IPv4-mapped IPv6. */
  readonly words: Uint32Array;
  readonly port: number;
}

/** What tokens are made and judged by. */
export interface TokenOptions {
  /** The first one seals. Tokens of the others are taken, so that keys can change one node after the other. */
  readonly keys: readonly TokenKey[];
  readonly fillRandom: FillRandom;
  /** How long a Retry token lives, milliseconds: a client answers a Retry at once. */
  readonly retryLifetimeMs: number;
  /** How long a NEW_TOKEN token lives, milliseconds. */
  readonly newTokenLifetimeMs: number;
}

/**
 * Why a token is not taken: too old; of another address; a Retry token with another id than its packet; of the other kind; not made by
 * us, changed, or by a key that is gone.
 */
export type TokenFault = "expired" | "other-address" | "other-id" | "other-kind" | "forged";

/** What became of a Retry token. */
export type OpenedRetry =
  { readonly verdict: "valid"; readonly originalId: Uint8Array } | { readonly verdict: TokenFault };

/** Bytes of tokens at most. */
export const RETRY_TOKEN_BYTES_MAX = 100;
/** Bytes of a token for NEW_TOKEN. */
export const NEW_TOKEN_BYTES = 56;

const KIND_RETRY = 0xd1;
const KIND_NEW_TOKEN = 0xd2;
const KEY_ID_AT = 1;
const SALT_AT = 2;
const SALT_BYTES = 16;
const SEALED_AT = SALT_AT + SALT_BYTES;
const TAG_BYTES = 16;
/** A node's clock may be ahead of another's by as much. */
const CLOCK_SKEW_MS_MAX = 5000;
const ID_BYTES_MAX = 20;
const ADDRESS_AT = 6;
const PORT_AT = 22;
const IDS_AT = 24;
const RETRY_TOKEN_BYTES_MIN = SEALED_AT + IDS_AT + 2 + TAG_BYTES;
const RETRY_PLAIN_BYTES_MAX = IDS_AT + 2 * (1 + ID_BYTES_MAX);

/** Makes tokens and judges them. */
export class TokenSealer {
  #options: TokenOptions;
  readonly #plain = new Uint8Array(RETRY_PLAIN_BYTES_MAX);
  readonly #view = new DataView(this.#plain.buffer);

  constructor(options: TokenOptions) {
    this.#options = options;
    this.useKeys(options.keys);
  }

  /** Takes other keys from now on. */
  useKeys(keys: readonly TokenKey[]): void {
    assert(keys.length >= 1, "there is a key to seal with");
    assert(new Set(keys.map(({ id }) => id)).size === keys.length, "keys have different numbers");
    this.#options = { ...this.#options, keys };
  }

  /** A token for a Retry packet with the source id `retryId`, in answer to an Initial to `originalId`. `nowMs` counts from 1970. */
  sealRetry(client: ClientAddress, originalId: Uint8Array, retryId: Uint8Array, nowMs: number): Uint8Array {
    assert(originalId.length <= ID_BYTES_MAX && retryId.length <= ID_BYTES_MAX, "ids have 20 bytes at most");
    this.#writeHead(client, nowMs);
    this.#view.setUint16(PORT_AT, client.port);
    const retryIdAt = this.#writeId(IDS_AT, originalId);
    return this.#seal(KIND_RETRY, this.#writeId(retryIdAt, retryId));
  }

  /** A token for a NEW_TOKEN frame. */
  sealNewToken(client: ClientAddress, nowMs: number): Uint8Array {
    this.#writeHead(client, nowMs);
    return this.#seal(KIND_NEW_TOKEN, PORT_AT);
  }

  /** Whether a token says that it is one for Retry and could be. All others are somebody else's business (RFC 9000 8.1.3). */
  isRetry(token: Uint8Array): boolean {
    return token[0] === KIND_RETRY && token.length >= RETRY_TOKEN_BYTES_MIN && token.length <= RETRY_TOKEN_BYTES_MAX;
  }

  /** Judges a token as one for Retry, in an Initial to `destinationId`. */
  openRetry(token: Uint8Array, client: ClientAddress, destinationId: Uint8Array, nowMs: number): OpenedRetry {
    if (token[0] === KIND_NEW_TOKEN) return { verdict: "other-kind" };
    const plain = token[0] === KIND_RETRY ? this.#open(token, RETRY_TOKEN_BYTES_MAX) : null;
    const ids = plain === null ? null : readIds(plain);
    if (plain === null || ids === null) return { verdict: "forged" };
    const view = viewOf(plain);
    if (!isFrom(view, client) || view.getUint16(PORT_AT) !== client.port) return { verdict: "other-address" };
    if (!sameBytes(ids.retryId, destinationId)) return { verdict: "other-id" };
    if (!isFresh(view, nowMs, this.#options.retryLifetimeMs)) return { verdict: "expired" };
    return { verdict: "valid", originalId: ids.originalId };
  }

  /** Judges a token as one of NEW_TOKEN. */
  openNewToken(token: Uint8Array, client: ClientAddress, nowMs: number): "valid" | TokenFault {
    if (token[0] === KIND_RETRY) return "other-kind";
    const plain = token[0] === KIND_NEW_TOKEN ? this.#open(token, NEW_TOKEN_BYTES) : null;
    if (plain?.length !== PORT_AT) return "forged";
    const view = viewOf(plain);
    if (!isFrom(view, client)) return "other-address";
    return isFresh(view, nowMs, this.#options.newTokenLifetimeMs) ? "valid" : "expired";
  }

  #writeHead({ words }: ClientAddress, nowMs: number): void {
    this.#view.setUint16(0, Math.floor(nowMs / 2 ** 32));
    this.#view.setUint32(2, nowMs % 2 ** 32);
    for (let i = 0; i < 4; i++) this.#view.setUint32(ADDRESS_AT + 4 * i, words[i] ?? 0);
  }

  /** Returns where it ends. */
  #writeId(at: number, id: Uint8Array): number {
    this.#plain[at] = id.length;
    this.#plain.set(id, at + 1);
    return at + 1 + id.length;
  }

  #seal(kind: number, plainBytes: number): Uint8Array {
    const { keys, fillRandom } = this.#options;
    const [key] = keys;
    assert(key !== undefined, "there is a key to seal with");
    const token = new Uint8Array(SEALED_AT + plainBytes + TAG_BYTES);
    token[0] = kind;
    token[KEY_ID_AT] = key.id;
    const salt = token.subarray(SALT_AT, SEALED_AT);
    fillRandom(salt);
    const cipher = kind === KIND_RETRY ? key.retry : key.newToken;
    const sealed = cipher.seal(salt, token.subarray(0, SEALED_AT), this.#plain.subarray(0, plainBytes));
    assert(sealed.length === plainBytes + TAG_BYTES, "sealing adds a tag of 16 bytes");
    token.set(sealed, SEALED_AT);
    return token;
  }

  #open(token: Uint8Array, bytesMax: number): Uint8Array | null {
    if (token.length < SEALED_AT + TAG_BYTES || token.length > bytesMax) return null;
    for (const key of this.#options.keys) {
      if (key.id !== token[KEY_ID_AT]) continue;
      const cipher = token[0] === KIND_RETRY ? key.retry : key.newToken;
      return cipher.open(token.subarray(SALT_AT, SEALED_AT), token.subarray(0, SEALED_AT), token.subarray(SEALED_AT));
    }
    return null;
  }
}

/** Both ids of a Retry token; null when they do not fill it exactly, which no token of ours does. */
function readIds(plain: Uint8Array): { readonly originalId: Uint8Array; readonly retryId: Uint8Array } | null {
  const retryIdAt = IDS_AT + 1 + (plain[IDS_AT] ?? 0);
  const end = retryIdAt + 1 + (plain[retryIdAt] ?? 0);
  if (end !== plain.length) return null;
  return { originalId: copyOf(plain, IDS_AT + 1, retryIdAt), retryId: plain.subarray(retryIdAt + 1, end) };
}

function isFrom(view: DataView, { words }: ClientAddress): boolean {
  for (let i = 0; i < 4; i++) if (view.getUint32(ADDRESS_AT + 4 * i) !== words[i]) return false;
  return true;
}

function isFresh(view: DataView, nowMs: number, lifetimeMs: number): boolean {
  const ageMs = nowMs - (view.getUint16(0) * 2 ** 32 + view.getUint32(2));
  return ageMs >= -CLOCK_SKEW_MS_MAX && ageMs <= lifetimeMs;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
