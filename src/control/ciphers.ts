/** The ciphers that `src/quic` asks for, over the runtime's OpenSSL or BoringSSL. */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv } from "node:crypto";
import { assert } from "../core/assert.ts";
import type { BlockCipher } from "../quic/quic-lb.ts";

const AES_128_KEY_BYTES = 16;

/** AES-128-ECB over single blocks. In this mode the objects keep nothing between blocks, so two of them serve for ever. */
export function aes128(key: Uint8Array): BlockCipher {
  assert(key.length === AES_128_KEY_BYTES, "AES-128 has a key of 16 bytes");
  const bytes = Buffer.from(key);
  const forth = createCipheriv("aes-128-ecb", bytes, null).setAutoPadding(false);
  const back = createDecipheriv("aes-128-ecb", bytes, null).setAutoPadding(false);
  return { encrypt: (block) => forth.update(block), decrypt: (block) => back.update(block) };
}
