/** Which request streams of a connection have begun, in memory that does not grow with their number. */

/** Client-initiated bidirectional streams have ids 0, 4, 8 ... (RFC 9000 2.1). */
export const STREAM_ID_STEP = 4;

/**
 * The ids that were noted. Kept are the highest and those below it that are missing: to name an id opens all below it (RFC 9000
 * 3.2), and the client's stream limit counts them until they end, so that there are never more missing than streams allowed.
 */
export class StreamIds {
  #highest = -STREAM_ID_STEP;
  readonly #missing = new Set<number>();

  /** The highest noted; -4 before the first. */
  get highest(): number {
    return this.#highest;
  }

  /** Those below the highest that were not noted. */
  get missing(): Iterable<number> {
    return this.#missing;
  }

  has(id: number): boolean {
    return id <= this.#highest && !this.#missing.has(id);
  }

  note(id: number): void {
    if (id < this.#highest) {
      this.#missing.delete(id);
      return;
    }
    for (let between = this.#highest + STREAM_ID_STEP; between < id; between += STREAM_ID_STEP)
      this.#missing.add(between);
    this.#highest = id;
  }
}
