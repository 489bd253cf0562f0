/** The ciphers that `src/quic` asks for, over the runtime's OpenSSL or BoringSSL. */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from "node:crypto";
import { assert } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import type { FillRandom } from "../quic/cid.ts";
import type { BlockCipher } from "../quic/quic-lb.ts";
import type { Hkdf, NodeSecrets } from "../quic/secrets.ts";
import { type TokenCipher, TokenSealer } from "../quic/token.ts";

const AES_128_KEY_BYTES = 16;

/** AES-128-ECB over single blocks. In this mode the objects keep nothing between blocks, so two of them serve for ever. */
export function aes128(key: Uint8Array): BlockCipher {
  assert(key.length === AES_128_KEY_BYTES, "AES-128 has a key of 16 bytes");
  const bytes = Buffer.from(key);
  const forth = createCipheriv("aes-128-ecb", bytes, null).setAutoPadding(false);
  const back = createDecipheriv("aes-128-ecb", bytes, null).setAutoPadding(false);
  return { encrypt: (block) => forth.update(block), decrypt: (block) => back.update(block) };
}

/**
 * AES-128-GCM, for each salt with a key and a nonce of its own: the halves of HMAC-SHA256 over the salt. So no number of tokens wears the key
 * out, as random nonces of 12 bytes would after some 2^32, which a flood of handshakes makes in half a day.
 */
export function tokenCipher(key: Uint8Array): TokenCipher {
  assert(key.length === TOKEN_KEY_BYTES, "tokens have a key of 32 bytes");
  const derive = (salt: Uint8Array): readonly [Uint8Array, Uint8Array] => {
    const derived = createHmac("sha256", key).update(salt).digest();
    return [derived.subarray(0, AES_128_KEY_BYTES), derived.subarray(AES_128_KEY_BYTES, NONCE_END)];
  };
  return {
    seal(salt, associated, plain) {
      const cipher = createCipheriv("aes-128-gcm", ...derive(salt)).setAAD(associated);
      return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    open(salt, associated, sealed) {
      const end = sealed.length - GCM_TAG_BYTES;
      if (end < 0) return null;
      const cipher = createDecipheriv("aes-128-gcm", ...derive(salt), { authTagLength: GCM_TAG_BYTES });
      cipher.setAAD(associated).setAuthTag(sealed.subarray(end));
      const plain = cipher.update(sealed.subarray(0, end));
      try {
        cipher.final();
        return plain;
      } catch {
        return null;
      }
    },
  };
}

const TOKEN_KEY_BYTES = 32;
const GCM_TAG_BYTES = 16;
/** GCM's nonce has 12 bytes. */
const NONCE_END = AES_128_KEY_BYTES + 12;

/** HKDF-SHA256 (RFC 5869) without a salt: the secrets are random. */
export const hkdfSha256: Hkdf = (secret, info, length) =>
  new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), info, length));

/** Seals tokens by the first of these secrets, and opens those of all. */
export function tokenSealer(secrets: readonly NodeSecrets[], fillRandom: FillRandom): TokenSealer {
  return new TokenSealer({
    keys: secrets.map(({ id, retryToken, newToken }) => ({
      id,
      retry: tokenCipher(retryToken),
      newToken: tokenCipher(newToken),
    })),
    fillRandom,
    retryLifetimeMs: LIMITS.retryTokenMsMax,
    // None is given out: quiche sends no NEW_TOKEN.
    newTokenLifetimeMs: 0,
  });
}
