/** Readers of JSON that somebody else wrote: each gives its value, or throws a `ShapeError` that names the place. Pure. */

/** The value is not what its place calls for. */
export class ShapeError extends Error {}

/** Reads one value; `place` is for messages. */
export type Reader<T> = (value: unknown, place: string) => T;

/** A whole number from 0 on. */
export const count: Reader<number> = (value, place) =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : fail(place, "a whole number");

/** A number. */
export const finite: Reader<number> = (value, place) =>
  typeof value === "number" && Number.isFinite(value) ? value : fail(place, "a number");

/** A string. */
export const text: Reader<string> = (value, place) => (typeof value === "string" ? value : fail(place, "a text"));

/** True or false. */
export const flag: Reader<boolean> = (value, place) =>
  typeof value === "boolean" ? value : fail(place, "true or false");

/** One of these strings. */
export function oneOf<T extends string>(...words: readonly T[]): Reader<T> {
  return (value, place) => words.find((word) => word === value) ?? fail(place, words.join(" or "));
}

/** The value or null. */
export function nullable<T>(read: Reader<T>): Reader<T | null> {
  return (value, place) => (value === null ? null : read(value, place));
}

/** An array. */
export function list<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value, place) =>
    Array.isArray(value) ? value.map((item: unknown, i) => read(item, `${place}[${i}]`)) : fail(place, "a list");
}

/** An object whose keys are anything. */
export function byName<T>(read: Reader<T>): Reader<Readonly<Record<string, T>>> {
  return (value, place) =>
    Object.fromEntries(
      Object.entries(objectAt(value, place)).map(([key, item]) => [key, read(item, `${place}.${key}`)]),
    );
}

/** An object with these keys. Others are left out: whoever wrote them can do without being understood. */
export function record<T extends object>(readers: { readonly [K in keyof T]: Reader<T[K]> }): Reader<T> {
  const entries = Object.entries(readers) as [string, Reader<unknown>][];
  return (value, place) => {
    const given = objectAt(value, place);
    return Object.fromEntries(entries.map(([key, read]) => [key, read(given[key], `${place}.${key}`)])) as T;
  };
}

function objectAt(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(place, "an object");
  return { ...value };
}

function fail(place: string, expected: string): never {
  throw new ShapeError(`${place}: expected ${expected}`);
}
