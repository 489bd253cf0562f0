/** Socket addresses of both families between text and the bytes C wants. */
import { isIP } from "node:net";
import { assert } from "../src/core/assert.ts";
import { SOCKADDR_IN, SOCKADDR_IN6, SOCKET } from "./layout.ts";
import type { Arena } from "./memory.ts";

/** Room for one address of either family, rounded up to whole words. */
export const SOCKADDR_BYTES = 32;

/** An address as people write it. `ip` has no brackets. */
export interface SocketAddress {
  readonly ip: string;
  readonly port: number;
}

/** Writes an address at `at` and returns its length in bytes. The text must be an IP literal; a zone is refused before. */
export function writeSockaddr(arena: Arena, at: number, address: SocketAddress): number {
  const family = isIP(address.ip);
  // `isIP` takes a zone (`fe80::1%eth0`) for part of the literal.
  assert(
    family !== 0 && !address.ip.includes("%"),
    "an address is checked to be an IP literal before it becomes bytes",
  );
  arena.bytes.fill(0, at, at + SOCKADDR_BYTES);
  if (family === 4) {
    arena.view.setUint16(at + SOCKADDR_IN.sin_family, SOCKET.AF_INET, true);
    arena.view.setUint16(at + SOCKADDR_IN.sin_port, address.port, false);
    writeV4(arena.bytes, at + SOCKADDR_IN.sin_addr, address.ip);
    return SOCKADDR_IN.size;
  }
  arena.view.setUint16(at + SOCKADDR_IN6.sin6_family, SOCKET.AF_INET6, true);
  arena.view.setUint16(at + SOCKADDR_IN6.sin6_port, address.port, false);
  writeV6(arena.view, at + SOCKADDR_IN6.sin6_addr, address.ip);
  return SOCKADDR_IN6.size;
}

/** Reads an address. An IPv4-mapped one comes out as the IPv4 address it stands for. */
export function readSockaddr(arena: Arena, at: number): SocketAddress {
  const family = arena.view.getUint16(at, true);
  if (family === SOCKET.AF_INET) {
    return {
      ip: readV4(arena.bytes, at + SOCKADDR_IN.sin_addr),
      port: arena.view.getUint16(at + SOCKADDR_IN.sin_port, false),
    };
  }
  assert(family === SOCKET.AF_INET6, "a socket of ours speaks IPv4 or IPv6");
  const text = readV6(arena.view, at + SOCKADDR_IN6.sin6_addr);
  const port = arena.view.getUint16(at + SOCKADDR_IN6.sin6_port, false);
  return { ip: text, port };
}

/** Reads an address without its port as four words of 32 bits, the highest first, IPv4 as IPv4-mapped IPv6 (RFC 4291 2.5.5.2). */
export function readAddressWords(arena: Arena, at: number, words: Uint32Array): void {
  const { view } = arena;
  if (view.getUint16(at, true) === SOCKET.AF_INET) {
    words[0] = 0;
    words[1] = 0;
    words[2] = 0xffff;
    words[3] = view.getUint32(at + SOCKADDR_IN.sin_addr, false);
    return;
  }
  for (let i = 0; i < 4; i++) words[i] = view.getUint32(at + SOCKADDR_IN6.sin6_addr + 4 * i, false);
}

/** Reads the port of an address alone. */
export function readPort(arena: Arena, at: number): number {
  const isV4 = arena.view.getUint16(at, true) === SOCKET.AF_INET;
  return arena.view.getUint16(at + (isV4 ? SOCKADDR_IN.sin_port : SOCKADDR_IN6.sin6_port), false);
}

/** `ip:port`, with brackets around IPv6. */
export function formatAddress(address: SocketAddress): string {
  return address.ip.includes(":") ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}

/** Length in bytes of an address of a family. */
export function sockaddrLength(family: number): number {
  return family === SOCKET.AF_INET ? SOCKADDR_IN.size : SOCKADDR_IN6.size;
}

function writeV4(bytes: Uint8Array, at: number, ip: string): void {
  const parts = ip.split(".");
  for (let i = 0; i < 4; i++) bytes[at + i] = Number(parts[i]);
}

function readV4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

function writeV6(view: DataView, at: number, ip: string): void {
  const groups = expandV6(ip);
  for (const [i, group] of groups.entries()) view.setUint16(at + 2 * i, group, false);
}

/** The eight groups of an IPv6 literal, a dotted IPv4 tail included. */
function expandV6(ip: string): number[] {
  const [head = "", tail] = ip.split("::");
  const left = parseGroups(head);
  if (tail === undefined) return left;
  const right = parseGroups(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function parseGroups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((part) => {
    if (!part.includes(".")) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** RFC 5952 form: lower case, the longest run of zero groups (two or more) as `::`. */
function readV6(view: DataView, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(at + 2 * i, false));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return Array.from({ length: 4 }, (_, i) => view.getUint8(at + 12 + i)).join(".");
  }
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(":");
  return `${hex.slice(0, run.start).join(":")}::${hex.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
