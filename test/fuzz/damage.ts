/** Kept seeds that are text, and ways to damage them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../../src/core/random.ts";
import { oneOf } from "../support/sections.ts";

/** Every file of a folder in the order of their names, one character for each byte. */
export function textSeeds(folder: string): { readonly name: string; readonly text: string }[] {
  const names = readdirSync(folder).sort();
  return names.map((name) => ({ name, text: readFileSync(join(folder, name), "latin1") }));
}

/** One to four changes: something put in, taken out, repeated, flipped, or the tail of another seed. */
export function damaged(seeds: readonly string[], words: readonly string[], random: Random): string {
  let text = oneOf(random, seeds);
  for (let changes = 1 + random.nextBelow(4); changes > 0; changes--) {
    const at = random.nextBelow(text.length + 1);
    const end = Math.min(text.length, at + random.nextBelow(12));
    switch (random.nextBelow(6)) {
      case 0:
      case 1:
        text = text.slice(0, at) + oneOf(random, words) + text.slice(at);
        break;
      case 2:
        text = text.slice(0, at) + text.slice(end);
        break;
      case 3:
        text = text.slice(0, end) + text.slice(at);
        break;
      case 4:
        text = text.slice(0, at) + oneOf(random, seeds).slice(random.nextBelow(64));
        break;
      default:
        text = text.slice(0, at) + flipped(text.charCodeAt(at), random) + text.slice(at + 1);
    }
  }
  return text;
}

function flipped(code: number, random: Random): string {
  return Number.isNaN(code) ? "" : String.fromCharCode((code ^ (1 << random.nextBelow(8))) & 0xff);
}
