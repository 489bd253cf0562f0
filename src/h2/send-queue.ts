/** Our side of flow control (RFC 9113 5.2 and 6.9): the connection's window, and the streams that wait for room. */
import { LIMITS } from "../core/limits.ts";
import { FRAME_BYTES_DEFAULT, WINDOW_BYTES_DEFAULT, WINDOW_BYTES_MAX } from "./codes.ts";
import type { FrameOutput } from "./output.ts";
import type { H2Stream } from "./stream.ts";

/** Output this empty wakes streams that waited for room in it. */
const WAKE_BELOW_BYTES = LIMITS.h2OutputBytesMax / 2;

/** What all streams of a connection share when they send bodies. */
export class SendQueue {
  readonly #output: FrameOutput;
  #windowBytes = WINDOW_BYTES_DEFAULT;
  /** Streams whose `send` was cut, in the order in which that happened. Those that are over are left out when met. */
  #waiting: H2Stream[] = [];

  constructor(output: FrameOutput) {
    this.#output = output;
  }

  /** Puts DATA frames with as much as the windows and the output take: how many bytes that was. */
  put(stream: H2Stream, bytes: Uint8Array, at: number, end: number, last: boolean): number {
    let p = at;
    while (p < end) {
      const room = Math.min(stream.sendWindowBytes, this.#windowBytes, this.#output.roomBytes, FRAME_BYTES_DEFAULT);
      if (room <= 0) return p - at;
      const length = Math.min(room, end - p);
      this.#output.data(stream.id, bytes, p, p + length, last && p + length === end);
      stream.sendWindowBytes -= length;
      this.#windowBytes -= length;
      p += length;
    }
    if (at === end && last) this.#output.data(stream.id, bytes, at, at, true);
    return p - at;
  }

  /** The stream's `onWritable` is to be called once it can send. */
  wait(stream: H2Stream): void {
    if (stream.isBlocked) return;
    stream.isBlocked = true;
    this.#waiting.push(stream);
  }

  /** Credit for the connection. False: more than a window may have. */
  widen(bytes: number): boolean {
    this.#windowBytes += bytes;
    return this.#windowBytes <= WINDOW_BYTES_MAX;
  }

  /** Calls those that can go on, first come first served, as long as there is window and room; the others keep their places. */
  wake(): void {
    if (this.#waiting.length === 0 || !this.#hasRoom() || this.#output.length > WAKE_BELOW_BYTES) return;
    const waiting = this.#waiting;
    const kept: H2Stream[] = [];
    this.#waiting = [];
    for (const stream of waiting) {
      if (stream.isReset) continue;
      if (!this.#hasRoom() || stream.sendWindowBytes <= 0) {
        kept.push(stream);
        continue;
      }
      stream.isBlocked = false;
      stream.sink.onWritable();
    }
    this.#waiting = kept.concat(this.#waiting);
  }

  #hasRoom(): boolean {
    return this.#windowBytes > 0 && this.#output.roomBytes > 0;
  }
}
