import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { makeReset, RESET_TOKEN_BYTES, ResetGate, WITHHELD } from "../../../src/quic/stateless-reset.ts";
import { randomBytes } from "../../support/steering.ts";

const TOKEN = Uint8Array.from({ length: RESET_TOKEN_BYTES }, (_, i) => 0xf0 | i);
const FAST = { perSecond: 1000, burst: 1_000_000 };

function gate(): ResetGate {
  return new ResetGate(FAST, 0);
}

describe("a stray packet", () => {
  const stray = { firstByte: 0x5a, bytes: 1200, isOurs: true };

  test("of 22 bytes on is answered by a smaller one of at least 21", () => {
    for (let bytes = 22; bytes <= 1500; bytes++) {
      for (const chance of [0, 7, 15, 0xffff_ffff]) {
        const length = gate().judge({ ...stray, bytes }, chance, 0);
        expect(length).toBeGreaterThanOrEqual(21);
        expect(length).toBeLessThan(bytes);
        if (bytes <= 43) expect(length).toBe(bytes - 1);
        else expect(length).toBeGreaterThanOrEqual(42);
      }
    }
  });

  test("of 21 bytes or less is not: nothing smaller would be a reset", () => {
    for (let bytes = 0; bytes <= 21; bytes++) expect(gate().judge({ ...stray, bytes }, 1, 0)).toBe(WITHHELD.tooShort);
  });

  test("to an id that is not ours, with a long header or without the fixed bit is not", () => {
    expect(gate().judge({ ...stray, isOurs: false }, 1, 0)).toBe(WITHHELD.notOurs);
    for (const firstByte of [0x80, 0xc0, 0xff, 0x3f, 0x00]) {
      expect(gate().judge({ ...stray, firstByte }, 1, 0)).toBe(WITHHELD.notOurs);
    }
  });

  test("is answered as often as the rate says; those that would not be answered anyway cost nothing of it", () => {
    const slow = new ResetGate({ perSecond: 10, burst: 5 }, 1000);
    for (let i = 0; i < 100; i++) slow.judge({ ...stray, isOurs: false }, 1, 1000);
    for (let i = 0; i < 100; i++) slow.judge({ ...stray, bytes: 21 }, 1, 1000);
    const answered = (nowMs: number) => {
      let count = 0;
      for (let i = 0; i < 20; i++) if (slow.judge(stray, i, nowMs) > 0) count += 1;
      return count;
    };
    expect(answered(1000)).toBe(5);
    expect(slow.judge(stray, 1, 1000)).toBe(WITHHELD.tooMany);
    expect(answered(1300)).toBe(3);
    expect(answered(60_000)).toBe(5);
  });

  test("answered back and forth between two ends that take each other's resets for packets comes to an end", () => {
    for (const first of [22, 43, 44, 1500]) {
      let [bytes, answers] = [first, 0];
      for (let next = gate().judge({ ...stray, bytes }, 15, 0); next > 0; answers++) {
        bytes = next;
        next = gate().judge({ ...stray, bytes }, 15, 0);
      }
      expect(bytes).toBe(21);
      expect(answers).toBeLessThanOrEqual(37);
    }
  });
});

describe("the datagram", () => {
  const random = Random.fromEntropy([64]);
  const fillRandom = (bytes: Uint8Array): void => void bytes.set(randomBytes(random, bytes.length));

  test("looks like a short header, and ends with the token", () => {
    for (let length = 21; length < 60; length++) {
      const datagram = makeReset(length, TOKEN, fillRandom);
      expect(datagram.length).toBe(length);
      expect((datagram[0] ?? 0) & 0xc0).toBe(0x40);
      expect(datagram.slice(length - 16)).toEqual(TOKEN);
    }
  });

  test("is random before it: six bits of the first byte, all of the others", () => {
    const made = Array.from({ length: 4000 }, () => makeReset(21, TOKEN, fillRandom));
    expect(new Set(made.map(([first]) => first)).size).toBe(64);
    for (let at = 1; at < 5; at++) expect(new Set(made.map((datagram) => datagram[at])).size).toBe(256);
  });

  test("is never smaller than 21 bytes, and takes a whole token", () => {
    expect(() => makeReset(20, TOKEN, fillRandom)).toThrow(/21 bytes/);
    expect(() => makeReset(42, TOKEN.subarray(1), fillRandom)).toThrow(/16 bytes/);
  });
});
