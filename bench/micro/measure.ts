/** The clock of the micro benchmarks: the best of several rounds, for other programs only ever make a round slower. */

const ROUNDS = 12;

/** Nanoseconds per call of `operation`, which gets the running number and returns something that depends on its work. */
export function nanosecondsPerCall(calls: number, operation: (call: number) => number): number {
  let best = Infinity;
  let sum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now();
    for (let call = 0; call < calls; call++) sum += operation(call);
    best = Math.min(best, ((performance.now() - startedMs) * 1e6) / calls);
  }
  // Reading the sum keeps the compiler from leaving out the work.
  if (Number.isNaN(sum)) console.log("unexpected sum");
  return best;
}

/** One line of a table. */
export function report(name: string, nanoseconds: number): void {
  console.log(`${name.padEnd(52)} ${nanoseconds.toFixed(1).padStart(9)} ns`);
}
