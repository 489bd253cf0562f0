/** Bytes on their way to a socket: one buffer for each connection, used again for every request. */
import { assert } from "../core/assert.ts";

/** A common request head; more grows the buffer. */
const FIRST_BYTES = 2048;
/** An empty buffer larger than this is given back, so that an idle connection does not keep one body's worth of memory. */
const KEPT_BYTES_MAX = 16 * 1024;

/** A queue of bytes. Written at its end in place: `reserve`, then store into `bytes`, then `commit`. */
export class OutputBuffer {
  #bytes: Uint8Array = new Uint8Array(new ArrayBuffer(FIRST_BYTES));
  #at = 0;
  #end = 0;

  /** The store; those from `at` to `end` wait to be sent. Another one after `reserve` or `sent`. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** First byte that waits. */
  get at(): number {
    return this.#at;
  }

  /** Behind the last byte that waits. */
  get end(): number {
    return this.#end;
  }

  get waitingBytes(): number {
    return this.#end - this.#at;
  }

  /** Makes room for this many bytes behind `end`, and answers with `end`. */
  reserve(lengthBytes: number): number {
    if (this.#end + lengthBytes > this.#bytes.length) this.#makeRoom(lengthBytes);
    return this.#end;
  }

  /** What was stored from `end` up to here now waits, too. */
  commit(end: number): void {
    assert(end >= this.#end && end <= this.#bytes.length, "bytes are stored where room was reserved");
    this.#end = end;
  }

  /** Adds a copy. */
  putBytes(source: Uint8Array, at: number, end: number): void {
    const to = this.reserve(end - at);
    this.#bytes.set(at === 0 && end === source.length ? source : source.subarray(at, end), to);
    this.#end = to + end - at;
  }

  /** The socket took this many of the waiting bytes. */
  sent(lengthBytes: number): void {
    assert(lengthBytes >= 0 && lengthBytes <= this.waitingBytes, "only waiting bytes can have been sent");
    this.#at += lengthBytes;
    if (this.#at === this.#end) this.clear();
  }

  /** Forgets what waits. */
  clear(): void {
    this.#at = 0;
    this.#end = 0;
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = new Uint8Array(new ArrayBuffer(FIRST_BYTES));
  }

  #makeRoom(lengthBytes: number): void {
    const waiting = this.waitingBytes;
    if (waiting + lengthBytes <= this.#bytes.length) {
      this.#bytes.copyWithin(0, this.#at, this.#end);
    } else {
      const larger = new Uint8Array(new ArrayBuffer(Math.max(2 * this.#bytes.length, waiting + lengthBytes)));
      larger.set(this.#bytes.subarray(this.#at, this.#end));
      this.#bytes = larger;
    }
    this.#at = 0;
    this.#end = waiting;
  }
}
