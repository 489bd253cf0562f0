/**
 * The promise about paths: whatever of its many readings a server has, it acts on a path that leads to the same route as the one
 * that was routed, or the request was refused.
 */
import type { Random } from "../../../src/core/random.ts";
import { comparablePath } from "../../../src/route/path.ts";
import { targetFault } from "../../../src/route/target.ts";
import { latin1, oneOf } from "../../support/sections.ts";
import { dotSegmentsAfter, readingsOf, readPath, referenceForm } from "./path-models.ts";

/** Letters that make every trick there is, and pieces that make it sooner. */
export const LETTERS = [..."/.%2ef5ca\\;"];
export const PIECES = ["/", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "a", "%25", "2e", "%61", "%3b", "//"];

function isRefused(path: string): boolean {
  const bytes = latin1(path);
  return targetFault(bytes, 0, bytes.length) !== null;
}

/** Every word of these letters with at most `lengthMax` of them. */
export function* words(letters: readonly string[], lengthMax: number): Generator<string> {
  yield "";
  if (lengthMax === 0) return;
  for (const rest of words(letters, lengthMax - 1)) {
    for (const letter of letters) yield rest + letter;
  }
}

/** What routes tell apart: `/a/` is below every prefix that `/a` is below. */
function routed(path: string): string {
  return comparablePath(path).replace(/\/?(\?.*)?$/s, "");
}

/** Throws when the promise does not hold; says whether the path passed. */
export function tryPath(path: string): boolean {
  if (isRefused(path)) return false;
  const form = comparablePath(path);
  if (form !== referenceForm(path)) throw new RangeError(`${path} is ${form} and not ${referenceForm(path)}`);
  if (comparablePath(form) !== form) throw new RangeError(`${path} is ${form} and then ${comparablePath(form)}`);
  if (form.length > path.length) throw new RangeError(`${path} has become longer: ${form}`);
  const route = routed(path);
  const known = new Set([path]);
  const [before = ""] = path.split("?");
  for (const reading of readingsOf(before)) {
    const seen = readPath(before, reading);
    if (known.has(seen)) continue;
    known.add(seen);
    if (routed(seen) !== route)
      throw new RangeError(`${path} is routed as ${route} and read as ${seen} by ${JSON.stringify(reading)}`);
  }
  const plain = dotSegmentsAfter(before, 1);
  for (const times of [2, 3, 4]) {
    if (dotSegmentsAfter(before, times) !== plain)
      throw new RangeError(`${path} hides dot segments, decoded ${times} times`);
  }
  return true;
}

/** A path of up to so many pieces, most of them harmless. */
export function randomPath(random: Random, piecesMax: number): string {
  let path = "/";
  for (let pieces = random.nextBelow(piecesMax + 1); pieces > 0; pieces--)
    path += random.nextBelow(3) > 0 ? "a/" : oneOf(random, PIECES);
  return path;
}
