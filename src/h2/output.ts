/**
 * What a connection has to say, as bytes: all frames of one turn, one behind the other, for one write to the socket. Grows as
 * needed up to a bound; heads and bodies stop at `LIMITS.h2OutputBytesMax`, answers that a peer demands at
 * `LIMITS.h2OutputControlBytesMax`. What a burst made it grow to is given back by `shrink`, step by step.
 */
import { assert } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import { FLAG, FRAME, FRAME_HEADER_BYTES } from "./codes.ts";

const FIRST_BYTES = 4096;
const COPY_LOOP_BYTES_MAX = 64;

/** The frames that wait to be written. */
export class FrameOutput {
  #bytes = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;
  #takenBefore = 0;
  /** The most that waited at once since `shrink` last looked. */
  #highestBytes = 0;

  /** Bytes of memory that it holds. */
  get capacityBytes(): number {
    return this.#bytes.length;
  }

  /** Bytes that wait. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** How much more of heads and bodies may be put. */
  get roomBytes(): number {
    return Math.max(0, LIMITS.h2OutputBytesMax - this.length);
  }

  /** The peer does not read what it makes us answer. */
  get overfull(): boolean {
    return this.length > LIMITS.h2OutputControlBytesMax;
  }

  /** Bytes ever handed to the socket. */
  get takenBytes(): number {
    return this.#takenBefore + this.#start;
  }

  /** The place in the stream of bytes at which the next frame will begin, as `takenBytes` counts. */
  get nextByte(): number {
    return this.#takenBefore + this.#end;
  }

  /** What waits: a view that the next call of anything here makes invalid. A socket that keeps it must be given a copy. */
  pending(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** The socket took so many of the pending bytes. */
  take(bytes: number): void {
    assert(bytes >= 0 && bytes <= this.length, "a socket takes no more than there is");
    if (this.length > this.#highestBytes) this.#highestBytes = this.length;
    this.#start += bytes;
    if (this.#start !== this.#end) return;
    this.#takenBefore += this.#end;
    this.#start = 0;
    this.#end = 0;
  }

  /** Forgets what waits; what was taken may end within a frame then. */
  clear(): void {
    this.#takenBefore += this.#start;
    this.#start = 0;
    this.#end = 0;
  }

  /** Gives half of the memory back when nothing waits and a quarter was enough since the last call: for the owner, now and then. */
  shrink(): void {
    const needed = this.#highestBytes;
    this.#highestBytes = 0;
    if (this.length > 0 || this.#bytes.length <= FIRST_BYTES || needed > this.#bytes.length / 4) return;
    this.#bytes = new Uint8Array(this.#bytes.length / 2);
  }

  /** The scratch area; write only from where `reserve` says to where `commit` is told. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Makes room and answers where the next bytes go, in `bytes` as it is after this call. */
  reserve(bytes: number): number {
    if (this.#end + bytes > this.#bytes.length) this.#makeRoom(bytes);
    return this.#end;
  }

  /** Bytes up to `end` were written. */
  commit(end: number): void {
    assert(end >= this.#end && end <= this.#bytes.length, "bytes are added within the room that was reserved");
    this.#end = end;
  }

  /**
   * A field block lies at `blockAt`, `FRAME_HEADER_BYTES` behind what `reserve` said; puts HEADERS before it, and CONTINUATION
   * frames between its parts where it is longer than a frame. There must be room for their headers.
   */
  commitBlock(streamId: number, endStream: boolean, blockAt: number, blockEnd: number, frameBytesMax: number): void {
    const length = blockEnd - blockAt;
    const frames = Math.max(1, Math.ceil(length / frameBytesMax));
    // From the last part to the first, each moves up by the headers before it.
    for (let i = frames - 1; i >= 0; i--) {
      const partAt = blockAt + i * frameBytesMax;
      const partEnd = Math.min(partAt + frameBytesMax, blockEnd);
      const to = partAt + i * FRAME_HEADER_BYTES;
      if (i > 0) this.#bytes.copyWithin(to, partAt, partEnd);
      const flags = (i === frames - 1 ? FLAG.endHeaders : 0) | (i === 0 && endStream ? FLAG.endStream : 0);
      const type = i === 0 ? FRAME.headers : FRAME.continuation;
      this.#putHeader(to - FRAME_HEADER_BYTES, partEnd - partAt, type, flags, streamId);
    }
    this.commit(blockEnd + (frames - 1) * FRAME_HEADER_BYTES);
  }

  /** One DATA frame with `bytes[at..end)`. */
  data(streamId: number, bytes: Uint8Array, at: number, end: number, endStream: boolean): void {
    const length = end - at;
    const to = this.#begin(length, FRAME.data, endStream ? FLAG.endStream : 0, streamId);
    if (length > COPY_LOOP_BYTES_MAX) this.#bytes.set(bytes.subarray(at, end), to);
    else for (let i = 0; i < length; i++) this.#bytes[to + i] = bytes[at + i] ?? 0;
  }

  /** Bytes as they are: the connection preface. */
  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#bytes.set(bytes, at);
    this.commit(at + bytes.length);
  }

  /** SETTINGS with these identifiers and values. */
  settings(pairs: readonly (readonly [id: number, value: number])[]): void {
    let at = this.#begin(6 * pairs.length, FRAME.settings, 0, 0);
    for (const [id, value] of pairs) {
      this.#bytes[at] = id >>> 8;
      this.#bytes[at + 1] = id;
      this.#putU32(at + 2, value);
      at += 6;
    }
  }

  settingsAck(): void {
    this.#begin(0, FRAME.settings, FLAG.ack, 0);
  }

  /** PING, or the answer to one: eight bytes from `bytes[at]` on. */
  ping(ack: boolean, bytes: Uint8Array, at: number): void {
    const to = this.#begin(8, FRAME.ping, ack ? FLAG.ack : 0, 0);
    for (let i = 0; i < 8; i++) this.#bytes[to + i] = bytes[at + i] ?? 0;
  }

  windowUpdate(streamId: number, bytes: number): void {
    this.#putU32(this.#begin(4, FRAME.windowUpdate, 0, streamId), bytes);
  }

  resetStream(streamId: number, code: number): void {
    this.#putU32(this.#begin(4, FRAME.resetStream, 0, streamId), code);
  }

  /** GOAWAY; a client takes no streams from its peer, so the last one is always 0. */
  goaway(code: number): void {
    const at = this.#begin(8, FRAME.goaway, 0, 0);
    this.#putU32(at, 0);
    this.#putU32(at + 4, code);
  }

  /** Adds a frame's header and leaves room for its payload, which begins at the answer. */
  #begin(payloadBytes: number, type: number, flags: number, streamId: number): number {
    const at = this.reserve(FRAME_HEADER_BYTES + payloadBytes);
    this.#putHeader(at, payloadBytes, type, flags, streamId);
    this.#end = at + FRAME_HEADER_BYTES + payloadBytes;
    return at + FRAME_HEADER_BYTES;
  }

  #putHeader(at: number, payloadBytes: number, type: number, flags: number, streamId: number): void {
    const bytes = this.#bytes;
    bytes[at] = payloadBytes >>> 16;
    bytes[at + 1] = payloadBytes >>> 8;
    bytes[at + 2] = payloadBytes;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    this.#putU32(at + 5, streamId);
  }

  #putU32(at: number, value: number): void {
    this.#bytes[at] = value >>> 24;
    this.#bytes[at + 1] = value >>> 16;
    this.#bytes[at + 2] = value >>> 8;
    this.#bytes[at + 3] = value;
  }

  /** Moves what waits to the front, into a larger array where that is not enough. */
  #makeRoom(bytes: number): void {
    const length = this.length;
    let capacity = this.#bytes.length;
    while (capacity < length + bytes) capacity *= 2;
    if (capacity === this.#bytes.length) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
    } else {
      const grown = new Uint8Array(capacity);
      grown.set(this.pending());
      this.#bytes = grown;
    }
    this.#takenBefore += this.#start;
    this.#start = 0;
    this.#end = length;
  }
}
