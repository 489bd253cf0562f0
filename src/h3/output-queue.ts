/**
 * What a stream could not send yet, in order. A backend may send its body a byte at a time, and each piece kept by itself costs some hundred
 * times its size: small ones are joined, so that what waits costs what it holds, and goes to the client in fewer, larger frames.
 */
import { LIMITS } from "../core/limits.ts";
import type { SectionKind } from "../quic/engine.ts";

/** One entry: a section, or body bytes. */
export interface Waiting {
  readonly kind: SectionKind | "body";
  /** The bytes that are left of it. */
  readonly bytes: Uint8Array;
  /** The stream ends with it. */
  readonly fin: boolean;
}

/** An entry as the queue keeps it: bytes `at` to `end` of `store`. What lies behind is room where the entry may grow. */
class Entry implements Waiting {
  readonly kind: SectionKind | "body";
  readonly mayGrow: boolean;
  store: Uint8Array;
  at = 0;
  end: number;
  fin: boolean;

  constructor(kind: SectionKind | "body", store: Uint8Array, end: number, fin: boolean, mayGrow: boolean) {
    this.kind = kind;
    this.store = store;
    this.end = end;
    this.fin = fin;
    this.mayGrow = mayGrow;
  }

  get bytes(): Uint8Array {
    return this.at === 0 && this.end === this.store.length ? this.store : this.store.subarray(this.at, this.end);
  }
}

/** Of a queue in which nothing waits, as in most of them at all times: never written to. */
const NO_ENTRIES: Entry[] = [];

const { joinedPieceBytesMax, joinedStoreBytesMin, joinedStoreBytesMax } = LIMITS;

/** The queue of one stream. */
export class OutputQueue {
  #entries = NO_ENTRIES;
  #first = 0;
  /** Bytes that wait. */
  waitingBytes = 0;

  get isEmpty(): boolean {
    return this.#entries.length === this.#first;
  }

  /** Entries that wait. */
  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** What is to be sent next. */
  get next(): Waiting | null {
    return this.#entries[this.#first] ?? null;
  }

  /** `bytes` belong to the queue from here on. */
  push(bytes: Uint8Array, kind: SectionKind | "body", fin: boolean): void {
    this.waitingBytes += bytes.length;
    const last = this.isEmpty ? undefined : this.#entries.at(-1);
    const isSmall = kind === "body" && bytes.length <= joinedPieceBytesMax;
    const hasRoom = last?.mayGrow === true && last.end + bytes.length <= last.store.length;
    if (!isSmall || (bytes.length === 0 && !hasRoom)) {
      this.#add(new Entry(kind, bytes, bytes.length, fin, false));
      return;
    }
    const entry = hasRoom ? last : this.#open(last);
    entry.store.set(bytes, entry.end);
    entry.end += bytes.length;
    entry.fin = fin;
  }

  /** The first `count` bytes of the next entry were taken; with its last byte it leaves. */
  take(count: number): void {
    const entry = this.#entries[this.#first];
    if (entry === undefined) return;
    entry.at += count;
    this.waitingBytes -= count;
    if (entry.at < entry.end) return;
    this.#first += 1;
    if (this.isEmpty) this.clear();
  }

  clear(): void {
    this.#entries = NO_ENTRIES;
    this.#first = 0;
    this.waitingBytes = 0;
  }

  /** An entry with room for small pieces: little for the first, more when it was filled. */
  #open(last: Entry | undefined): Entry {
    const size = last?.mayGrow === true ? Math.min(2 * last.store.length, joinedStoreBytesMax) : joinedStoreBytesMin;
    const entry = new Entry("body", new Uint8Array(new ArrayBuffer(size)), 0, false, true);
    this.#add(entry);
    return entry;
  }

  #add(entry: Entry): void {
    if (this.#entries === NO_ENTRIES) this.#entries = [];
    this.#entries.push(entry);
  }
}
