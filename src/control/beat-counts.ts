/** What a worker says of its counts: those that have changed since it last spoke, for with labels they may be many. */
import type { Counts } from "./counter-sums.ts";

/** Remembers what was said. */
export class BeatCounts {
  readonly #said = new Map<string, number>();
  /** Names of what was said of how things are. */
  #gauges: ReadonlySet<string> = new Set();

  /**
   * What is new among all counts that may have changed, and among all that is now: whatever is not there any more is zero. `counts` may leave
   * out what has not changed, `gauges` may not.
   */
  changed(counts: Iterable<readonly [string, number]>, gauges: ReadonlyMap<string, number>): Counts {
    const changed: Record<string, number> = {};
    for (const [name, count] of counts) this.#compare(name, count, changed);
    const before = this.#gauges;
    this.#gauges = new Set(gauges.keys());
    for (const [name, value] of gauges) this.#compare(name, value, changed);
    for (const name of before) {
      if (gauges.has(name)) continue;
      this.#said.delete(name);
      changed[name] = 0;
    }
    return changed;
  }

  #compare(name: string, count: number, changed: Record<string, number>): void {
    if (this.#said.get(name) === count) return;
    this.#said.set(name, count);
    changed[name] = count;
  }
}
