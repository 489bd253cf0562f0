/** Assertions: the only throwers of program faults. Wrong input is never asserted; it becomes a value or a `ProxyError`. */

/** A fault of this program. Whoever catches it ends the exchange or the process; nobody goes on as if nothing was. */
export class AssertionFault extends Error {
  override readonly name = "AssertionFault";
}

/** Throws unless `condition` holds. The message says what must be true. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFault(message);
}

/** The value, which must be there. */
export function must<T>(value: T | null | undefined, message: string): T {
  if (value === null || value === undefined) throw new AssertionFault(message);
  return value;
}

/** For the branch that the types say cannot be reached. */
export function unreachable(value: never, message: string): never {
  throw new AssertionFault(`${message}: ${String(value)}`);
}
