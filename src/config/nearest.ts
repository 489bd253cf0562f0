/** The known word nearest to a mistyped one. */

/** No key is longer than this, so a longer word is near to nothing; it bounds the work. */
const WORD_CHARACTERS_MAX = 64;

/** A candidate and how far it is. */
export interface Near {
  readonly word: string;
  readonly distance: number;
}

/**
 * The nearest of `candidates`, or null when none is near: at most a third of the letters wrong and at most three, or one word
 * is the other without its last part (`timeout` and `timeout_ms`). The first of equally near ones wins.
 */
export function nearest(word: string, candidates: Iterable<string>): Near | null {
  if (word.length > WORD_CHARACTERS_MAX) return null;
  const wanted = word.toLowerCase();
  const allowed = Math.min(3, Math.max(1, Math.floor(wanted.length / 3)));
  let best: Near | null = null;
  for (const candidate of candidates) {
    const distance = isPartOf(wanted, candidate) ? 1 : editDistance(wanted, candidate.toLowerCase());
    if (distance <= allowed && (best === null || distance < best.distance)) best = { word: candidate, distance };
  }
  return best;
}

function isPartOf(a: string, b: string): boolean {
  return a.length > 1 && b.length > 1 && (startsWithPart(a, b) || startsWithPart(b, a));
}

function startsWithPart(long: string, short: string): boolean {
  const next = long[short.length];
  return long.startsWith(short) && (next === "_" || next === "-");
}

/** Levenshtein's distance where swapping two neighbours counts one (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const changed = cell(previous, column - 1) + (isSame ? 0 : 1);
      const swapped = isSwap ? cell(beforePrevious, column - 2) + 1 : Infinity;
      current.push(Math.min(cell(previous, column) + 1, cell(current, column - 1) + 1, changed, swapped));
    }
    beforePrevious = previous;
    previous = current;
  }
  return cell(previous, b.length);
}

function cell(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}
