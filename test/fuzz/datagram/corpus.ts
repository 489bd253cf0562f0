/**
 * Kept seeds: what may come to a server's socket, one datagram for each line, in order; and ways to damage it. A line is hexadecimal, `+N`
 * adds N bytes of 0, `-` is a datagram of no bytes, `#` begins a remark.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../../src/core/assert.ts";
import type { Random } from "../../../src/core/random.ts";
import { sealInitial } from "../../support/initial.ts";
import { oneOf } from "../../support/sections.ts";

const FOLDER = join(import.meta.dirname, "seeds");
/** What a socket of ours takes at most. */
export const DATAGRAM_BYTES_MAX = 1472;
const INITIAL_BYTES_MIN = 1200;

/** Every datagram of every file of `seeds`, in the order of their names. */
export function loadSeeds(): Uint8Array[] {
  return readdirSync(FOLDER)
    .sort()
    .flatMap((name) => datagramsOfText(readFileSync(join(FOLDER, name), "utf8")));
}

/** The bytes of a ClientHello, in clear. */
export function loadHello(): Uint8Array {
  const text = readFileSync(join(import.meta.dirname, "client-hello.hex"), "utf8");
  return must(datagramsOfText(text)[0], "the file has a line");
}

/** The way back: a line of a seed file, for a failure to show. */
export function textOfDatagram(datagram: Uint8Array): string {
  return datagram.length === 0 ? "-" : datagram.toHex().replace(/((?:00){20,})$/, (run) => ` +${run.length / 2}`);
}

function datagramsOfText(text: string): Uint8Array[] {
  return text.split("\n").flatMap((line) => {
    const [hex = "", fill = "+0"] = line.replace(/#.*/, "").trim().split(" ");
    if (hex === "") return [];
    const bytes = hex === "-" ? new Uint8Array(0) : Uint8Array.fromHex(hex);
    return [Uint8Array.from([...bytes, ...new Uint8Array(Number(fill.slice(1)))])];
  });
}

/** Bytes with a meaning somewhere in a header: forms, types, lengths of ids, sizes of varints. */
const TELLING = [
  0x00, 0x01, 0x07, 0x08, 0x12, 0x14, 0x15, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xc3, 0xd0, 0xe3, 0xf0, 0xff,
];
/** Where a header of version 1 mostly is. */
const HEADER_BYTES = 60;

/** Something that may come: a seed, damaged once or several times, or bytes without any sense. */
export function anyDatagram(seeds: readonly Uint8Array[], random: Random): Uint8Array {
  if (random.nextBelow(10) === 0) return randomBytes(random, random.nextBelow(DATAGRAM_BYTES_MAX + 1));
  let datagram: Uint8Array = oneOf(random, seeds).slice();
  for (let changes = random.nextBelow(4); changes > 0; changes--) datagram = damaged(datagram, seeds, random);
  return datagram.subarray(0, DATAGRAM_BYTES_MAX);
}

function damaged(datagram: Uint8Array, seeds: readonly Uint8Array[], random: Random): Uint8Array {
  const at = random.nextBelow(
    Math.min(datagram.length, random.nextBelow(3) === 0 ? datagram.length : HEADER_BYTES) || 1,
  );
  switch (random.nextBelow(6)) {
    case 0:
      return datagram.slice(0, random.nextBelow(datagram.length + 1));
    case 1:
      return Uint8Array.from([...datagram, ...oneOf(random, seeds)]);
    case 2:
      return Uint8Array.from([
        ...datagram.subarray(0, at),
        ...oneOf(random, seeds).subarray(0, at),
        ...datagram.subarray(at),
      ]);
    case 3:
      return Uint8Array.from([...datagram, ...new Uint8Array(Math.max(0, INITIAL_BYTES_MIN - datagram.length))]);
    case 4:
      if (datagram.length > 0) datagram[at] = oneOf(random, TELLING);
      return datagram;
    default:
      if (datagram.length > 0) datagram[at] = random.nextBelow(256);
      return datagram;
  }
}

/** Frames that an Initial may hold, and such that it may not. */
const FRAMES = [
  "00",
  "01",
  "02000000",
  "020a0a0000",
  "0600",
  "060040ff",
  "06bfffffff4001",
  "1c0a0000",
  "080000",
  "1e",
  "0740ff",
  "18",
  "21",
];

/** An Initial that opens with its keys, so that its frames are read: those of a real ClientHello, damaged, or others. */
export function anyInitial(hello: Uint8Array, random: Random): Uint8Array {
  const parts: number[] = [];
  for (let frames = 1 + random.nextBelow(6); frames > 0; frames--) {
    if (random.nextBelow(2) === 0) {
      parts.push(...Uint8Array.fromHex(oneOf(random, FRAMES)));
      continue;
    }
    const from = random.nextBelow(2) === 0 ? 0 : random.nextBelow(hello.length);
    const piece = hello.slice(from, from + 1 + random.nextBelow(hello.length - from));
    if (random.nextBelow(2) === 0) piece[random.nextBelow(piece.length)] = random.nextBelow(256);
    parts.push(0x06, 0x40 | (from >> 8), from & 0xff, 0x40 | (piece.length >> 8), piece.length & 0xff, ...piece);
  }
  const payload = Uint8Array.from([...parts.slice(0, 1300), ...new Uint8Array(Math.max(0, 1150 - parts.length))]);
  const [dcid, scid] = [randomBytes(random, 8 + random.nextBelow(13)), randomBytes(random, random.nextBelow(21))];
  return sealInitial({ dcid, scid, number: random.nextBelow(3), payload }).subarray(0, DATAGRAM_BYTES_MAX);
}

function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.nextBelow(256));
}
