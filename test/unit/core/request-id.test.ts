import { describe, expect, test } from "bun:test";
import { FieldWriter } from "../../../src/core/field-writer.ts";
import { Random } from "../../../src/core/random.ts";
import { RequestId, RequestIds } from "../../../src/core/request-id.ts";

/** An id as the number that it is. */
function numberOf(id: RequestId): bigint {
  return BigInt(`0x${id.text.replaceAll("-", "")}`);
}

function makeIds(seed: number = 1): RequestIds {
  return new RequestIds(Random.fromEntropy([seed]));
}

describe("a request id", () => {
  test("is a UUID of version 7 and the usual variant (RFC 9562 4)", () => {
    const ids = makeIds();
    for (let i = 0; i < 10_000; i++) {
      expect(ids.next(1_700_000_000_000 + i).text).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
    }
  });

  test("begins with the milliseconds since the epoch, as in RFC 9562 A.6", () => {
    expect(makeIds().next(1_645_557_742_000).text).toStartWith("017f22e2-79b0-7");
    for (const epochMs of [0, 1, 255, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 1_767_323_045_678, 2 ** 48 - 1]) {
      expect(numberOf(makeIds().next(epochMs)) >> 80n, `${epochMs}`).toBe(BigInt(epochMs));
    }
  });

  test("cuts fractions of milliseconds off", () => {
    expect(numberOf(makeIds().next(1_645_557_742_000.999)) >> 80n).toBe(1_645_557_742_000n);
  });

  test("follows the clock from millisecond to millisecond, backwards too", () => {
    const ids = makeIds();
    for (const epochMs of [5000, 5000, 5001, 4000, 5001])
      expect(numberOf(ids.next(epochMs)) >> 80n).toBe(BigInt(epochMs));
  });

  test("sorts by time as text", () => {
    const ids = makeIds();
    const made = Array.from({ length: 1000 }, (_, i) => ids.next(1_700_000_000_000 + 37 * i).text);
    expect(made.toSorted()).toEqual(made);
  });

  test("has 74 random bits, each of which is set about half of the time", () => {
    const ids = makeIds();
    const rounds = 20_000;
    const counts = new Array<number>(80).fill(0);
    for (let round = 0; round < rounds; round++) {
      const rest = numberOf(ids.next(0)) & ((1n << 80n) - 1n);
      for (let bit = 0; bit < 80; bit++) counts[bit] = (counts[bit] ?? 0) + Number((rest >> BigInt(bit)) & 1n);
    }
    const shares = counts.map((count) => count / rounds);
    const fixed = shares.flatMap((share, bit) => (share === 0 || share === 1 ? [bit] : []));
    // The version (0111) in bits 76 to 79, the variant (10) in bits 62 and 63.
    expect(fixed).toEqual([62, 63, 76, 77, 78, 79]);
    // Six standard deviations of 20,000 throws.
    for (const [bit, share] of shares.entries()) {
      if (!fixed.includes(bit)) expect(Math.abs(share - 0.5), `bit ${bit}`).toBeLessThan(0.022);
    }
  });

  test("has no random bit that only repeats or negates another", () => {
    const ids = makeIds();
    const made = Array.from({ length: 100 }, () => numberOf(ids.next(0)));
    const courses = Array.from({ length: 80 }, (_, bit) => made.map((id) => Number((id >> BigInt(bit)) & 1n)));
    const random = courses.filter((course) => course.includes(0) && course.includes(1));
    const negated = random.map((course) => course.map((value) => 1 - value));
    expect(new Set([...random, ...negated].map((course) => course.join(""))).size).toBe(2 * 74);
  });

  test("is not made twice: 200,000 in one millisecond", () => {
    const ids = makeIds();
    expect(new Set(Array.from({ length: 200_000 }, () => ids.next(1).text)).size).toBe(200_000);
  });

  test("is the same for the same entropy and time", () => {
    expect(makeIds(9).next(1).text).toBe(makeIds(9).next(1).text);
    expect(makeIds(9).next(1).text).not.toBe(makeIds(10).next(1).text);
  });

  test("is written into a head as its text says, however often, and whoever gave it", () => {
    const ids = makeIds();
    const made = Array.from({ length: 300 }, (_, i) => ids.next(1_700_000_000_000 * (i % 3) + i));
    made.push(RequestId.given("from-outside"), RequestId.ofWords(0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff));
    const writer = new FieldWriter();
    const written = (id: RequestId): unknown => {
      writer.begin();
      expect(id.write(writer)).toBe(true);
      const section = writer.toSection();
      return [section.name(0), section.value(0)];
    };
    // Once before its text was made, and once after.
    const before = made.map(written);
    expect(before).toEqual(made.map((id) => ["x-request-id", id.text]));
    expect(made.map(written)).toEqual(before);
    expect(made.at(-1)?.text).toBe("ffffffff-ffff-ffff-ffff-ffffffffffff");
  });
});
