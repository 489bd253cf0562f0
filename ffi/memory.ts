/**
 * Memory that C may see. All of it comes from arenas: one large `ArrayBuffer` each, made first, viewed afterwards, its address
 * taken last, and kept for as long as anything may point into it.
 *
 * Why: a small typed array lies inside its JavaScript cell and moves when its `.buffer` is first touched; and an address does not
 * keep its array alive. Both were seen as random crashes and failing system calls.
 */
import { assert } from "../src/core/assert.ts";
import type { ForeignInterface } from "./abi.ts";

/** Large enough that no runtime keeps the bytes inside the object. */
const ARENA_BYTES_MIN = 4096;
const WORD_BYTES = 4;
const TWO_32 = 2 ** 32;

/** A block of memory with a fixed address. */
export class Arena {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** The same memory as 32-bit words. */
  readonly words: Uint32Array<ArrayBuffer>;
  /** Address of byte 0. */
  readonly address: number;
  #used = 0;

  constructor(foreign: ForeignInterface, sizeBytes: number) {
    const size = Math.max(ARENA_BYTES_MIN, alignUp(sizeBytes, WORD_BYTES));
    const buffer = new ArrayBuffer(size);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
    this.address = foreign.addressOf(this.bytes);
  }

  /** Sets `sizeBytes` aside for good and returns its offset. */
  take(sizeBytes: number, alignBytes = 8): number {
    const at = alignUp(this.#used, alignBytes);
    assert(at + sizeBytes <= this.bytes.length, "an arena is planned large enough for all that is taken from it");
    this.#used = at + sizeBytes;
    return at;
  }

  /** Writes an address or a `size_t`. */
  setWide(at: number, value: number): void {
    this.view.setUint32(at, value % TWO_32, true);
    this.view.setUint32(at + WORD_BYTES, Math.floor(value / TWO_32), true);
  }

  /** Reads the 32-bit word at an offset that is a multiple of four. */
  word(at: number): number {
    return this.words[at >> 2] ?? 0;
  }

  /** Reads an address, a `size_t` or a counter below 2^53. */
  getWide(at: number): number {
    return this.view.getUint32(at, true) + this.view.getUint32(at + WORD_BYTES, true) * TWO_32;
  }

  /** The NUL-terminated ASCII string at `at`. */
  text(at: number): string {
    let out = "";
    for (let i = at; i < this.bytes.length; i++) {
      const byte = this.bytes[i];
      if (byte === undefined || byte === 0) break;
      out += String.fromCharCode(byte);
    }
    return out;
  }
}

/** `value` raised to a multiple of `align`. */
export function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}
