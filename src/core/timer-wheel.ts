/**
 * Many deadlines, one wake-up: a hierarchical wheel (Varghese and Lauck) of four levels with 64 slots each. Setting, moving and
 * cancelling cost the same for ten entries and for a hundred thousand. Pure: time comes in, nothing is scheduled here.
 */
import { assert } from "./assert.ts";

/**
 * Width of the finest slots. Deadlines are compared exactly and not by slot, so it decides how many entries are looked at
 * together and not how precise they are.
 */
export const WHEEL_RESOLUTION_MS = 1;

const SLOT_BITS = 6;
const SLOTS = 1 << SLOT_BITS;
/** Ticks that one slot of each level covers. The wheel spans 64^4 ticks, 4.6 hours; what is later goes round again. */
const SLOT_TICKS: readonly number[] = [1, SLOTS, SLOTS ** 2, SLOTS ** 3];
const TOP_LEVEL = SLOT_TICKS.length - 1;
/** Marks of entries that are in no slot: not set, and about to be called back. */
const NOT_SET = -1;
const TAKEN = -2;

/** A deadline, as the base of whatever has one: the links lie in the object itself. All fields are the wheel's. */
export class TimerEntry {
  /** When it is due; `Infinity` while it is not set. */
  deadlineMs = Infinity;
  wheelSlot = NOT_SET;
  wheelNext: this | null = null;
  wheelPrevious: this | null = null;
}

/** The deadlines of entries of one kind. An entry belongs to one wheel at a time. Times are monotonic milliseconds. */
export class TimerWheel<T extends TimerEntry> {
  /** First entry of each slot; level `l` has slots `64 l .. 64 l + 63`. */
  readonly #slots = new Array<T | null>(SLOT_TICKS.length * SLOTS).fill(null);
  readonly #occupied: readonly SlotSet[] = SLOT_TICKS.map(() => new SlotSet());
  /** Every slot that began before this tick is empty, and so are those of the coarser levels that hold it. */
  #tick: number;
  #size = 0;
  /** Nothing is due before this. */
  #boundMs = Infinity;

  constructor(nowMs: number) {
    this.#tick = tickOf(nowMs);
  }

  /** Entries that are set. */
  get size(): number {
    return this.#size;
  }

  /** A time before which nothing is due, never later than the first deadline; `Infinity` when nothing is set. */
  nextDeadlineMs(): number {
    return this.#boundMs;
  }

  /**
   * Sets or moves a deadline; `Infinity` cancels. A move to a later time, the common case, is one store: the entry stays where
   * it is and is put right when its old slot comes up.
   */
  set(entry: T, deadlineMs: number): void {
    assert(!Number.isNaN(deadlineMs), "a deadline is a time");
    if (deadlineMs === Infinity) {
      this.cancel(entry);
      return;
    }
    const staysInPlace = entry.wheelSlot >= 0 && deadlineMs >= entry.deadlineMs;
    if (!staysInPlace && entry.wheelSlot >= 0) this.#unlink(entry);
    entry.deadlineMs = deadlineMs;
    if (!staysInPlace) this.#link(entry);
    if (deadlineMs < this.#boundMs) this.#boundMs = deadlineMs;
  }

  /** Takes an entry out; nothing happens when it is not set. */
  cancel(entry: T): void {
    if (entry.wheelSlot >= 0) this.#unlink(entry);
    entry.wheelSlot = NOT_SET;
    entry.deadlineMs = Infinity;
    if (this.#size === 0) this.#boundMs = Infinity;
  }

  /**
   * Calls back for each entry whose deadline is at or before `nowMs`, in no particular order; it is then no longer set. The
   * callback may set and cancel any entry: one cancelled before its turn is not called, and one set to a time that has
   * passed waits for the next `expire`. When a callback throws, those not yet called stay set. Afterwards `nextDeadlineMs`
   * is later than `nowMs`, but for entries that callbacks set.
   */
  expire(nowMs: number, onExpired: (entry: T) => void): void {
    if (nowMs < this.#boundMs) return;
    const due = this.#takeDue(nowMs);
    let called = 0;
    try {
      while (called < due.length) {
        const entry = due[called++];
        // Another mark than the one it was taken with: an earlier callback cancelled it or set it anew.
        if (entry === undefined || entry.wheelSlot !== TAKEN) continue;
        this.cancel(entry);
        onExpired(entry);
      }
    } finally {
      for (; called < due.length; called++) {
        const entry = due[called];
        if (entry?.wheelSlot === TAKEN) this.set(entry, entry.deadlineMs);
      }
    }
  }

  /** Empties all slots that have begun; what is not due yet goes to finer or later ones. */
  #takeDue(nowMs: number): T[] {
    const due: T[] = [];
    const nowTick = tickOf(nowMs);
    for (let startTick = this.#nextStartOfAll(); startTick <= nowTick; startTick = this.#nextStartOfAll()) {
      this.#tick = startTick;
      for (let level = TOP_LEVEL; level >= 0; level--) {
        if (startTick % (SLOT_TICKS[level] ?? 1) === 0) this.#empty(level, nowMs, due);
      }
      // What is due later within this very tick was put back where it was.
      if (startTick === nowTick) break;
    }
    this.#tick = Math.max(this.#tick, nowTick);
    this.#boundMs = this.#lowerBoundMs();
    return due;
  }

  #nextStartOfAll(): number {
    let startTick = Infinity;
    for (let level = 0; level <= TOP_LEVEL; level++) startTick = Math.min(startTick, this.#nextStart(level));
    return startTick;
  }

  /**
   * The tick at which the next occupied slot of a level begins; `Infinity` when the level is empty. A coarse slot that holds the
   * present tick was emptied when it began, so an entry in it is one round of its level ahead.
   */
  #nextStart(level: number): number {
    const ticks = SLOT_TICKS[level] ?? 1;
    const first = Math.floor(this.#tick / ticks) + (level === 0 ? 0 : 1);
    const distance = this.#occupied[level]?.distanceFrom(first & (SLOTS - 1)) ?? -1;
    return distance < 0 ? Infinity : (first + distance) * ticks;
  }

  #empty(level: number, nowMs: number, due: T[]): void {
    const slot = level * SLOTS + (Math.floor(this.#tick / (SLOT_TICKS[level] ?? 1)) & (SLOTS - 1));
    let entry = this.#slots[slot] ?? null;
    this.#slots[slot] = null;
    this.#occupied[level]?.delete(slot & (SLOTS - 1));
    while (entry !== null) {
      const next: T | null = entry.wheelNext;
      this.#size -= 1;
      entry.wheelNext = null;
      entry.wheelPrevious = null;
      if (entry.deadlineMs <= nowMs) {
        entry.wheelSlot = TAKEN;
        due.push(entry);
      } else {
        this.#link(entry);
      }
      entry = next;
    }
  }

  /** The first fine slot is looked at entry by entry, the coarse ones count from their beginning. */
  #lowerBoundMs(): number {
    const fineTick = this.#nextStart(0);
    // Entries that were moved to later times still lie here; all other fine slots begin with the next tick or after.
    let boundMs = (fineTick + 1) * WHEEL_RESOLUTION_MS;
    if (fineTick !== Infinity) {
      let entry = this.#slots[fineTick & (SLOTS - 1)] ?? null;
      for (; entry !== null; entry = entry.wheelNext) boundMs = Math.min(boundMs, entry.deadlineMs);
    }
    for (let level = 1; level <= TOP_LEVEL; level++) {
      boundMs = Math.min(boundMs, this.#nextStart(level) * WHEEL_RESOLUTION_MS);
    }
    return boundMs;
  }

  #link(entry: T): void {
    const reach = Math.max(tickOf(entry.deadlineMs) - this.#tick, 0);
    let level = 0;
    while (reach >= (SLOT_TICKS[level + 1] ?? Infinity)) level += 1;
    const within = Math.floor((this.#tick + reach) / (SLOT_TICKS[level] ?? 1)) & (SLOTS - 1);
    const slot = level * SLOTS + within;
    const head = this.#slots[slot] ?? null;
    entry.wheelSlot = slot;
    entry.wheelPrevious = null;
    entry.wheelNext = head;
    if (head !== null) head.wheelPrevious = entry;
    this.#slots[slot] = entry;
    this.#occupied[level]?.add(within);
    this.#size += 1;
  }

  #unlink(entry: T): void {
    const { wheelSlot: slot, wheelNext: next, wheelPrevious: previous } = entry;
    if (next !== null) next.wheelPrevious = previous;
    if (previous !== null) previous.wheelNext = next;
    else this.#slots[slot] = next;
    if (next === null && previous === null) this.#occupied[slot >> SLOT_BITS]?.delete(slot & (SLOTS - 1));
    entry.wheelNext = null;
    entry.wheelPrevious = null;
    entry.wheelSlot = NOT_SET;
    this.#size -= 1;
  }
}

function tickOf(timeMs: number): number {
  return Math.floor(timeMs / WHEEL_RESOLUTION_MS);
}

/** Which of 64 slots hold something. */
class SlotSet {
  #low = 0;
  #high = 0;

  add(slot: number): void {
    if (slot < 32) this.#low |= 1 << slot;
    else this.#high |= 1 << (slot - 32);
  }

  delete(slot: number): void {
    if (slot < 32) this.#low &= ~(1 << slot);
    else this.#high &= ~(1 << (slot - 32));
  }

  /** Steps from `slot` to the next member, going round; 0 when it is one itself, -1 when there is none. */
  distanceFrom(slot: number): number {
    const near = slot < 32 ? this.#low : this.#high;
    const far = slot < 32 ? this.#high : this.#low;
    const shift = slot & 31;
    const ahead = near >>> shift;
    if (ahead !== 0) return trailingZeros(ahead);
    if (far !== 0) return 32 - shift + trailingZeros(far);
    const behind = near & ((1 << shift) - 1);
    return behind === 0 ? -1 : 64 - shift + trailingZeros(behind);
  }
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}
