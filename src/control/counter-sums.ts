/** What all workers have counted, those that are gone included: no sum ever goes back. And how things are with those that live. Pure. */
import { isGauge } from "../core/labels.ts";

/** Counts by name, as `countersSeen` names them, and by names with labels (`core/labels.ts`). */
export type Counts = Readonly<Record<string, number>>;

/** Of workers that live, by their slots, and of all that are gone. */
export interface CountsHandover {
  readonly alive: Readonly<Record<string, Counts>>;
  readonly gone: Counts;
}

/** These are no counts of events but the most that was ever seen. */
const HIGHEST: ReadonlySet<string> = new Set(["glitches_highest"]);

/** Sums over slots. A worker killed outright loses what it counted since its last report: at most a heartbeat's time. */
export class CounterSums {
  readonly #gone: Map<string, number>;
  readonly #alive: Map<number, Map<string, number>>;

  /** `before`: what the program in this process before has counted. */
  constructor(before: CountsHandover = { alive: {}, gone: {} }) {
    this.#gone = new Map(Object.entries(before.gone));
    const slots = Object.entries(before.alive);
    this.#alive = new Map(slots.map(([slot, counts]) => [Number(slot), new Map(Object.entries(counts))]));
  }

  /** For another one to go on with, which begins to count `own` anew. */
  handOver(own: Counts = {}): CountsHandover {
    const gone = new Map(this.#gone);
    add(gone, Object.entries(own));
    const alive = Object.fromEntries([...this.#alive].map(([slot, counts]) => [slot, Object.fromEntries(counts)]));
    return { alive, gone: Object.fromEntries(gone) };
  }

  /** What the worker in a slot has counted since its start, and how things are there. Names that are left out are as they were. */
  report(slot: number, counts: Counts): void {
    const known = this.#alive.get(slot) ?? new Map<string, number>();
    this.#alive.set(slot, known);
    for (const [name, count] of Object.entries(counts)) {
      // What is not, is not said.
      if (count === 0 && isGauge(name)) known.delete(name);
      else known.set(name, count);
    }
  }

  /** The worker in a slot has ended; the next one begins at zero. */
  settle(slot: number): void {
    add(this.#gone, this.#alive.get(slot) ?? []);
    this.#alive.delete(slot);
  }

  /** How things were with the worker in a slot when it last said so, by their names with labels; what is not there is zero. */
  gaugesOf(slot: number): ReadonlyMap<string, number> {
    return new Map([...(this.#alive.get(slot) ?? [])].filter(([name]) => isGauge(name)));
  }

  /** Everything so far, and what whoever asks has counted by itself. */
  sums(own: Counts = {}): Record<string, number> {
    const sums = new Map(this.#gone);
    add(sums, Object.entries(own));
    for (const counts of this.#alive.values()) add(sums, counts);
    return Object.fromEntries(sums);
  }
}

function add(sums: Map<string, number>, counts: Iterable<readonly [string, number]>): void {
  for (const [name, count] of counts) {
    if (isGauge(name)) continue;
    const before = sums.get(name) ?? 0;
    sums.set(name, HIGHEST.has(name) ? Math.max(before, count) : before + count);
  }
}
