/** Secrets that all workers of a node have in common, so that a router or another worker can read what one of them wrote. */
import { randomBytes } from "node:crypto";

/** The secrets. */
export interface NodeKeys {
  /** Of connection ids: see `IdKey`. */
  readonly checkByte: number;
  readonly mask: number;
  /** Stateless reset tokens are made with it: 32 bytes. */
  readonly resetKey: Uint8Array;
}

const RESET_KEY_BYTES = 32;

/** Keys that nobody has had before. */
export function freshNodeKeys(): NodeKeys {
  const random = randomBytes(5);
  return {
    checkByte: random.readUInt8(0),
    mask: random.readInt32LE(1),
    resetKey: new Uint8Array(randomBytes(RESET_KEY_BYTES)),
  };
}
