/**
 * Kept seeds: what a server sends behind its SETTINGS, one frame for each line; and ways to damage it that keep most frames whole. A
 * line is hexadecimal, `+N` adds N bytes of `a`, `xN` repeats the line N times, `#` begins a remark.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../../../src/core/random.ts";
import { FRAME_HEADER_BYTES } from "../../../src/h2/codes.ts";
import { frame, joined, words } from "../../support/h2-peer.ts";
import { oneOf } from "../../support/sections.ts";

export interface Seed {
  readonly name: string;
  /** As the lines have them: mostly one frame each, some of them damaged. */
  readonly frames: readonly Uint8Array[];
}

const FOLDER = join(import.meta.dirname, "seeds");

/** Every file of `seeds`, in the order of their names. */
export function loadSeeds(): Seed[] {
  return readdirSync(FOLDER)
    .sort()
    .map((name) => ({ name, frames: framesOfText(readFileSync(join(FOLDER, name), "utf8")) }));
}

/** The way back: a seed file's text, for a failure to show. */
export function textOfFrames(frames: readonly Uint8Array[]): string {
  return frames.map((part) => part.toHex().replace(/((?:61){40,})$/, (run) => ` +${run.length / 2}`)).join("\n");
}

function framesOfText(text: string): Uint8Array[] {
  return text.split("\n").flatMap((line) => {
    const [hex = "", ...more] = line.replace(/#.*/, "").trim().split(" ");
    if (hex === "") return [];
    const fill = more.find((word) => word.startsWith("+"))?.slice(1) ?? "0";
    const times = more.find((word) => word.startsWith("x"))?.slice(1) ?? "1";
    const bytes = joined(Uint8Array.fromHex(hex), new Uint8Array(Number(fill)).fill(0x61));
    return Array.from({ length: Number(times) }, () => bytes);
  });
}

/** Numbers with a meaning somewhere: lengths, windows, limits and their neighbours. */
const NUMBERS = [0, 1, 2, 4, 8, 0x7f, 0x80, 0xff, 0x3fff, 0x4000, 0x4001, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000];
const STREAMS = [0, 1, 2, 3, 5, 7, 9, 11, 13, 15, 99, 0x7fff_ffff, 0x8000_0001];

/** One to four changes to a seed. Frames of a run stay one array: they are not written to. */
export function mutate(seeds: readonly Seed[], random: Random): Uint8Array[] {
  const frames = [...oneOf(random, seeds).frames];
  for (let changes = 1 + random.nextBelow(4); changes > 0 && frames.length > 0; changes--) {
    const at = random.nextBelow(frames.length);
    const part = frames[at] ?? new Uint8Array(0);
    switch (random.nextBelow(9)) {
      case 0:
        frames.splice(at, 1);
        break;
      case 1:
        frames.splice(random.nextBelow(frames.length + 1), 0, part);
        break;
      case 2: {
        const other = oneOf(random, seeds).frames;
        frames.splice(at, 0, ...other.slice(random.nextBelow(other.length)).slice(0, 6));
        break;
      }
      case 3:
        frames.splice(at, 0, anyFrame(random));
        break;
      case 4:
        frames[at] = withByte(
          part,
          random.nextBelow(Math.min(part.length, FRAME_HEADER_BYTES) || 1),
          random.nextBelow(256),
        );
        break;
      case 5:
        frames[at] = withStream(part, oneOf(random, STREAMS));
        break;
      case 6:
        frames[at] = part.slice(0, random.nextBelow(part.length + 1));
        break;
      case 7:
        frames[at] = withWord(part, random);
        break;
      default:
        frames[at] = withByte(part, random.nextBelow(part.length || 1), random.nextBelow(256));
    }
  }
  return frames;
}

/** Every type, known or not, with flags, stream and payload by chance. */
function anyFrame(random: Random): Uint8Array {
  const payload =
    random.nextBelow(2) === 0
      ? words(oneOf(random, NUMBERS), oneOf(random, NUMBERS)).slice(0, oneOf(random, [0, 4, 5, 6, 8]))
      : Uint8Array.from({ length: random.nextBelow(40) }, () => random.nextBelow(256));
  return frame(random.nextBelow(12), oneOf(random, [0, 1, 4, 5, 8, 9, 0x2d, 0xff]), oneOf(random, STREAMS), payload);
}

function withByte(bytes: Uint8Array, at: number, byte: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = byte;
  return copy;
}

function withStream(bytes: Uint8Array, streamId: number): Uint8Array {
  if (bytes.length < FRAME_HEADER_BYTES) return bytes;
  return joined(bytes.slice(0, 5), words(streamId), bytes.slice(FRAME_HEADER_BYTES));
}

/** A number with a meaning somewhere in the payload. */
function withWord(bytes: Uint8Array, random: Random): Uint8Array {
  const room = bytes.length - FRAME_HEADER_BYTES - 3;
  if (room <= 0) return bytes;
  const at = FRAME_HEADER_BYTES + random.nextBelow(room);
  return joined(bytes.slice(0, at), words(oneOf(random, NUMBERS)), bytes.slice(at + 4));
}
