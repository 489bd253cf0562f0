/**
 * How long things took, in buckets whose borders never change: recording costs a few nanoseconds and makes nothing, and what several
 * processes recorded is added up bucket by bucket.
 */
import { isLabelled } from "./labels.ts";

/** Eight borders in each decade: a quantile read from them is off by 20 % at most, and all borders that alert rules are fond of are among them. */
const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 7.5];
const DECADES_MS = [0.1, 1, 10, 100, 1000, 10_000];

/** Upper borders, milliseconds, each within its bucket: 0.1 ms to 100 s. What is longer is in a last bucket without one. */
export const BORDERS_MS: readonly number[] = [
  ...DECADES_MS.flatMap((decade) => STEPS.map((step) => Number((step * decade).toPrecision(3)))),
  100_000,
];

const BORDERS = Float64Array.from([...BORDERS_MS, Infinity]);
const MICROSECONDS_MAX = 2 ** 31 - 1;
/** By the highest bit of a time in microseconds: the first bucket that such a time may be in. */
const FIRST_BUCKETS = Uint8Array.from({ length: 33 }, (_, bits) =>
  BORDERS.findIndex((border) => border * 1000 >= (bits === 0 ? 0 : 2 ** (bits - 1))),
);

/** Durations of one kind. */
export class Histogram {
  readonly #counts = new Float64Array(BORDERS.length);
  #sumMs = 0;

  /** Takes note of one. 11 ns (`bench/micro/histogram.ts`). */
  record(ms: number): void {
    let bucket = FIRST_BUCKETS[32 - Math.clz32(Math.min(ms * 1000, MICROSECONDS_MAX))] ?? 0;
    while (ms > (BORDERS[bucket] ?? Infinity)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sumMs += ms;
  }

  /** Puts what was recorded among counts: one for each bucket that is not empty, `name:2.5`, and the sum, `name:sum`, in milliseconds. */
  writeTo(counts: Record<string, number>, name: string): void {
    let any = false;
    for (let bucket = 0; bucket < BORDERS.length; bucket++) {
      const count = this.#counts[bucket] ?? 0;
      if (count === 0) continue;
      any = true;
      counts[`${name}:${BORDERS_MS[bucket] ?? NO_BORDER}`] = count;
    }
    if (any) counts[`${name}:${SUM}`] = Math.round(this.#sumMs * 1000) / 1000;
  }
}

const SUM = "sum";
const NO_BORDER = "inf";

/** A histogram as read from counts. */
export interface HistogramReading {
  readonly count: number;
  readonly sumMs: number;
  /** Upper border in milliseconds (`Infinity` for the last) and how many were in the bucket below it; empty buckets are left out. */
  readonly buckets: readonly (readonly [number, number])[];
}

/** Counts of which some are of histograms, told apart; those with labels (`labels.ts`) are left out. */
export interface Readings {
  readonly counters: Record<string, number>;
  readonly histograms: Readonly<Record<string, HistogramReading>>;
}

/**
 * Reads what `writeTo` wrote, however often it was added up since. Each bucket bears its own border, so counts of a program with other
 * borders than ours are kept as they are.
 */
export function readHistograms(counts: Readonly<Record<string, number>>): Readings {
  const counters: Record<string, number> = {};
  const found = new Map<string, { sumMs: number; buckets: [number, number][] }>();
  for (const [key, count] of Object.entries(counts)) {
    if (isLabelled(key)) continue;
    const colon = key.indexOf(":");
    if (colon < 0) {
      counters[key] = count;
      continue;
    }
    const name = key.slice(0, colon);
    const what = key.slice(colon + 1);
    const histogram = found.get(name) ?? { sumMs: 0, buckets: [] };
    found.set(name, histogram);
    if (what === SUM) histogram.sumMs = count;
    else histogram.buckets.push([what === NO_BORDER ? Infinity : Number(what), count]);
  }
  const histograms: Record<string, HistogramReading> = {};
  for (const [name, { sumMs, buckets }] of found) {
    buckets.sort(([a], [b]) => (a < b ? -1 : 1));
    histograms[name] = { count: buckets.reduce((sum, [, count]) => sum + count, 0), sumMs, buckets };
  }
  return { counters, histograms };
}
