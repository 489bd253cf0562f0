/** From connection ids to their owners. Ours by index; the ones clients choose for their first packets by value. Bounded. */
import { assert } from "../core/assert.ts";
import type { IdScheme } from "./cid.ts";

interface Entry<T> {
  readonly id: Uint8Array;
  readonly owner: T;
}

/** The ids of one worker. */
export class IdTable<T> {
  readonly #scheme: IdScheme;
  readonly #idBytes: number;
  readonly #entriesMax: number;
  readonly #entries: (Entry<T> | null)[] = [];
  readonly #free: number[] = [];
  readonly #clientIds = new Map<string, T>();

  constructor(scheme: IdScheme, entriesMax: number) {
    this.#scheme = scheme;
    this.#idBytes = scheme.mark.idBytes;
    this.#entriesMax = entriesMax;
  }

  /** Ids of ours that are mapped now. */
  get size(): number {
    return this.#entries.length - this.#free.length;
  }

  /** Client-chosen ids that are mapped now. */
  get clientIdCount(): number {
    return this.#clientIds.size;
  }

  /** Makes an id for `owner` and maps it; null when the table is full. */
  issue(owner: T): Uint8Array | null {
    let issued: Uint8Array | null = null;
    this.issueFor((id) => {
      issued = id;
      return owner;
    });
    return issued;
  }

  /** Makes an id, hands it to `make` and maps it to what that gives; null when the table is full or `make` gives null. */
  issueFor(make: (id: Uint8Array) => T | null): T | null {
    const index = this.#free.pop() ?? this.#entries.length;
    if (index >= this.#entriesMax) return null;
    const id = this.#scheme.mint(index);
    const owner = make(id);
    if (owner !== null) this.#entries[index] = { id, owner };
    else if (index < this.#entries.length) this.#free.push(index);
    return owner;
  }

  /** The owner of the id of ours at `at`, of which `available` bytes are there; null when it is none of ours. */
  find(bytes: Uint8Array, at: number, available: number): T | null {
    if (available < this.#idBytes) return null;
    const index = this.#scheme.indexOf(bytes, at);
    if (index < 0) return null;
    const entry = this.#entries[index] ?? null;
    return entry !== null && sameId(entry.id, bytes, at) ? entry.owner : null;
  }

  /** Unmaps an id of ours. */
  release(id: Uint8Array): void {
    const index = this.#scheme.indexOf(id, 0);
    const entry = index < 0 ? null : this.#entries[index];
    assert(entry !== null && entry !== undefined && sameId(entry.id, id, 0), "an id is released once, by its owner");
    this.#entries[index] = null;
    this.#free.push(index);
  }

  /** Maps the id a client chose for its first packets. Returns the key for `releaseClientId`. */
  mapClientId(bytes: Uint8Array, at: number, length: number, owner: T): string {
    const key = keyOf(bytes, at, length);
    this.#clientIds.set(key, owner);
    return key;
  }

  /** The owner of a client-chosen id. */
  findClientId(bytes: Uint8Array, at: number, length: number): T | null {
    return this.#clientIds.get(keyOf(bytes, at, length)) ?? null;
  }

  releaseClientId(key: string): void {
    this.#clientIds.delete(key);
  }
}

function sameId(id: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < id.length; i++) if (id[i] !== bytes[at + i]) return false;
  return true;
}

/** One character per byte; only for packets of handshakes, so the string is affordable. */
function keyOf(bytes: Uint8Array, at: number, length: number): string {
  let key = "";
  for (let i = at; i < at + length; i++) key += String.fromCharCode(bytes[i] ?? 0);
  return key;
}
