/** Plans and datagrams for tests of steering, all from a seed. */
import { Random } from "../../src/core/random.ts";
import { type IdMark, slotByteOf, type Veil, writeMark } from "../../src/quic/id-mark.ts";
import { type SlotRange, slotsOfBank, type SteeringPlan } from "../../src/quic/steer.ts";

/** `length` random bytes. */
export function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.nextBelow(256));
}

/** An odd number of 32 bits. */
export function randomOdd(random: Random): number {
  return (random.nextUint32() | 1) >>> 0;
}

/** How ids of ours read: in clear as `quic/cid.ts` has them, or veiled at the end of longer ones. */
export function randomMark(random: Random, veiled: boolean): IdMark {
  const checkByte = random.nextBelow(256);
  if (!veiled) return { idBytes: 18, at: 0, checkByte, veil: null };
  const veil: Veil = {
    wordAt: 1,
    xor: random.nextUint32(),
    first: randomOdd(random),
    second: randomOdd(random),
  };
  const idBytes = 12 + random.nextBelow(9);
  return { idBytes, at: idBytes - 6, checkByte, veil };
}

/** Any plan that may happen. */
export function randomPlan(random: Random): SteeringPlan {
  const slotsPerBank = random.nextBelow(3) === 0 ? 32 : 1 + random.nextBelow(32);
  const bank = random.nextBelow(2);
  const range = (which: number): SlotRange =>
    slotsOfBank(which, slotsPerBank, random.nextBelow(2) === 0 ? slotsPerBank : 1 + random.nextBelow(slotsPerBank));
  const active = range(bank);
  const draining = random.nextBelow(2) === 0 ? null : range(1 - bank);
  const gone = new Set(
    Array.from({ length: random.nextBelow(3) }, () => active.first + random.nextBelow(active.count)),
  );
  const alive = Array.from({ length: active.count }, (_, i) => active.first + i).filter((slot) => !gone.has(slot));
  const standIns = [...gone].flatMap((slot) => alive.slice(0, 1).map((by) => ({ slot, by })));
  return {
    mark: randomMark(random, random.nextBelow(2) === 0),
    multiplier: randomOdd(random),
    active,
    draining,
    standIns,
  };
}

/** An id of ours for a slot, of 0 to 63. */
export function idFor(random: Random, mark: IdMark, slot: number): Uint8Array {
  const id = randomBytes(random, mark.idBytes);
  writeMark(mark, id, slotByteOf(slot, random.nextBelow(4)));
  return id;
}

/** A datagram with a long header to `dcid`, as long as wanted. */
export function longDatagram(random: Random, dcid: Uint8Array, length: number): Uint8Array {
  const head = [0xc0 | random.nextBelow(64), 0, 0, 0, random.nextBelow(3), dcid.length, ...dcid];
  const datagram = randomBytes(random, Math.max(length, head.length));
  datagram.set(head);
  return datagram.subarray(0, length);
}

/** A datagram with a short header to `dcid`, as long as wanted. */
export function shortDatagram(random: Random, dcid: Uint8Array, length: number): Uint8Array {
  const datagram = randomBytes(random, Math.max(length, 1 + dcid.length));
  datagram.set([0x40 | random.nextBelow(64), ...dcid]);
  return datagram.subarray(0, length);
}

/** Anything that may come: well formed, to us or not, of odd lengths, cut off anywhere, with a byte changed, or noise. */
export function anyDatagram(random: Random, mark: IdMark): Uint8Array {
  const ours = random.nextBelow(2) === 0;
  const odd =
    random.nextBelow(4) === 0 ? random.nextBelow(256) : [8, mark.idBytes, mark.idBytes, 20][random.nextBelow(4)];
  const id = ours ? idFor(random, mark, random.nextBelow(64)) : randomBytes(random, odd ?? 0);
  const length = random.nextBelow(3) === 0 ? random.nextBelow(60) : 60 + random.nextBelow(100);
  const datagram = [longDatagram, longDatagram, shortDatagram][random.nextBelow(3)]?.(random, id, length) ?? id;
  if (random.nextBelow(10) === 0) return randomBytes(random, random.nextBelow(60));
  if (random.nextBelow(4) === 0 && length > 0) datagram[random.nextBelow(Math.min(length, 32))] = random.nextBelow(256);
  return datagram;
}

/** A datagram whose last four bytes are `serial`; three of four are to ids of ours, of eight slots, the others to a client's. */
export function numberedDatagram(random: Random, mark: IdMark, serial: number): Uint8Array {
  const id = serial % 4 === 0 ? randomBytes(random, 8) : idFor(random, mark, random.nextBelow(8));
  const datagram = longDatagram(random, id, 60);
  new DataView(datagram.buffer, datagram.byteOffset).setUint32(56, serial);
  return datagram;
}
