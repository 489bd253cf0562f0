/** What a connection has to say, as bytes in memory that grows with bursts and shrinks after them. */
import { describe, expect, test } from "bun:test";
import { FrameOutput } from "../../../src/h2/output.ts";

/** One turn that puts so many bytes of DATA, all of which the socket takes. */
function turn(output: FrameOutput, bytes: number): void {
  output.data(1, new Uint8Array(bytes), 0, bytes, false);
  output.take(output.length);
}

describe("the memory of a burst", () => {
  test("is given back in halves once it is not needed, down to what there was at first", () => {
    const output = new FrameOutput();
    const { capacityBytes: first } = output;
    turn(output, 200_000);
    expect(output.capacityBytes).toBe(262_144);
    // The burst itself is what the first call sees.
    output.shrink();
    expect(output.capacityBytes).toBe(262_144);
    const sizes: number[] = [];
    for (let i = 0; i < 10; i++) {
      turn(output, 100);
      output.shrink();
      sizes.push(output.capacityBytes);
    }
    expect(sizes).toEqual([131_072, 65_536, 32_768, 16_384, 8192, 4096, 4096, 4096, 4096, 4096]);
    expect(first).toBe(4096);
  });

  test("is kept while turns need more than a quarter of it", () => {
    const output = new FrameOutput();
    turn(output, 200_000);
    for (let i = 0; i < 5; i++) {
      turn(output, 70_000);
      turn(output, 10);
      output.shrink();
    }
    expect(output.capacityBytes).toBe(262_144);
  });

  test("is kept while bytes wait in it, which stay the same", () => {
    const output = new FrameOutput();
    turn(output, 200_000);
    output.shrink();
    output.data(3, Uint8Array.of(1, 2, 3), 0, 3, true);
    output.shrink();
    expect(output.capacityBytes).toBe(262_144);
    expect([...output.pending().slice(-3)]).toEqual([1, 2, 3]);
  });

  test("does not lose count of what was taken", () => {
    const output = new FrameOutput();
    turn(output, 200_000);
    output.shrink();
    output.shrink();
    expect(output.capacityBytes).toBe(131_072);
    expect([output.takenBytes, output.nextByte]).toEqual([200_009, 200_009]);
    output.data(1, new Uint8Array(10), 0, 10, false);
    expect(output.nextByte).toBe(200_028);
  });
});
