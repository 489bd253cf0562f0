/** Memory that C sees: where it lies, how it is divided, and that C and JavaScript mean the same bytes. */
import { describe, expect, test } from "bun:test";
import { Random } from "../../src/core/random.ts";
import type { ForeignInterface } from "../../ffi/abi.ts";
import { openLibc } from "../../ffi/library.ts";
import { Arena, alignUp } from "../../ffi/memory.ts";
import { bunForeign } from "../../ffi/open.bun.ts";

const libc = openLibc(bunForeign);

function makeArena(sizeBytes: number): Arena {
  return new Arena(bunForeign, sizeBytes);
}

describe("an arena", () => {
  test("is at least 4 KiB, so that no runtime keeps it inside an object, and a whole number of words", () => {
    for (const [asked, got] of [
      [0, 4096],
      [1, 4096],
      [4096, 4096],
      [4097, 4100],
      [10_000, 10_000],
    ] as const) {
      const { bytes, words, view } = makeArena(asked);
      expect([bytes.length, view.byteLength, words.byteLength]).toEqual([got, got, got]);
    }
  });

  test("shows one memory as bytes, words and numbers", () => {
    const { bytes, words, view } = makeArena(64);
    view.setUint32(8, 0x0403_0201, true);
    expect([...bytes.subarray(8, 12)]).toEqual([1, 2, 3, 4]);
    expect(words[2]).toBe(0x0403_0201);
  });

  test("has its address taken once, from the bytes that are used", () => {
    const asked: Uint8Array[] = [];
    const foreign: ForeignInterface = {
      open: bunForeign.open,
      addressOf(view) {
        asked.push(view);
        return 4096;
      },
    };
    const arena = new Arena(foreign, 64);
    expect(asked).toEqual([arena.bytes]);
    expect(arena.address).toBe(4096);
  });

  test("lies where its address says: C reads what was written here and writes what is read here", () => {
    const [from, to] = [makeArena(70_000), makeArena(70_000)];
    const random = Random.fromEntropy([3]);
    for (let i = 0; i < from.bytes.length; i++) from.bytes[i] = random.nextBelow(256);
    libc.memcpy(to.address + 5, from.address, 60_000);
    expect(Buffer.compare(to.bytes.subarray(5, 60_005), from.bytes.subarray(0, 60_000))).toBe(0);
    expect(to.bytes.subarray(60_005).every((byte) => byte === 0)).toBe(true);
  });

  test("stays there through collections of garbage", () => {
    const arenas = Array.from({ length: 200 }, () => makeArena(4096));
    for (const [i, arena] of arenas.entries()) arena.bytes.fill(i & 0xff);
    for (let round = 0; round < 5; round++) {
      void Array.from({ length: 1000 }, () => new Uint8Array(10_000));
      Bun.gc(true);
    }
    const copy = makeArena(4096);
    for (const [i, arena] of arenas.entries()) {
      libc.memcpy(copy.address, arena.address, 4096);
      expect(copy.bytes.every((byte) => byte === (i & 0xff))).toBe(true);
      expect(bunForeign.addressOf(arena.bytes)).toBe(arena.address);
    }
  });
});

describe("places in an arena", () => {
  test("follow one another without overlap, aligned", () => {
    const arena = makeArena(4096);
    expect([arena.take(3), arena.take(8), arena.take(1, 1), arena.take(1, 1), arena.take(2, 2), arena.take(0)]).toEqual(
      [...[0, 8, 16, 17, 18, 24]],
    );
  });

  test("are all there is: the last byte may be taken and no more", () => {
    const arena = makeArena(4096);
    arena.take(4088);
    expect(() => arena.take(9)).toThrow(/planned large enough/);
    expect(arena.take(8)).toBe(4088);
    expect(() => arena.take(1)).toThrow(/planned large enough/);
  });
});

describe("wide numbers", () => {
  test("come back as they were written, up to 2^53 - 1", () => {
    const arena = makeArena(64);
    for (const value of [0, 1, 0xffff_ffff, 0x1_0000_0000, 0x7fff_dead_beef, Number.MAX_SAFE_INTEGER]) {
      arena.setWide(16, value);
      expect(arena.getWide(16)).toBe(value);
      expect(arena.view.getBigUint64(16, true)).toBe(BigInt(value));
    }
  });

  test("touch eight bytes and no others", () => {
    const arena = makeArena(64);
    arena.bytes.fill(0xee, 0, 32);
    arena.setWide(8, 0);
    expect([...arena.bytes.subarray(6, 18)]).toEqual([0xee, 0xee, 0, 0, 0, 0, 0, 0, 0, 0, 0xee, 0xee]);
  });
});

describe("text", () => {
  test("ends at its NUL, or with the arena", () => {
    const arena = makeArena(4096);
    arena.bytes.set(new TextEncoder().encode("spooky\0rest"), 10);
    expect(arena.text(10)).toBe("spooky");
    expect(arena.text(16)).toBe("");
    arena.bytes.fill(0x61, 4090);
    expect(arena.text(4090)).toBe("aaaaaa");
    expect(arena.text(4096)).toBe("");
  });
});

test("a number is raised to a multiple", () => {
  for (const [value, align, raised] of [
    [0, 8, 0],
    [1, 8, 8],
    [8, 8, 8],
    [9, 8, 16],
    [5, 1, 5],
    [7, 3, 9],
  ] as const) {
    expect(alignUp(value, align)).toBe(raised);
  }
});
