/**
 * Strings of short texts that come again and again: names of hosts, much asked paths. To decode one costs 200 to 400 ns and leaves a view
 * and a string to the collector; to find the one that was made before, of the very same bytes, costs 20 (Bun 1.4.5).
 */
import { equalsLatin1 } from "./bytes.ts";

/** Texts kept at once. Of three that share a pair of places the latest two stay: who sends many of them only takes the gain away. */
const TEXTS_MAX = 256;
/** Longer ones are rarely the same. */
const TEXT_BYTES_MAX = 64;
/** FNV-1a. */
const HASH_START = 0x811c9dc5;
const HASH_STEP = 0x01000193;

/** At most `TEXTS_MAX` texts of at most `TEXT_BYTES_MAX` ASCII characters, made by `decode` when they are not there. */
export class TextCache {
  readonly #decode: (bytes: Uint8Array, at: number, end: number) => string;
  readonly #texts: string[] = Array.from({ length: TEXTS_MAX }, () => "");

  /** `decode` gets ASCII alone. */
  constructor(decode: (bytes: Uint8Array, at: number, end: number) => string) {
    this.#decode = decode;
  }

  /** The text of `bytes[at..end)`; null when it is not ASCII. */
  textOf(bytes: Uint8Array, at: number, end: number): string | null {
    let seen = 0;
    let hash = HASH_START;
    for (let p = at; p < end; p++) {
      const byte = bytes[p] ?? 0;
      seen |= byte;
      hash = Math.imul(hash ^ byte, HASH_STEP);
    }
    if (seen >= 0x80) return null;
    if (end - at > TEXT_BYTES_MAX) return this.#decode(bytes, at, end);
    // The high half has more of every byte than the low bits alone.
    const place = (hash ^ (hash >>> 16)) & (TEXTS_MAX - 1);
    const kept = this.#texts[place] ?? "";
    if (equalsLatin1(bytes, at, end, kept)) return kept;
    const beside = this.#texts[place ^ 1] ?? "";
    if (equalsLatin1(bytes, at, end, beside)) return beside;
    this.#texts[place ^ 1] = kept;
    return (this.#texts[place] = this.#decode(bytes, at, end));
  }
}
