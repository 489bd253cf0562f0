/**
 * Pseudo-random bytes that both ends of a test can make for themselves: the AES-128-CTR keystream of a key that is the first half
 * of the SHA-256 of a seed. It does not repeat, costs about 0.2 s a GiB, and `test/interop/aioquic_exchange.py` makes the same.
 */
import { createCipheriv, createHash } from "node:crypto";

/** The bytes of one seed, in order. */
export class Pattern {
  readonly #cipher;

  constructor(seed: string) {
    const key = createHash("sha256").update(seed).digest().subarray(0, 16);
    this.#cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  }

  /** The next `length` bytes. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    bytes.set(this.#cipher.update(bytes));
    return bytes;
  }
}

/** The first `length` bytes of a seed. */
export function patternBytes(seed: string, length: number): Uint8Array<ArrayBuffer> {
  return new Pattern(seed).take(length);
}

/** The first `length` bytes of a seed in pieces of at most `pieceBytes`. */
export function* patternPieces(
  seed: string,
  length: number,
  pieceBytes = PIECE_BYTES,
): Generator<Uint8Array<ArrayBuffer>> {
  const pattern = new Pattern(seed);
  for (let left = length; left > 0; left -= pieceBytes) yield pattern.take(Math.min(left, pieceBytes));
}

/** SHA-256 of the first `length` bytes of a seed, hexadecimal. */
export function patternSha256(seed: string, length: number): string {
  const hash = createHash("sha256");
  for (const piece of patternPieces(seed, length)) hash.update(piece);
  return hash.digest("hex");
}

/** Compares a body that arrives in pieces with the pattern, byte for byte, without keeping it. */
export class PatternCheck {
  readonly #pattern: Pattern;
  /** Bytes seen so far. */
  length = 0;
  /** Offset of the first wrong byte; -1 while all were right. */
  wrongAt = -1;

  constructor(seed: string) {
    this.#pattern = new Pattern(seed);
  }

  add(piece: Uint8Array): void {
    const expected = this.#pattern.take(piece.length);
    if (this.wrongAt < 0 && Buffer.compare(expected, piece) !== 0) {
      this.wrongAt = this.length + expected.findIndex((byte, index) => byte !== piece[index]);
    }
    this.length += piece.length;
  }
}

const PIECE_BYTES = 64 * 1024;
