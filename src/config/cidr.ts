/** Networks as `address/length` (RFC 4632, RFC 4291 2.3), and whether an address lies in one. */
import { isIpv4, isIpv6 } from "./ip.ts";
import { bad, good } from "./parsed.ts";
import type { Parsed } from "./parsed.ts";
import { quoted } from "./problem.ts";

/** A network. IPv4 ones are kept as IPv4-mapped IPv6 (RFC 4291 2.5.5.2), so that a dual-stack socket's clients are found. */
export interface Cidr {
  /** Four words of 32 bits, the highest first; bits beyond the length are 0. */
  readonly words: readonly [number, number, number, number];
  /** 0 to 128. */
  readonly lengthBits: number;
}

/** What is expected of a network. */
export const CIDR_EXPECTED = 'an address or a network, such as "10.0.0.7", "10.0.0.0/8" or "2001:db8::/32"';

const IPV4_BITS_AHEAD = 96;

/** An address is a network of one. Bits beyond the length must be 0: `10.1.2.3/8` is more likely a mistake than meant. */
export function parseCidr(text: string): Parsed<Cidr> {
  const [address = "", length, ...more] = text.split("/");
  const words = ipWords(address);
  if (words === null || more.length > 0) return bad(`${quoted(text)} is no address and no network`, CIDR_EXPECTED);
  const ahead = isIpv4(address) ? IPV4_BITS_AHEAD : 0;
  const bitsMax = 128 - ahead;
  if (length !== undefined && (!/^[0-9]{1,3}$/.test(length) || Number(length) > bitsMax))
    return bad(`${quoted(text)} has the length ${quoted(length)}`, `a length from 0 to ${bitsMax}`);
  const lengthBits = ahead + (length === undefined ? bitsMax : Number(length));
  const masked = words.map((word, i) => (word & maskOf(lengthBits, i)) >>> 0);
  if (masked.some((word, i) => word !== words[i]))
    return bad(`${quoted(text)} has bits beyond its length`, "the network's first address");
  return good({ words, lengthBits });
}

/** The 128 bits of an IP literal, IPv4 as IPv4-mapped; null when it is none. */
export function ipWords(text: string): Cidr["words"] | null {
  if (isIpv4(text)) return [0, 0, 0xffff, ipv4Word(text)];
  if (!isIpv6(text)) return null;
  const [head = "", tail] = text.split("::");
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const groups = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
  const word = (i: number): number => (((groups[2 * i] ?? 0) << 16) | (groups[2 * i + 1] ?? 0)) >>> 0;
  return [word(0), word(1), word(2), word(3)];
}

/** Whether an address lies in one of the networks. Text that is no address lies in none. */
export function liesIn(networks: readonly Cidr[], address: string): boolean {
  if (networks.length === 0) return false;
  const words = ipWords(address);
  if (words === null) return false;
  return networks.some((network) =>
    network.words.every((word, i) => ((words[i] ?? 0) & maskOf(network.lengthBits, i)) >>> 0 === word),
  );
}

/** The mask of word `i` of an address. */
function maskOf(lengthBits: number, i: number): number {
  const bits = Math.min(32, Math.max(0, lengthBits - 32 * i));
  return bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0;
}

function groupsOf(text: string): readonly number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const word = ipv4Word(group);
    return [word >>> 16, word & 0xffff];
  });
}

function ipv4Word(text: string): number {
  return text.split(".").reduce((word, part) => ((word << 8) | Number(part)) >>> 0, 0);
}
