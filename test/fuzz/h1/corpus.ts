/** Kept seeds: answers that some reader got wrong once, or that reach a corner of the parser; and ways to damage them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../../../src/core/random.ts";

export interface Seed {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const FOLDER = join(import.meta.dirname, "seeds");

/** Every file of `seeds`, in the order of their names. */
export function loadSeeds(): Seed[] {
  const names = readdirSync(FOLDER).sort();
  return names.map((name) => ({ name, bytes: Uint8Array.from(readFileSync(join(FOLDER, name))) }));
}

/** Parts with a meaning to the grammar. */
const WORDS = [
  ...'\r \n \t \0 : ; , = " \\ 0 9 a f F \x7f \x80 \xff'.split(" "),
  " ",
  "\r\n",
  "\r\n\r\n",
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.1 103 X\r\n\r\n",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
  "0\r\n\r\n",
  "ffffffffffffffff",
].map((word) => Uint8Array.from(word, (character) => character.charCodeAt(0)));

/** One to four changes: bytes put in, taken out, flipped, repeated, or the tail of another seed. */
export function mutate(seeds: readonly Seed[], random: Random): Uint8Array {
  let bytes = pick(seeds, random).bytes;
  for (let changes = 1 + random.nextBelow(4); changes > 0; changes--) {
    const at = random.nextBelow(bytes.length + 1);
    const end = Math.min(bytes.length, at + random.nextBelow(12));
    switch (random.nextBelow(5)) {
      case 0:
        bytes = joined(bytes.subarray(0, at), pick(WORDS, random), bytes.subarray(at));
        break;
      case 1:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(end));
        break;
      case 2:
        bytes = joined(bytes.subarray(0, end), bytes.subarray(at));
        break;
      case 3: {
        const other = pick(seeds, random).bytes;
        bytes = joined(bytes.subarray(0, at), other.subarray(random.nextBelow(other.length)));
        break;
      }
      default:
        bytes = bytes.map((byte, i) => (i === at ? byte ^ (1 << random.nextBelow(8)) : byte));
    }
  }
  return bytes;
}

export function pick<T>(choices: readonly T[], random: Random): T {
  const chosen = choices[random.nextBelow(choices.length)];
  if (chosen === undefined) throw new TypeError("there is something to pick from");
  return chosen;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
