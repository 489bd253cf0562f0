/** What an unknown key may have been meant to be: a near key beside it, or the same key in another section. */
import type { MapNode, PathSegment } from "./document.ts";
import { nearest } from "./nearest.ts";
import { CONFIG_SHAPE } from "./schema.ts";
import { ANY_ITEM, keyRows } from "./shape.ts";

/** Every path that may be written, aliases among them. */
const KNOWN_PATHS: readonly (readonly string[])[] = keyRows(CONFIG_SHAPE).flatMap((row) => [
  row.path,
  ...(row.shape.aliases ?? []).map((alias) => alias.split(".")),
]);

/** A guess. */
export interface Suggestion {
  /** As it is shown: the key alone when it belongs into the same map, else its whole path. */
  readonly text: string;
  /** The key beside the unknown one that was probably meant; null when it belongs elsewhere. */
  readonly sibling: string | null;
}

/** The guess for `key`, unknown in `map`, which stands at `schemaPath` of the schema; null when nothing is near. */
export function suggestKey(key: string, map: MapNode, schemaPath: readonly string[]): Suggestion | null {
  const siblings = KNOWN_PATHS.filter(
    (path) => path.length === schemaPath.length + 1 && sharedLength(path, schemaPath) === schemaPath.length,
  );
  const near = nearest(key, new Set(siblings.map((path) => path.at(-1) ?? "")));
  if (near !== null) return { text: near.word, sibling: near.word };
  const elsewhere = nearestPlace(key, schemaPath);
  return elsewhere === null ? null : { text: shownPath(elsewhere, map.path, schemaPath), sibling: null };
}

/** The known path that ends in `key` and shares most of `schemaPath`; the shortest of several. */
function nearestPlace(key: string, schemaPath: readonly string[]): readonly string[] | null {
  const places = KNOWN_PATHS.filter((path) => path.at(-1) === key);
  const byNearness = places.toSorted(
    (a, b) => sharedLength(b, schemaPath) - sharedLength(a, schemaPath) || a.length - b.length,
  );
  return byNearness[0] ?? null;
}

function sharedLength(a: readonly string[], b: readonly string[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** The path with the names and indices of this file as far as both go the same way. */
function shownPath(place: readonly string[], written: readonly PathSegment[], schemaPath: readonly string[]): string {
  const shared = sharedLength(place, schemaPath);
  let text = "";
  for (const [index, name] of place.entries()) {
    const segment = index < shared ? (written[index] ?? name) : name;
    if (typeof segment === "number") text += `[${segment}]`;
    else text += (text === "" || segment === ANY_ITEM ? "" : ".") + segment;
  }
  return text;
}
