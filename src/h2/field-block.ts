/** A field block that comes in several frames: HEADERS, then CONTINUATION up to END_HEADERS (RFC 9113 4.3 and 6.10). */
import { LIMITS } from "../core/limits.ts";
import type { ConnectionFault } from "./codes.ts";

const NOTHING = new Uint8Array(0);

/** Collects one block at a time. A block that lies whole in one frame never comes here. */
export class FieldBlock {
  /** The stream of the block under way; 0 for none. */
  streamId = 0;
  /** The HEADERS frame had END_STREAM. */
  endStream = false;
  /** The block so far lies in `bytes[0..length)`. */
  bytes = NOTHING;
  length = 0;
  #frames = 0;

  /** Begins with the fragment of a HEADERS frame. */
  begin(streamId: number, endStream: boolean): void {
    this.streamId = streamId;
    this.endStream = endStream;
    this.length = 0;
    this.#frames = 0;
  }

  /** Adds a fragment, which is copied. */
  add(bytes: Uint8Array, at: number, end: number): ConnectionFault | null {
    const size = this.length + end - at;
    if (size > LIMITS.h2FieldBlockBytesMax) return "block-too-large";
    // The first fragment is that of HEADERS.
    if (this.#frames++ > LIMITS.h2ContinuationFramesMax) return "continuation-flood";
    if (size > this.bytes.length) {
      const grown = new Uint8Array(Math.min(Math.max(2 * size, 4096), LIMITS.h2FieldBlockBytesMax));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(bytes.subarray(at, end), this.length);
    this.length = size;
    return null;
  }

  /** The block is complete and was read; a large one's memory is given back. */
  finish(): void {
    this.streamId = 0;
    this.length = 0;
    this.bytes = NOTHING;
  }
}
