/**
 * Which worker gets a datagram. All workers' sockets are members of one SO_REUSEPORT group, and the kernel runs a classic BPF program
 * on each datagram that gives the member's index. Nothing depends on addresses, so a client may change its own at any time.
 *
 * The members are slots in two banks. One bank has the workers that take new connections; during an upgrade the other one has those
 * that finish theirs. A plan says all that there is to know; from it come the kernel's program (`steeringProgram`) and a function that
 * gives the same answer (`routeDatagram`), and a test holds them against each other.
 *
 * 1. A short header: the slot byte of its id says whose it is. Whether the id is one of ours does not matter, nobody else has use for it.
 * 2. A long header whose destination id has our length and a right check byte: as above.
 * 3. Any other long header carries an id that a client chose: one of the new connections' workers, by a hash of the id. So all datagrams
 *    of a split ClientHello, repeated ones and 0-RTT reach one worker.
 * 4. What is too short for any of these: the first of the new connections' workers.
 *
 * Whatever comes out leads to a worker that reads: slots without one are counted around the bank of new connections, and a slot whose
 * worker cannot be brought back has a stand-in.
 */
import { assert } from "../core/assert.ts";
import { Assembler, BPF, type Instruction } from "./cbpf.ts";
import { type IdMark, read32, readMark, readSlotByte, SLOT_MASK, SLOTS_MAX } from "./id-mark.ts";

/** Slots with workers: `first` and the ones after it. */
export interface SlotRange {
  readonly first: number;
  readonly count: number;
}

/** A slot whose worker is gone for good, and the one that gets its datagrams. */
export interface StandIn {
  readonly slot: number;
  readonly by: number;
}

/** How datagrams find their worker. */
export interface SteeringPlan {
  /** How our ids read. */
  readonly mark: IdMark;
  /**
   * Secret odd number of 32 bits that ids of clients are mixed with; must stay the same for as long as handshakes run. It stops those who
   * never asked from aiming all their connections at one worker; those who ask are stopped by each worker's own limits.
   */
  readonly multiplier: number;
  /** Workers that take new connections. */
  readonly active: SlotRange;
  /** Workers that finish what they have, during an upgrade. */
  readonly draining: SlotRange | null;
  readonly standIns: readonly StandIn[];
}

/** Workers of one bank at most. */
const BANK_SLOTS_MAX = SLOTS_MAX / 2;

const LONG_HEADER = 0x80;
/** Behind a short header's first byte. */
const SHORT_ID_AT = 1;
const LONG_ID_LENGTH_AT = 5;
const LONG_ID_AT = 6;
/** Clients' ids have at least 8 bytes (RFC 9000 7.2); so many are hashed, also of shorter ones, whose packets are good for nothing. */
const LONG_HASHED_END = LONG_ID_AT + 8;

/** The slots of bank 0 or 1 when every bank has `slotsPerBank` sockets and the first `workers` of them are read. */
export function slotsOfBank(bank: number, slotsPerBank: number, workers: number): SlotRange {
  assert(bank === 0 || bank === 1, "there are two banks");
  assert(slotsPerBank >= 1 && slotsPerBank <= BANK_SLOTS_MAX, "a bank has 1 to 32 slots");
  assert(workers >= 1 && workers <= slotsPerBank, "a bank in use has workers, and no more than slots");
  return { first: bank * slotsPerBank, count: workers };
}

/** The slot that a datagram belongs to. */
export function routeDatagram(plan: SteeringPlan, bytes: Uint8Array, at: number, length: number): number {
  return standInFor(plan, slotFor(plan, bytes, at, length));
}

function slotFor(plan: SteeringPlan, bytes: Uint8Array, at: number, length: number): number {
  const { mark, active } = plan;
  if (length < bytesMinOf(mark)) return active.first;
  if (((bytes[at] ?? 0) & LONG_HEADER) === 0) return readSlot(plan, readSlotByte(mark, bytes, at + SHORT_ID_AT));
  const mayBeOurs = bytes[at + LONG_ID_LENGTH_AT] === mark.idBytes && length >= LONG_ID_AT + mark.idBytes;
  const slotByte = mayBeOurs ? readMark(mark, bytes, at + LONG_ID_AT) : -1;
  return slotByte >= 0 ? readSlot(plan, slotByte) : hashedSlot(plan, bytes, at);
}

function readSlot({ active, draining }: SteeringPlan, slotByte: number): number {
  const slot = slotByte & SLOT_MASK;
  if (isIn(active, slot) || (draining !== null && isIn(draining, slot))) return slot;
  return active.first + (slot % active.count);
}

function hashedSlot({ active, multiplier }: SteeringPlan, bytes: Uint8Array, at: number): number {
  const first = Math.imul(read32(bytes, at + LONG_ID_AT), multiplier);
  const hash = Math.imul(first ^ read32(bytes, at + LONG_ID_AT + 4), multiplier);
  // The high bits depend on all others.
  return active.first + (((hash >>> 16) * active.count) >>> 16);
}

function standInFor({ standIns }: SteeringPlan, slot: number): number {
  for (const standIn of standIns) if (standIn.slot === slot) return standIn.by;
  return slot;
}

/** The kernel's program: some 30 instructions, fewer of them for each datagram, and no load beyond a datagram's end. */
export function steeringProgram(plan: SteeringPlan): Instruction[] {
  checkPlan(plan);
  const { mark, active, standIns } = plan;
  const code = new Assembler();
  code.add(BPF.LD_LEN).branch(BPF.JGE_K, bytesMinOf(mark), null, "short of all");
  code.add(BPF.LD_B_ABS, 0).branch(BPF.JSET_K, LONG_HEADER, "long", null);
  addSlotByte(code, mark, SHORT_ID_AT);
  code.jump("slot byte").place("long");
  addLong(code, mark);
  addSlot(code.place("slot byte"), plan);
  addHash(code.place("other id"), plan);
  code.jump("settle").place("short of all").add(BPF.LD_IMM, active.first);
  code.place("settle");
  for (const { slot, by } of standIns) {
    const next = `not ${slot}`;
    code.branch(BPF.JEQ_K, slot, null, next).add(BPF.LD_IMM, by).jump("done").place(next);
  }
  return code.place("done").add(BPF.RET_A).assemble();
}

/** A = the slot byte of the id at `at`, unchecked, perhaps with bits above it. */
function addSlotByte(code: Assembler, mark: IdMark, at: number): void {
  if (mark.veil === null) code.add(BPF.LD_B_ABS, at + mark.at);
  else addUnveiled(code, mark, at).add(BPF.RSH_K, 8);
}

/** A = slot byte and check byte of the id at `at`. */
function addUnveiled(code: Assembler, { veil, at: markAt }: IdMark, at: number): Assembler {
  assert(veil !== null, "only a veiled mark is unveiled");
  code
    .add(BPF.LD_W_ABS, at + veil.wordAt)
    .add(BPF.XOR_K, veil.xor)
    .add(BPF.MUL_K, veil.first);
  code.add(BPF.TAX).add(BPF.RSH_K, 16).add(BPF.XOR_X).add(BPF.MUL_K, veil.second).add(BPF.RSH_K, 16);
  return code
    .add(BPF.TAX)
    .add(BPF.LD_H_ABS, at + markAt)
    .add(BPF.XOR_X);
}

/** A = the slot byte of a long header's id of ours; any other jumps away. */
function addLong(code: Assembler, mark: IdMark): void {
  code.add(BPF.LD_B_ABS, LONG_ID_LENGTH_AT).branch(BPF.JEQ_K, mark.idBytes, null, "other id");
  code.add(BPF.LD_LEN).branch(BPF.JGE_K, LONG_ID_AT + mark.idBytes, null, "other id");
  if (mark.veil === null) {
    code.add(BPF.LD_B_ABS, LONG_ID_AT + mark.at).add(BPF.TAX);
    code.add(BPF.LD_B_ABS, LONG_ID_AT + mark.at + 1).add(BPF.XOR_X);
  } else {
    addUnveiled(code, mark, LONG_ID_AT).add(BPF.ST, 0).add(BPF.RSH_K, 8).add(BPF.TAX);
    code.add(BPF.LD_MEM, 0).add(BPF.XOR_X).add(BPF.AND_K, 0xff);
  }
  code.branch(BPF.JEQ_K, mark.checkByte, null, "other id").add(BPF.TXA);
}

/** From the slot byte to a slot with a worker. */
function addSlot(code: Assembler, { active, draining }: SteeringPlan): void {
  code.add(BPF.AND_K, SLOT_MASK);
  for (const { first, count } of draining === null ? [active] : [active, draining]) {
    const other = `not ${first} on`;
    code
      .branch(BPF.JGE_K, first, null, other)
      .branch(BPF.JGE_K, first + count, null, "settle")
      .place(other);
  }
  code.add(BPF.MOD_K, active.count).add(BPF.ADD_K, active.first).jump("settle");
}

function addHash(code: Assembler, { active, multiplier }: SteeringPlan): void {
  code.add(BPF.LD_W_ABS, LONG_ID_AT).add(BPF.MUL_K, multiplier).add(BPF.TAX);
  code
    .add(BPF.LD_W_ABS, LONG_ID_AT + 4)
    .add(BPF.XOR_X)
    .add(BPF.MUL_K, multiplier);
  code.add(BPF.RSH_K, 16).add(BPF.MUL_K, active.count).add(BPF.RSH_K, 16).add(BPF.ADD_K, active.first);
}

/** Fewer bytes are neither a short header with an id of ours nor a long one with eight bytes of an id. */
function bytesMinOf(mark: IdMark): number {
  return Math.max(SHORT_ID_AT + mark.idBytes, LONG_HASHED_END);
}

function checkPlan({ multiplier, active, draining, standIns }: SteeringPlan): void {
  assert((multiplier & 1) === 1, "the multiplier is odd, or low bits of ids would be lost");
  const ranges = draining === null ? [active] : [active, draining];
  for (const { first, count } of ranges) {
    assert(count >= 1 && count <= BANK_SLOTS_MAX, "a bank in use has 1 to 32 workers");
    assert(first >= 0 && first + count <= SLOTS_MAX, "slots have six bits");
  }
  if (draining !== null) {
    const apart = active.first + active.count <= draining.first || draining.first + draining.count <= active.first;
    assert(apart, "no slot is in both banks");
  }
  const gone = new Set(standIns.map(({ slot }) => slot));
  assert(gone.size === standIns.length, "a slot has one stand-in");
  for (const { by } of standIns) {
    assert(!gone.has(by) && ranges.some((range) => isIn(range, by)), "a stand-in is a worker that is there");
  }
}

function isIn({ first, count }: SlotRange, slot: number): boolean {
  return slot >= first && slot < first + count;
}
