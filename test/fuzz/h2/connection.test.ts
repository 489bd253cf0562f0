/** The whole HTTP/2 client under damaged traffic: whatever comes, in whatever pieces, has one outcome. See `../rounds.ts`. */
import { expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { FrameReader } from "../../../src/h2/frame-reader.ts";
import { joined } from "../../support/h2-peer.ts";
import { FUZZ_HANGS_AFTER_MS, FUZZ_SEED, fuzzRounds } from "../rounds.ts";
import { loadSeeds, mutate, textOfFrames } from "./corpus.ts";
import { type Outcome, play } from "./exchanges.ts";

const SEEDS = loadSeeds();
const ROUNDS = fuzzRounds(2500);
/** Longer traffic is cut by chance and not at every byte. */
const BYTEWISE_BYTES_MAX = 600;
const CUTS_MAX = 300;

function expectSame(frames: readonly Uint8Array[], whole: Outcome, other: Outcome): void {
  if (JSON.stringify(whole) === JSON.stringify(other)) return;
  expect({ bytes: textOfFrames(frames), ...other }).toEqual({ bytes: textOfFrames(frames), ...whole });
}

/** The bytes in up to 30 pieces, or one by one. */
function cut(bytes: Uint8Array, random: Random): Uint8Array[] {
  if (bytes.length <= BYTEWISE_BYTES_MAX && random.nextBelow(4) === 0)
    return Array.from(bytes, (b) => Uint8Array.of(b));
  const places = Array.from({ length: random.nextBelow(30) }, () => random.nextBelow(bytes.length + 1));
  places.push(0, bytes.length);
  places.sort((a, b) => a - b);
  return places.slice(1).map((end, i) => bytes.slice(places[i], end));
}

test(
  "every kept seed has one outcome at every cut, and together they reach every kind of end",
  () => {
    expect(SEEDS.length).toBeGreaterThan(30);
    const kinds = new Set<string>();
    for (const { frames } of SEEDS) {
      const bytes = joined(...frames);
      const whole = play([bytes]);
      kinds.add(whole.failure.split(" ")[0] ?? "");
      for (const stream of whole.streams) for (const note of stream.split("; ")) kinds.add(note.split(" ")[0] ?? "");
      const step = Math.ceil(bytes.length / CUTS_MAX);
      for (let at = 1; at < bytes.length; at += step)
        expectSame(frames, whole, play([bytes.slice(0, at), bytes.slice(at)]));
      if (bytes.length <= BYTEWISE_BYTES_MAX)
        expectSame(frames, whole, play(Array.from(bytes, (byte) => Uint8Array.of(byte))));
    }
    for (const kind of ["", "push", "idle-stream", "compression", "frame-size", "window-update", "window-overflow"])
      expect(kinds).toContain(kind);
    for (const kind of ["head", "informational", "trailers", "end", "reset", "writable"]) expect(kinds).toContain(kind);
  },
  FUZZ_HANGS_AFTER_MS,
);

test(
  `${ROUNDS} damaged seeds have one outcome each, however they are cut (seed ${FUZZ_SEED})`,
  () => {
    const random = Random.fromEntropy([FUZZ_SEED, 2]);
    const ends = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const frames = mutate(SEEDS, random);
      const bytes = joined(...frames);
      const whole = play([bytes]);
      expectSame(frames, whole, play(cut(bytes, random)));
      const end = whole.failure.split(" ")[0] ?? "";
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    // Damage that always ended the connection at once would try little.
    expect(ends.get("") ?? 0).toBeGreaterThan(ROUNDS / 5);
    expect(ends.size).toBeGreaterThan(8);
  },
  FUZZ_HANGS_AFTER_MS,
);

test(
  `${4 * ROUNDS} runs of any bytes are read as the same frames, however they are cut (seed ${FUZZ_SEED})`,
  () => {
    const random = Random.fromEntropy([FUZZ_SEED, 3]);
    for (let round = 0; round < 4 * ROUNDS; round++) {
      const frames = mutate(SEEDS, random);
      const bytes = joined(Uint8Array.fromHex("000000040000000000"), ...frames).slice(0, 2000);
      const whole = read([bytes]);
      const other = read(cut(bytes, random));
      if (whole !== other) expect(`${textOfFrames(frames)}\n${other}`).toBe(`${textOfFrames(frames)}\n${whole}`);
    }
  },
  FUZZ_HANGS_AFTER_MS,
);

/** Frames as the reader tells of them, pieces joined. */
function read(pieces: readonly Uint8Array[]): string {
  const reader = new FrameReader(16_384);
  const told: string[] = [];
  let flowBytes = 0;
  for (const piece of pieces) {
    reader.push(piece);
    while (reader.next()) {
      if (reader.first) told.push(`${reader.type} ${reader.flags} ${reader.streamId} ${reader.payloadBytes} `);
      told[told.length - 1] += reader.bytes.slice(reader.at, reader.end).toHex();
      flowBytes += reader.flowBytes;
    }
    if (reader.fault !== null) break;
  }
  return `${told.join("\n")}\n${flowBytes} ${reader.fault}`;
}
