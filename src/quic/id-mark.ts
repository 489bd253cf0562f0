/**
 * The part of a connection id of ours that a router reads: which worker's it is, and that it is one of ours at all. Two bytes side
 * by side, wherever an id layout has them:
 *
 * ```text
 * slot byte     worker slot (low 6 bits), rotation (high 2 bits)
 * check byte    slot byte XOR a secret byte
 * ```
 *
 * Where the layout promises that nobody outside can tell one worker's ids from another's (QUIC-LB), a veil lies over both: they are
 * XORed with 16 bits mixed from a word of the id that is different in every id.
 */

/** Slots are numbers below this: two banks of at most 32 workers. */
export const SLOTS_MAX = 64;
/** The bits of the slot byte that are the slot. */
export const SLOT_MASK = SLOTS_MAX - 1;
const ROTATION_SHIFT = 6;
/** Rotations are numbers below this. */
export const ROTATIONS = 4;

/** Keys of the mix that hides a mark. It must be computable by classic BPF, so it is a mix and no cipher: it keeps lookers-on out. */
export interface Veil {
  /** Offset in the id of four bytes that differ from id to id. */
  readonly wordAt: number;
  /** 32 bits. */
  readonly xor: number;
  /** 32 bits, odd. */
  readonly first: number;
  /** 32 bits, odd. */
  readonly second: number;
}

/** Where in an id its mark is, and how it reads. */
export interface IdMark {
  /** Length of every id with this mark. */
  readonly idBytes: number;
  /** Offset in the id of the slot byte; the check byte follows it. */
  readonly at: number;
  /** The secret byte, 0 to 255. */
  readonly checkByte: number;
  /** null: the mark stands in clear. */
  readonly veil: Veil | null;
}

/** The slot byte. */
export function slotByteOf(slot: number, rotation: number): number {
  return (rotation << ROTATION_SHIFT) | slot;
}

/** The rotation in a slot byte. */
export function rotationOf(slotByte: number): number {
  return slotByte >>> ROTATION_SHIFT;
}

/** Writes the mark into an id whose other bytes, those under the veil's word among them, are there already. */
export function writeMark(mark: IdMark, id: Uint8Array, slotByte: number): void {
  const veil = mark.veil === null ? 0 : veilBits(mark.veil, id, 0);
  id[mark.at] = slotByte ^ (veil >>> 8);
  id[mark.at + 1] = slotByte ^ mark.checkByte ^ (veil & 0xff);
}

/** The slot byte of the id at `at`, -1 when the check byte says that it is none of ours; one of 256 others passes. */
export function readMark(mark: IdMark, bytes: Uint8Array, at: number): number {
  const both = read16(bytes, at + mark.at) ^ (mark.veil === null ? 0 : veilBits(mark.veil, bytes, at));
  const slotByte = both >>> 8;
  return ((both ^ slotByte) & 0xff) === mark.checkByte ? slotByte : -1;
}

/** The slot byte as it reads without a look at the check byte. */
export function readSlotByte(mark: IdMark, bytes: Uint8Array, at: number): number {
  return ((bytes[at + mark.at] ?? 0) ^ (mark.veil === null ? 0 : veilBits(mark.veil, bytes, at) >>> 8)) & 0xff;
}

/** The 16 bits that lie over the mark of the id at `at`. */
function veilBits(veil: Veil, bytes: Uint8Array, at: number): number {
  let mix = Math.imul(read32(bytes, at + veil.wordAt) ^ veil.xor, veil.first);
  mix = Math.imul(mix ^ (mix >>> 16), veil.second);
  return mix >>> 16;
}

/** Big endian, as a signed word. */
export function read32(bytes: Uint8Array, at: number): number {
  return (read16(bytes, at) << 16) | read16(bytes, at + 2);
}

function read16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
