/** How many connections each client address has. An entry lives as long as a connection of its address, so their number bounds it. */
import { assert } from "../core/assert.ts";

/** What an address is counted under: the number of an IPv4 address, the text of an IPv6 network. */
export type AddressKey = number | string;

/** What `config/cidr.ts` makes of an address, and the sockets of theirs: four words of 32 bits, IPv4 as IPv4-mapped IPv6. */
type AddressWords = ArrayLike<number>;

/** Third word of an IPv4-mapped address (RFC 4291 2.5.5.2); the first two are 0. */
const IPV4_MAPPED = 0xffff;

/**
 * The key of an address. Of IPv6 the first 64 bits count: that is what one customer gets at least (RFC 6177), and whoever has them has
 * all the addresses in them.
 */
export function addressKeyOf(words: AddressWords): AddressKey {
  const first = words[0] ?? 0;
  const second = words[1] ?? 0;
  if (first === 0 && second === 0 && words[2] === IPV4_MAPPED) return words[3] ?? 0;
  return `${first}:${second}`;
}

/** Counts by address. */
export class AddressTable {
  readonly #counts = new Map<AddressKey, number>();

  /** Addresses with at least one connection. */
  get size(): number {
    return this.#counts.size;
  }

  countOf(key: AddressKey): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: AddressKey): void {
    this.#counts.set(key, this.countOf(key) + 1);
  }

  remove(key: AddressKey): void {
    const count = this.countOf(key);
    assert(count > 0, "an address is counted down as often as it was counted up");
    if (count === 1) this.#counts.delete(key);
    else this.#counts.set(key, count - 1);
  }
}
