/** What all workers have counted, those that are gone included: no sum ever goes back. Pure. */

/** Counts by name, as `countersSeen` names them. */
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
  readonly #alive: Map<number, Counts>;

  /** `before`: what the program in this process before has counted. */
  constructor(before: CountsHandover = { alive: {}, gone: {} }) {
    this.#gone = new Map(Object.entries(before.gone));
    this.#alive = new Map(Object.entries(before.alive).map(([slot, counts]) => [Number(slot), counts]));
  }

  /** For another one to go on with, which begins to count `own` anew. */
  handOver(own: Counts = {}): CountsHandover {
    const gone = new Map(this.#gone);
    add(gone, own);

    return { alive: Object.fromEntries(this.#alive), gone: Object.fromEntries(gone) };
  }

  /** What the worker in a slot has counted since its start. */
  report(slot: number, counts: Counts): void {
    this.#alive.set(slot, counts);
  }

  /** The worker in a slot has ended; the next one begins at zero. */
  settle(slot: number): void {
    add(this.#gone, this.#alive.get(slot) ?? {});
    this.#alive.delete(slot);
  }

  /** Everything so far, and what whoever asks has counted by itself. */
  sums(own: Counts = {}): Record<string, number> {
    const sums = new Map(this.#gone);
    add(sums, own);
    for (const counts of this.#alive.values()) add(sums, counts);
    return Object.fromEntries(sums);
  }
}

function add(sums: Map<string, number>, counts: Counts): void {
  for (const [name, count] of Object.entries(counts)) {
    const before = sums.get(name) ?? 0;
    sums.set(name, HIGHEST.has(name) ? Math.max(before, count) : before + count);
  }
}
