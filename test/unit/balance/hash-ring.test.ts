import { describe, expect, test } from "bun:test";
import { AssertionFault } from "../../../src/core/assert.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { Random } from "../../../src/core/random.ts";
import { hashBytesString, HashRing, hashText, pointCounts } from "../../../src/balance/hash-ring.ts";
import type { WeightedBackend } from "../../../src/balance/policy.ts";
import vectors from "../../golden/murmur3.json" with { type: "json" };

const KEYS = 20_000;

describe("murmur3", () => {
  test("agrees with another implementation on every golden vector", () => {
    const texts = vectors.flatMap(({ text, hash }) => (text === undefined ? [] : [[text, hash] as const]));
    const bytes = vectors.flatMap(({ hex, hash }) => (hex === undefined ? [] : [[hex, hash] as const]));
    expect(texts.map(([text]) => [text, hashText(text)])).toEqual(texts.map((pair) => [...pair]));
    expect(bytes.map(([hex]) => [hex, hashBytesString(fromHex(hex))])).toEqual(bytes.map((pair) => [...pair]));
    expect([texts.length, bytes.length]).toEqual([91, 12]);
  });

  test("hashes text over its UTF-8 bytes, whichever way the bytes come", () => {
    for (const { text } of vectors) {
      if (text !== undefined) expect(hashText(text)).toBe(hashBytesString(Buffer.from(text).toString("latin1")));
    }
  });

  test("tells apart characters that differ above their low 8 bits only", () => {
    expect(hashText("€")).not.toBe(hashText("¬"));
    expect(hashText("Ā")).not.toBe(hashText("\0"));
  });

  test("gives unsigned 32-bit numbers", () => {
    const all = Array.from({ length: 1000 }, (_, i) => hashText(`key-${i}`));
    expect(all.every((hash) => Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32)).toBe(true);
    expect(all.some((hash) => hash >= 2 ** 31)).toBe(true);
  });
});

describe("points", () => {
  function counts(...weights: number[]): number[] {
    return [...pointCounts(Int32Array.from(weights))];
  }

  test("are as many as documented for weight 100, in proportion for others, and at least one", () => {
    expect(counts(100, 200, 50, 1)).toEqual([160, 320, 80, 2]);
    expect(counts(1000, 1)).toEqual([1600, 2]);
  });

  test("are enough for a good spread when all weights are written small", () => {
    expect(counts(1, 1)).toEqual([102, 102]);
    expect(counts(1, 2)).toEqual([51, 102]);
    expect(counts(10, 10)).toEqual([128, 128]);
  });

  test("never pass the limit of a ring, and keep the proportions when they are thinned", () => {
    const many = counts(...new Array<number>(LIMITS.backendsPerPoolMax - 1).fill(1000), 500);
    expect(many.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(LIMITS.ringPointsMax);
    expect(many.at(-1)).toBe(Math.round((many[0] ?? 0) / 2));
    expect(Math.min(...many)).toBeGreaterThanOrEqual(1);
  });

  test("stand in ascending order, each backend with its number", () => {
    const ring = new HashRing(backends(5, (index) => 50 * (index + 1)));
    expect([...ring.points]).toEqual([...ring.points].sort((a, b) => a - b));
    const owned = [0, 1, 2, 3, 4].map((index) => ring.owners.filter((owner) => owner === index).length);
    expect(owned).toEqual([80, 160, 240, 320, 400]);
  });

  test("lie where the documented key says, so that other programs can compute them", () => {
    const ring = new HashRing([
      { id: "a", weight: 100 },
      { id: "café", weight: 100 },
    ]);
    const places = new Map([...ring.points].map((place, at) => [place, ring.owners[at]]));
    for (const i of [0, 1, 99, 159]) {
      expect(places.get(hashText(`a-${i}`))).toBe(0);
      expect(places.get(hashText(`café-${i}`))).toBe(1);
    }
  });

  test("of two backends with one id are a fault of the program", () => {
    expect(
      () =>
        new HashRing([
          { id: "a", weight: 1 },
          { id: "a", weight: 2 },
        ]),
    ).toThrow(AssertionFault);
  });
});

describe("looking up", () => {
  const ring = new HashRing(backends(3));
  const { points } = ring;

  test("finds the first point at or after a hash, and the first of all behind the last", () => {
    const last = points[points.length - 1] ?? 0;
    expect(ring.pointAt(0)).toBe(0);
    expect(ring.pointAt(last)).toBe(points.length - 1);
    expect(ring.pointAt(last + 1)).toBe(0);
    expect(ring.pointAt(2 ** 32 - 1)).toBe(0);
    for (let at = 1; at < points.length; at++) {
      expect(ring.pointAt(points[at] ?? 0)).toBe(at);
      expect(ring.pointAt((points[at - 1] ?? 0) + 1)).toBe(at);
    }
  });

  test("agrees with a plain search for random hashes", () => {
    const random = Random.fromEntropy([3]);
    for (let i = 0; i < 2000; i++) {
      const hash = random.nextUint32();
      expect(ring.pointAt(hash)).toBe(
        Math.max(
          0,
          points.findIndex((place) => place >= hash),
        ),
      );
    }
  });

  test("answers 0 for an empty ring", () => {
    expect(new HashRing([]).pointAt(5)).toBe(0);
  });
});

describe("keys", () => {
  const before = ownersOf(backends(10));

  test("stay where they are when the file is reordered", () => {
    expect(ownersOf(backends(10).reverse())).toEqual(before);
  });

  test("that meet two points in one place go to the smaller id, in whatever order the file has them", () => {
    // Found by search: point 40 of the one and point 34 of the other.
    const place = hashText("backend-378-40");
    expect(hashText("backend-545-34")).toBe(place);
    for (const ids of [
      ["backend-378", "backend-545"],
      ["backend-545", "backend-378"],
    ]) {
      const ring = new HashRing(ids.map((id) => ({ id, weight: 100 })));
      expect(ids[ring.owners[ring.pointAt(place)] ?? -1]).toBe("backend-378");
    }
  });

  for (const gone of [0, 4, 9]) {
    test(`move only away from backend ${gone} of 10 when it is removed, and those are about a tenth`, () => {
      const after = ownersOf(backends(10).filter(({ id }) => id !== `backend-${gone}`));
      const moved = before.filter((owner, key) => owner !== after[key]);
      expect(new Set(moved)).toEqual(new Set([`backend-${gone}`]));
      expect(moved.length).toBe(before.filter((owner) => owner === `backend-${gone}`).length);
      expectAboutTenth(moved.length);
    });
  }

  test("of a removed backend are taken over by all others", () => {
    const after = ownersOf(backends(10).slice(1));
    const heirs = new Set(after.filter((_, key) => before[key] === "backend-0"));
    expect(heirs.size).toBe(9);
  });

  test("move only to a backend that is added", () => {
    const eleven = ownersOf(backends(11));
    const moved = eleven.filter((owner, key) => owner !== before[key]);
    expect(new Set(moved)).toEqual(new Set(["backend-10"]));
  });

  test("move only to a backend whose weight is raised", () => {
    const raised = ownersOf(backends(10, (index) => (index === 3 ? 200 : 100)));
    const moved = raised.filter((owner, key) => owner !== before[key]);
    expect(new Set(moved)).toEqual(new Set(["backend-3"]));
    expect(moved.length).toBeGreaterThan(KEYS / 25);
  });

  test("are spread evenly even when they are short and alike", () => {
    const counts = new Map<string, number>();
    for (const owner of before) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    for (const count of counts.values()) expectAboutTenth(count);
    expect(counts.size).toBe(10);
  });
});

/** A backend's part of a ring with 160 of 1,600 points is Beta distributed: mean 0.1, sigma 0.0075. */
function expectAboutTenth(count: number): void {
  const ofRing = Math.sqrt((160 * 1440) / (1600 * 1600 * 1601));
  const ofKeys = Math.sqrt((0.1 * 0.9) / KEYS);
  expect(Math.abs(count / KEYS - 0.1)).toBeLessThan(4 * Math.hypot(ofRing, ofKeys));
}

/** The id that owns each of the keys `user-0`, `user-1` and so on. */
function ownersOf(pool: readonly WeightedBackend[]): string[] {
  const ring = new HashRing(pool);
  return Array.from({ length: KEYS }, (_, key) => {
    return pool[ring.owners[ring.pointAt(hashText(`user-${key}`))] ?? -1]?.id ?? "nobody";
  });
}

function backends(count: number, weight: (index: number) => number = () => 100): WeightedBackend[] {
  return Array.from({ length: count }, (_, index) => ({ id: `backend-${index}`, weight: weight(index) }));
}

function fromHex(hex: string): string {
  return Buffer.from(hex, "hex").toString("latin1");
}
