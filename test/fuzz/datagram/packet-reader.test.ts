/** The first look at a datagram, for any bytes: it stays within them, and says the same wherever they lie. See `../rounds.ts`. */
import { expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { PACKET, PacketReader } from "../../../src/quic/packet.ts";
import { FUZZ_HANGS_AFTER_MS, FUZZ_SEED, fuzzRounds } from "../rounds.ts";
import { anyDatagram, loadSeeds, textOfDatagram } from "./corpus.ts";

const SEEDS = loadSeeds();
const ROUNDS = fuzzRounds(60_000);
const reader = new PacketReader();

interface Reading {
  readonly kind: number;
  readonly dcid: string;
  readonly scid: string;
}

/** Reads `datagram` where it lies among other bytes. */
function readAt(datagram: Uint8Array, ahead: number, around: number): Reading {
  const bytes = new Uint8Array(ahead + datagram.length + 300).fill(around);
  bytes.set(datagram, ahead);
  const kind = reader.read(bytes, ahead, datagram.length);
  if (kind === PACKET.malformed) return { kind, dcid: "", scid: "" };
  if (kind === PACKET.short) return { kind, dcid: String(reader.dcidAt - ahead), scid: "" };
  const { dcidAt, dcidLength, scidAt, scidLength } = reader;
  for (const [at, length] of [
    [dcidAt, dcidLength],
    [scidAt, scidLength],
  ] as const) {
    if (at < ahead || at + length > ahead + datagram.length)
      expect(`${textOfDatagram(datagram)}: an id at ${at - ahead} of ${length}`).toBe("an id within the datagram");
  }
  const [dcid, scid] = [bytes.slice(dcidAt, dcidAt + dcidLength), bytes.slice(scidAt, scidAt + scidLength)];
  return { kind, dcid: dcid.toHex(), scid: scid.toHex() };
}

/** The same by RFC 8999 5.1 and RFC 9000 17, written for reading and not for speed. */
function expected(datagram: Uint8Array): Reading {
  const malformed = { kind: PACKET.malformed, dcid: "", scid: "" };
  const [first, ...rest] = datagram;
  if (first === undefined) return malformed;
  if (first < 0x80) return first < 0x40 ? malformed : { kind: PACKET.short, dcid: "1", scid: "" };
  const version = rest.slice(0, 4).reduce((value, byte) => value * 256 + byte, 0);
  const [dcidLength = 0, ...afterLength] = rest.slice(4);
  const [scidLength, ...afterIds] = afterLength.slice(dcidLength);
  if (scidLength === undefined || afterIds.length < scidLength || version === 0) return malformed;
  const hex = (bytes: number[]): string => Uint8Array.from(bytes).toHex();
  const ids = { dcid: hex(afterLength.slice(0, dcidLength)), scid: hex(afterIds.slice(0, scidLength)) };
  if (version !== 1) return { kind: PACKET.unknownVersion, ...ids };
  if (dcidLength > 20 || scidLength > 20 || (first & 0x40) === 0) return malformed;
  const kinds = [PACKET.initial, PACKET.zeroRtt, PACKET.otherLong, PACKET.otherLong];
  return { kind: kinds[(first >> 4) & 3] ?? PACKET.malformed, ...ids };
}

function check(datagram: Uint8Array): number {
  const wanted = expected(datagram);
  for (const [ahead, around] of [
    [0, 0],
    [0, 0xff],
    [2048, 0xc0],
    [1, 0x01],
  ] as const) {
    const seen = readAt(datagram, ahead, around);
    if (seen.kind === wanted.kind && seen.dcid === wanted.dcid && seen.scid === wanted.scid) continue;
    expect({ datagram: textOfDatagram(datagram), ...seen }).toEqual({ datagram: textOfDatagram(datagram), ...wanted });
  }
  return wanted.kind;
}

test("every kept seed, and every beginning of one, is read as the RFCs say; together they are of every kind", () => {
  const kinds = new Set<number>();
  for (const seed of SEEDS) {
    for (let length = 0; length < Math.min(seed.length, 300); length++) check(seed.subarray(0, length));
    kinds.add(check(seed));
  }
  expect([...kinds].sort()).toEqual(Object.values(PACKET).sort());
});

test(
  `${ROUNDS} datagrams, damaged or random, are read as the RFCs say, wherever they lie (seed ${FUZZ_SEED})`,
  () => {
    const random = Random.fromEntropy([FUZZ_SEED, 7]);
    const kinds = new Map<number, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const kind = check(anyDatagram(SEEDS, random));
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    for (const kind of Object.values(PACKET)) expect(kinds.get(kind) ?? 0).toBeGreaterThan(ROUNDS / 200);
  },
  FUZZ_HANGS_AFTER_MS,
);
