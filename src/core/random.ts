/**
 * Seeded random numbers: xoshiro128** of Blackman and Vigna, which needs only 32-bit arithmetic. Good enough for balancing,
 * jitter and tests; never for keys, tokens or ids that a stranger must not guess. Real entropy is passed in by the caller.
 */
import { assert } from "./assert.ts";

/** The 128 bits of a generator, as four unsigned words; not all zero. */
export type RandomState = readonly [number, number, number, number];

/**
 * Draws before `nextBelow` gives up on being exact. A draw is rejected with a chance below one half, so the last draw is
 * reached once in 2^63 calls; its bias cannot be measured.
 */
const DRAWS_MAX = 64;

/** A generator. Two made from the same entropy give the same numbers for ever. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  private constructor(state: RandomState) {
    this.#a = state[0] | 0;
    this.#b = state[1] | 0;
    this.#c = state[2] | 0;
    this.#d = state[3] | 0;
  }

  /**
   * From any number of 32-bit words, the more the better; each of them changes every number that follows. A step can be
   * undone, so up to four words lose nothing of their entropy.
   */
  static fromEntropy(words: ArrayLike<number>): Random {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < words.length + CLOSING_STEPS; i++) {
      const absorbed = mix(a + GOLDEN + (words[i] ?? 0)) ^ d;
      [a, b, c, d] = [b, c, d, absorbed];
    }
    return Random.fromState([a, b, c, (a | b | c | d) === 0 ? 1 : d]);
  }

  /** From a raw state, as published test vectors give it. Seeds of few set bits start with poor numbers: use `fromEntropy`. */
  static fromState(state: RandomState): Random {
    assert((state[0] | state[1] | state[2] | state[3]) !== 0, "a generator's state is not all zero");
    return new Random(state);
  }

  /** 0 to 2^32 - 1, each as likely. */
  nextUint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result >>> 0;
  }

  /**
   * 0 to `bound - 1`, each as likely; `bound` is a whole number from 1 to 2^32. Keeps as many high bits as the bound needs
   * and draws again when they are too large: less than two draws on average, no division, and no bias.
   */
  nextBelow(bound: number): number {
    assert(bound >= 1 && bound <= 0x1_0000_0000, "a random bound is 1 to 2^32");
    if (bound === 1) return 0;
    const dropped = Math.clz32(bound - 1);
    for (let draws = 1; draws < DRAWS_MAX; draws++) {
      const drawn = this.nextUint32() >>> dropped;
      if (drawn < bound) return drawn;
    }
    return this.nextUint32() % bound;
  }

  /** A generator of its own, for a part that must not disturb the numbers of the others. Advances this one. */
  fork(): Random {
    return Random.fromEntropy([this.nextUint32(), this.nextUint32(), this.nextUint32(), this.nextUint32()]);
  }
}

/** Steps after the last word: two full turns of the four lanes, so that it has reached all of them. */
const CLOSING_STEPS = 8;

/** 2^32 divided by the golden ratio, the usual step of seeding sequences. */
const GOLDEN = 0x9e37_79b9;

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** The finaliser of murmur3: every input bit changes every output bit with a chance near one half. */
function mix(word: number): number {
  let mixed = word | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}
