import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { type FillRandom, ID_BYTES, IdCodec } from "../../../src/quic/cid.ts";

const KEY = { slot: 9, checkByte: 0xa7, mask: 0x1357_9bdf };

function seeded(seed: number): FillRandom {
  const random = Random.fromEntropy([seed]);
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.nextBelow(256);
  };
}

describe("a connection id", () => {
  test("has 18 bytes, the slot in the first and a check value of slot and key in the second", () => {
    const id = new IdCodec(KEY, seeded(1)).mint(0);
    expect(id.length).toBe(18);
    expect(id.length).toBe(ID_BYTES);
    expect([id[0], id[1]]).toEqual([9, 9 ^ 0xa7]);
  });

  test("gives its index back, for small, large and the largest indexes", () => {
    const codec = new IdCodec(KEY, seeded(2));
    for (const index of [0, 1, 2, 255, 256, 65_535, 4_000_000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      expect(codec.indexOf(codec.mint(index), 0), `index ${index}`).toBe(index);
    }
  });

  test("gives its index back from the middle of other bytes", () => {
    const codec = new IdCodec(KEY, seeded(3));
    const bytes = new Uint8Array(100).fill(0xee);
    bytes.set(codec.mint(77), 41);
    expect(codec.indexOf(bytes, 41)).toBe(77);
    expect(codec.indexOf(bytes, 40)).toBe(-1);
  });

  test("is none of ours with another slot, another check value, or cut off before them", () => {
    const codec = new IdCodec(KEY, seeded(4));
    const id = codec.mint(5);
    expect(codec.indexOf(id.with(0, 10), 0)).toBe(-1);
    expect(codec.indexOf(id.with(0, 9 | 0x40), 0)).toBe(-1);
    expect(codec.indexOf(id.with(1, 0), 0)).toBe(-1);
    expect(codec.indexOf(id.subarray(0, 1), 0)).toBe(-1);
    expect(new IdCodec({ ...KEY, slot: 10 }, seeded(4)).indexOf(id, 0)).toBe(-1);
  });

  test("hides its index: consecutive ones share no more than chance, and differ with the mask", () => {
    const codec = new IdCodec(KEY, seeded(5));
    const masked = Array.from({ length: 1000 }, (_, index) => codec.mint(index).slice(2, 6).join("."));
    expect(new Set(masked).size).toBe(1000);
    // One index, one thousand times: no more repeats than four random bytes have.
    expect(new Set(Array.from({ length: 1000 }, () => codec.mint(3).slice(2, 6).join("."))).size).toBe(1000);
    const [one, other] = [KEY, { ...KEY, mask: KEY.mask ^ 1 }].map((key) => new IdCodec(key, seeded(6)).mint(3));
    expect(one?.slice(6)).toEqual(other?.slice(6) ?? new Uint8Array(0));
    expect(one?.slice(2, 6)).not.toEqual(other?.slice(2, 6) ?? new Uint8Array(0));
  });

  test("differs in its random bytes from every other", () => {
    const codec = new IdCodec(KEY, seeded(7));
    expect(new Set(Array.from({ length: 1000 }, () => codec.mint(0).slice(6).join("."))).size).toBe(1000);
  });
});

test("slots have six bits", () => {
  expect(new IdCodec({ ...KEY, slot: 63 }, seeded(8)).mint(1)[0]).toBe(63);
  expect(() => new IdCodec({ ...KEY, slot: 64 }, seeded(8))).toThrow(/six bits/);
  expect(() => new IdCodec({ ...KEY, slot: -1 }, seeded(8))).toThrow(/six bits/);
});
