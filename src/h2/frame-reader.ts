/**
 * Bytes into frames (RFC 9113 4.1), wherever the reads cut them. A frame that lies whole in one chunk is not copied; DATA, and
 * frames of unknown types, are given out in the pieces they arrive in and never collected.
 */
import { assert } from "../core/assert.ts";
import { type ConnectionFault, FLAG, FRAME, FRAME_HEADER_BYTES } from "./codes.ts";

/** Bytes of a priority, alone or in HEADERS. */
export const PRIORITY_BYTES = 5;

const NOTHING = new Uint8Array(0);

/** The reader of one connection. Its fields describe the frame, or the piece of one, that `next` last found. */
export class FrameReader {
  type = 0;
  flags = 0;
  streamId = 0;
  /** The payload's length as the frame's header gives it, padding included. */
  payloadBytes = 0;
  /** Where the payload lies, or this piece of it. Valid until the next call. What is left of DATA and HEADERS without padding and priority. */
  bytes: Uint8Array = NOTHING;
  at = 0;
  end = 0;
  /** Of a frame in pieces: the first and the last one; a whole frame is both. */
  first = false;
  last = false;
  /** Payload bytes that this piece stands for, padding included: what flow control counts. */
  flowBytes = 0;
  /** Of DATA: payload bytes of the whole frame without its padding. */
  bodyBytes = 0;
  /** Set when the peer broke the framing: nothing can be read any more. */
  fault: ConnectionFault | null = null;

  readonly #payloadBytesMax: number;
  #chunk: Uint8Array = NOTHING;
  #at = 0;
  #header = new Uint8Array(FRAME_HEADER_BYTES);
  /** Bytes of the header that are there; all of them while a payload is read. */
  #headerBytes = 0;
  /** Payload bytes that are still to come. */
  #left = 0;
  /** Of `#left`, padding at the end; -1 while the byte that tells its length is to come. */
  #padding = 0;
  #begun = false;
  #settingsSeen = false;
  /** A payload that was cut, collected from its chunks. */
  #stash = NOTHING;
  #stashed = 0;

  /** `payloadBytesMax`: what we announced as SETTINGS_MAX_FRAME_SIZE. */
  constructor(payloadBytesMax: number) {
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** Gives the next bytes of the connection, after `next` said false. They are read in place until it does so again. */
  push(chunk: Uint8Array): void {
    assert(this.#at === this.#chunk.length, "a chunk is read to its end before the next one");
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** END_STREAM of a HEADERS or DATA frame. */
  get endsStream(): boolean {
    return (this.flags & FLAG.endStream) !== 0;
  }

  /** Finds the next frame or piece. False: the chunk is used up, or `fault` is set. */
  next(): boolean {
    if (this.fault !== null || (this.#headerBytes < FRAME_HEADER_BYTES && !this.#readHeader())) return this.#pause();
    const found = this.type === FRAME.data || this.type > FRAME.continuation ? this.#nextPiece() : this.#nextWhole();
    return found || this.#pause();
  }

  #pause(): boolean {
    this.bytes = NOTHING;
    this.#chunk = NOTHING;
    this.#at = 0;
    return false;
  }

  #readHeader(): boolean {
    const chunk = this.#chunk;
    if (this.#headerBytes === 0 && chunk.length - this.#at >= FRAME_HEADER_BYTES) {
      this.#at += FRAME_HEADER_BYTES;
      return this.#startFrame(chunk, this.#at - FRAME_HEADER_BYTES);
    }
    while (this.#headerBytes < FRAME_HEADER_BYTES && this.#at < chunk.length) {
      this.#header[this.#headerBytes++] = chunk[this.#at++] ?? 0;
    }
    return this.#headerBytes === FRAME_HEADER_BYTES && this.#startFrame(this.#header, 0);
  }

  #startFrame(header: Uint8Array, at: number): boolean {
    this.#headerBytes = FRAME_HEADER_BYTES;
    this.payloadBytes = ((header[at] ?? 0) << 16) | ((header[at + 1] ?? 0) << 8) | (header[at + 2] ?? 0);
    this.type = header[at + 3] ?? 0;
    this.flags = header[at + 4] ?? 0;
    this.streamId = readU31(header, at + 5);
    this.#left = this.payloadBytes;
    this.#begun = false;
    this.#stashed = 0;
    this.#padding = 0;
    if (!this.#settingsSeen && (this.type !== FRAME.settings || (this.flags & FLAG.ack) !== 0)) {
      this.fault = "no-settings";
    } else if (this.payloadBytes > this.#payloadBytesMax) {
      this.fault = "frame-size";
    } else if (this.type === FRAME.data && (this.flags & FLAG.padded) !== 0) {
      this.#padding = -1;
      if (this.payloadBytes === 0) this.fault = "frame-size";
    }
    this.#settingsSeen = true;
    return this.fault === null;
  }

  /** DATA and unknown types: whatever the chunk has of it, but not nothing unless the frame is empty. */
  #nextPiece(): boolean {
    const available = Math.min(this.#left, this.#chunk.length - this.#at);
    if (available === 0 && this.#left > 0) return false;
    this.first = !this.#begun;
    this.#begun = true;
    this.bytes = this.#chunk;
    this.at = this.#at;
    if (this.first) this.bodyBytes = this.payloadBytes;
    if (this.#padding < 0) {
      this.#padding = this.#chunk[this.#at] ?? 0;
      this.at += 1;
      this.bodyBytes -= 1 + this.#padding;
      if (this.#padding >= this.payloadBytes) {
        this.fault = "padding";
        return false;
      }
    }
    this.#at += available;
    this.#left -= available;
    this.end = Math.max(this.at, this.#at - Math.max(0, this.#padding - this.#left));
    this.flowBytes = available;
    this.last = this.#left === 0;
    if (this.last) this.#headerBytes = 0;
    return true;
  }

  #nextWhole(): boolean {
    const available = Math.min(this.#left, this.#chunk.length - this.#at);
    if (available === this.#left && this.#stashed === 0) {
      this.bytes = this.#chunk;
      this.at = this.#at;
      this.end = this.#at + available;
      this.#at += available;
    } else {
      this.#collect(available);
      if (this.#left > 0) return false;
      this.bytes = this.#stash;
      this.at = 0;
      this.end = this.#stashed;
    }
    this.first = true;
    this.last = true;
    this.flowBytes = this.payloadBytes;
    this.#headerBytes = 0;
    return this.type !== FRAME.headers || this.#trimHeaders();
  }

  #trimHeaders(): boolean {
    const isPadded = (this.flags & FLAG.padded) !== 0;
    const fixedBytes = (isPadded ? 1 : 0) + ((this.flags & FLAG.priority) !== 0 ? PRIORITY_BYTES : 0);
    if (fixedBytes > this.payloadBytes) this.fault = "frame-size";
    else if (isPadded) this.end -= this.bytes[this.at] ?? 0;
    this.at += fixedBytes;
    if (this.at > this.end) this.fault ??= "padding";
    return this.fault === null;
  }

  /** Grows with what has arrived, not with what a header promises. */
  #collect(available: number): void {
    const size = this.#stashed + available;
    if (size > this.#stash.length) {
      const grown = new Uint8Array(Math.min(Math.max(2 * size, 1024), Math.max(this.#payloadBytesMax, size)));
      grown.set(this.#stash.subarray(0, this.#stashed));
      this.#stash = grown;
    }
    this.#stash.set(this.#chunk.subarray(this.#at, this.#at + available), this.#stashed);
    this.#stashed = size;
    this.#at += available;
    this.#left -= available;
  }
}

/** Big endian, without the highest bit, which is reserved wherever the protocol has such a number. */
export function readU31(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) & 0x7f) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}

/** Big endian. */
export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) * 0x100_0000 + (readU31(bytes, at) & 0xff_ffff);
}
