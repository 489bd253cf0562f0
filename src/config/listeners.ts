/** Listeners as places in the network: which are the same in two configurations, and which would take each other's datagrams. Pure. */
import { ipWords } from "./cidr.ts";
import { isIpv4 } from "./ip.ts";
import type { ListenSettings } from "./snapshot.ts";

/** All that listeners show and trust: certificates, keys, and the authorities of clients; each file once. */
export function listenerFiles(listeners: readonly ListenSettings[]): readonly string[] {
  const all = listeners.flatMap(({ certificates, clientAuth: { caFile } }) => [
    ...certificates.flatMap(({ certFile, keyFile }) => [certFile, keyFile]),
    ...(caFile === null ? [] : [caFile]),
  ]);
  return [...new Set(all)];
}

/** Where a listener is. */
export interface ListenPlace {
  /** An IP literal without brackets. */
  readonly address: string;
  /** UDP; 0 lets the kernel choose. */
  readonly port: number;
}

/** As people write it. */
export function addressText({ address, port }: ListenPlace): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The names of a configuration's listeners: the same in another configuration is the same socket. Those whose port the kernel chooses are told apart by their order. */
export function listenerNames(listeners: readonly ListenPlace[]): readonly string[] {
  const seen = new Map<string, number>();
  return listeners.map((place) => {
    const text = addressText(place);
    const count = (seen.get(text) ?? 0) + 1;
    seen.set(text, count);
    return count === 1 ? text : `${text}#${count}`;
  });
}

/** Is there an address and a port that both are for? `::` is for IPv4 as well. A port that the kernel chooses is nobody else's. */
export function overlap(one: ListenPlace, other: ListenPlace): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  const [a, b] = [ipWords(one.address), ipWords(other.address)];
  if (a === null || b === null) return false;
  if (a.every((word, i) => word === b[i])) return true;
  if (isAll(a) || isAll(b)) return true;
  const isIpv4Wildcard = one.address === IPV4_ALL || other.address === IPV4_ALL;
  return isIpv4Wildcard && isIpv4(one.address) && isIpv4(other.address);
}

const IPV4_ALL = "0.0.0.0";

/** `::`, however it is written. */
function isAll(words: readonly number[]): boolean {
  return words.every((word) => word === 0);
}
