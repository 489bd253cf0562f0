/** Output that waits: every byte in its order, and small pieces together. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { OutputQueue } from "../../../src/h3/output-queue.ts";
import { SECTION } from "../../../src/quic/engine.ts";

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
const piece = (content: string): Uint8Array => new TextEncoder().encode(content);

describe("output that waits", () => {
  test("keeps sections, large pieces and small ones in their order, and small ones join", () => {
    const queue = new OutputQueue();
    const large = new Uint8Array(LIMITS.joinedPieceBytesMax + 1);
    queue.push(piece("head"), SECTION.head, false);
    for (const small of ["a", "b", "c"]) queue.push(piece(small), "body", false);
    queue.push(large, "body", false);
    queue.push(piece("d"), "body", false);
    queue.push(new Uint8Array(0), "body", true);
    expect(queue.length).toBe(4);
    expect(queue.waitingBytes).toBe(4 + 3 + large.length + 1);
    expect([queue.next?.kind, text(queue.next?.bytes)]).toEqual([SECTION.head, "head"]);
    queue.take(4);
    queue.take(1);
    expect([queue.next?.kind, text(queue.next?.bytes), queue.next?.fin]).toEqual(["body", "bc", false]);
    queue.take(2);
    // A large piece is kept as it came: no copy.
    expect(queue.next?.bytes).toBe(large);
    queue.take(large.length);
    expect([text(queue.next?.bytes), queue.next?.fin]).toEqual(["d", true]);
    queue.take(1);
    expect([queue.next, queue.isEmpty, queue.waitingBytes]).toEqual([null, true, 0]);
  });

  test("has an end without bytes of its own behind a section, or behind a large piece", () => {
    const queue = new OutputQueue();
    queue.push(piece("head"), SECTION.head, false);
    queue.push(new Uint8Array(0), "body", true);
    queue.take(4);
    expect([queue.length, queue.next?.bytes.length, queue.next?.fin]).toEqual([1, 0, true]);
    queue.take(0);
    expect(queue.isEmpty).toBe(true);
  });

  test("a window's worth of single bytes is few entries", () => {
    const queue = new OutputQueue();
    for (let i = 0; i < LIMITS.h2StreamWindowBytesMax; i++) queue.push(Uint8Array.of(i & 0xff), "body", false);
    expect(queue.waitingBytes).toBe(LIMITS.h2StreamWindowBytesMax);
    expect(queue.length).toBeLessThan(LIMITS.h2StreamWindowBytesMax / LIMITS.joinedStoreBytesMax + 8);
  });

  test("gives back what was put in, over random pieces and takings", () => {
    const random = Random.fromEntropy([7]);
    const queue = new OutputQueue();
    let [put, got] = ["", ""];
    for (let turn = 0; turn < 5000; turn++) {
      if (random.nextBelow(2) === 0) {
        const content = String.fromCharCode(97 + (turn % 26)).repeat(random.nextBelow(1500));
        queue.push(piece(content), "body", false);
        put += content;
      } else if (queue.next !== null) {
        const { bytes } = queue.next;
        const count = random.nextBelow(bytes.length + 1);
        got += text(bytes.subarray(0, count));
        queue.take(count);
      }
      expect(queue.waitingBytes).toBe(put.length - got.length);
    }
    for (let next = queue.next; next !== null; next = queue.next) {
      got += text(next.bytes);
      queue.take(next.bytes.length);
    }
    expect(got === put).toBe(true);
  });
});
