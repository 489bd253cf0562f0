/**
 * A hash ring: every backend has points on a circle of 2^32 places, and a key belongs to the first point at or after its hash.
 * The hash is murmur3 (x86, 32 bit, seed 0). The only importer of murmurhash3js.
 *
 * Point number `i` of a backend is the hash of `<id>-<i>`. A point depends on nothing but the backend's id and number, so:
 * the order in the file means nothing; a backend that leaves gives its keys away and no other key moves; a backend whose weight
 * grows only gains keys. The address is not in it: a backend that moves house under the same id keeps its keys.
 *
 * Number of points: `LIMITS.ringPointsPerBackend` for weight 100, in proportion for other weights, at least one. When the
 * heaviest backend would have less than half of that (weights 1, 1, 2 are a common way to write them), all numbers are
 * doubled until it has not; when the ring would be larger than `LIMITS.ringPointsMax`, all are halved until it is not.
 * Powers of two, because a ring is changed as a whole where the factor changes: it does so at a few boundaries only.
 */
import murmur from "murmurhash3js";
import { assert } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import { weightsOf, type WeightedBackend } from "./policy.ts";

/** Hash of bytes, given as a string of one byte per character: as header values are received. */
export function hashBytesString(bytes: string): number {
  return murmur.x86.hash32(bytes, 0);
}

/** Hash of a text, taken over its UTF-8 bytes. The library looks at 8 bits per character, so text must not go in as it is. */
export function hashText(text: string): number {
  return hashBytesString(utf8BytesString(text));
}

/** A ring over all backends of a pool, usable or not. */
export class HashRing {
  /** Places of the points, ascending. */
  readonly points: Uint32Array;
  /** Index of the backend that each point belongs to. */
  readonly owners: Uint16Array;

  /** The ids differ from each other. */
  constructor(backends: readonly WeightedBackend[]) {
    const counts = pointCounts(weightsOf(backends));
    const ranked = rankedById(backends);
    const sorted = sortedPoints(backends, counts, ranked);
    this.points = Uint32Array.from(sorted, (point) => Math.floor(point / RANKS));
    this.owners = Uint16Array.from(sorted, (point) => ranked[point % RANKS] ?? 0);
  }

  /** Index of the first point at or after the hash, around the end if need be; 0 for an empty ring. */
  pointAt(hash: number): number {
    const points = this.points;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((points[middle] ?? 0) < hash) low = middle + 1;
      else high = middle;
    }
    return low === points.length ? 0 : low;
  }
}

/** A point is sorted as one number: its place times this plus the rank of its backend's id, less than 2^53. */
const RANKS = 65_536;

/** How many points each backend of these weights has; see the file's comment. */
export function pointCounts(weights: Int32Array): Int32Array {
  const heaviest = weights.reduce((most, weight) => Math.max(most, weight), 1);
  let pointsPerWeight = LIMITS.ringPointsPerBackend / 100;
  while (heaviest * pointsPerWeight < LIMITS.ringPointsPerBackend / 2) pointsPerWeight *= 2;
  // Ends: each halving lowers the sum until every backend has one point, and the limits leave room for that.
  assert(weights.length <= LIMITS.ringPointsMax, "every backend has room for a point on the ring");
  for (;;) {
    const counts = weights.map((weight) => Math.max(1, Math.round(weight * pointsPerWeight)));
    if (counts.reduce((sum, count) => sum + count, 0) <= LIMITS.ringPointsMax) return counts;
    pointsPerWeight /= 2;
  }
}

/**
 * Backend indexes in the order of their ids. Two points in one place (once in a few thousand rings) are ordered by it,
 * and not by the order in the file.
 */
function rankedById(backends: readonly WeightedBackend[]): readonly number[] {
  const ranked = backends.map((backend, index) => ({ id: backend.id, index }));
  ranked.sort((a, b) => (a.id < b.id ? -1 : 1));
  for (let i = 1; i < ranked.length; i++) assert(ranked[i]?.id !== ranked[i - 1]?.id, "backend ids of a pool differ");
  return ranked.map(({ index }) => index);
}

function sortedPoints(
  backends: readonly WeightedBackend[],
  counts: Int32Array,
  ranked: readonly number[],
): Float64Array {
  const points = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  let next = 0;
  ranked.forEach((index, rank) => {
    const prefix = `${utf8BytesString(backends[index]?.id ?? "")}-`;
    const count = counts[index] ?? 0;
    for (let i = 0; i < count; i++) points[next++] = hashBytesString(prefix + i) * RANKS + rank;
  });
  return points.sort();
}

/** UTF-8 bytes, one per character. ASCII text is its own bytes. */
function utf8BytesString(text: string): string {
  let bytes = "";
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}
