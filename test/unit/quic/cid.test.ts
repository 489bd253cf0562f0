import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { type FillRandom, ID_BYTES, IdCodec } from "../../../src/quic/cid.ts";
import { readMark } from "../../../src/quic/id-mark.ts";

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

describe("an id of ours", () => {
  const codec = new IdCodec({ ...KEY, rotation: 2 }, seeded(9));

  test("carries its rotation in the high bits of its first byte, and the check value covers them", () => {
    const id = codec.mint(3);
    expect([id[0], id[1]]).toEqual([0x80 | 9, (0x80 | 9) ^ 0xa7]);
    expect(codec.indexOf(id, 0)).toBe(3);
  });

  test("is known by every worker of the node, whichever made it, and leads to no index of another one's table", () => {
    for (const slot of [0, 1, 9, 31, 63]) {
      const maker = new IdCodec({ ...KEY, rotation: 2, slot }, seeded(slot));
      const id = maker.mint(999);
      expect(codec.isOurs(id, 0, 1000)).toBe(true);
      expect(codec.indexOf(id, 0)).toBe(slot === 9 ? 999 : -1);
      expect(readMark(codec.mark, id, 0)).toBe(0x80 | slot);
    }
  });

  test("is none with another rotation, another check value or an index beyond the table", () => {
    const id = codec.mint(999);
    expect(codec.isOurs(id, 0, 999)).toBe(false);
    expect(codec.isOurs(id.with(1, 0), 0, 1000)).toBe(false);
    expect(codec.isOurs(new IdCodec({ ...KEY, rotation: 1 }, seeded(1)).mint(1), 0, 1000)).toBe(false);
  });

  test("is taken for one by chance about once in 2^8 times what the table leaves of 2^32", () => {
    const random = Random.fromEntropy([10]);
    const bytes = new Uint8Array(ID_BYTES);
    let passed = 0;
    for (let i = 0; i < 1 << 20; i++) {
      for (let at = 0; at < ID_BYTES; at++) bytes[at] = random.nextUint32();
      if (codec.isOurs(bytes, 0, 2 ** 32)) passed += 1;
      if (codec.isOurs(bytes, 0, 1 << 16)) expect.unreachable("one in 2^26 is not seen in 2^20");
    }
    // One in 2^8 has the check value, one in four of them the rotation.
    expect(passed).toBeGreaterThan(900);
    expect(passed).toBeLessThan(1150);
  });
});

test("slots have six bits, rotations two", () => {
  expect(new IdCodec({ ...KEY, slot: 63 }, seeded(8)).mint(1)[0]).toBe(63);
  expect(() => new IdCodec({ ...KEY, slot: 64 }, seeded(8))).toThrow(/six bits/);
  expect(() => new IdCodec({ ...KEY, slot: -1 }, seeded(8))).toThrow(/six bits/);
  expect(() => new IdCodec({ ...KEY, rotation: 4 }, seeded(8))).toThrow(/two bits/);
  expect(() => new IdCodec({ ...KEY, rotation: -1 }, seeded(8))).toThrow(/two bits/);
});
