/** What all workers have counted, those that are gone included: no sum ever goes back. Pure. */

/** Counts by name, as `countersSeen` names them. */
export type Counts = Readonly<Record<string, number>>;

/** These are no counts of events but the most that was ever seen. */
const HIGHEST: ReadonlySet<string> = new Set(["glitches_highest"]);

/** Sums over slots. A worker killed outright loses what it counted since its last report: at most a heartbeat's time. */
export class CounterSums {
  readonly #gone = new Map<string, number>();
  readonly #alive = new Map<number, Counts>();

  /** What the worker in a slot has counted since its start. */
  report(slot: number, counts: Counts): void {
    this.#alive.set(slot, counts);
  }

  /** The worker in a slot has ended; the next one begins at zero. */
  settle(slot: number): void {
    add(this.#gone, this.#alive.get(slot) ?? {});
    this.#alive.delete(slot);
  }

  /** Everything so far. */
  sums(): Record<string, number> {
    const sums = new Map(this.#gone);
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
