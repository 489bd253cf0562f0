/** What parsing one text of a configuration gives: a value, or what is wrong with the text. */
import { AssertionFault } from "../core/assert.ts";
import type { Finding } from "./problem.ts";

/** Exactly one of the two is there. */
export type Parsed<T> =
  { readonly value: T; readonly fault?: never } | { readonly fault: Finding; readonly value?: never };

/** A text that means something. */
export function good<T>(value: T): Parsed<T> {
  return { value };
}

/** A text that does not. */
export function bad(wrong: string, expected: string, nearest: string | null = null): { readonly fault: Finding } {
  return { fault: { wrong, expected, nearest } };
}

/** The value of a text that was checked before. */
export function checked<T>(parsed: Parsed<T>): T {
  if (parsed.fault !== undefined) throw new AssertionFault(`an unchecked text was built from: ${parsed.fault.wrong}`);
  return parsed.value;
}
