/**
 * Whether all packets in one datagram are for one connection. A client never mixes (RFC 9000 12.2), and quiche (0.30) does not look: whoever
 * has recorded a first flight could put its 0-RTT packets, which carry the destination id under their seal, behind an Initial with another
 * id, which anybody can write, and so choose the worker that gets the repetition.
 */

const LONG_HEADER = 0x80;
const VERSION_1 = 1;
const TYPE_SHIFT = 4;
const TYPE_MASK = 0x03;
const TYPE_INITIAL = 0;
const TYPE_RETRY = 3;
const DCID_LENGTH_AT = 5;
const VARINT_SHIFT = 6;
const VARINT_FIRST_MASK = 0x3f;

/**
 * False: a long header in `bytes[at, end)` has another destination id than the first. What cannot be read, and what follows it, counts for
 * nothing: no engine reads it either. Nor does a short header, for which there are no keys while early data is taken.
 */
export function isForOneConnection(bytes: Uint8Array, at: number, end: number): boolean {
  const first = at;
  let next = at;
  while (next >= 0 && next < end && ((bytes[next] ?? 0) & LONG_HEADER) !== 0) {
    if (next !== first && !haveSameId(bytes, first, next, end)) return false;
    next = endOfLong(bytes, next, end);
  }
  return true;
}

function haveSameId(bytes: Uint8Array, first: number, next: number, end: number): boolean {
  const length = bytes[first + DCID_LENGTH_AT] ?? 0;
  if (next + DCID_LENGTH_AT + length >= end) return true;
  for (let i = 0; i <= length; i++) {
    if (bytes[first + DCID_LENGTH_AT + i] !== bytes[next + DCID_LENGTH_AT + i]) return false;
  }
  return true;
}

/** Where the packet with this long header ends (RFC 9000 17.2); -1 where it does not say. */
function endOfLong(bytes: Uint8Array, at: number, end: number): number {
  const type = ((bytes[at] ?? 0) >> TYPE_SHIFT) & TYPE_MASK;
  if (bytes[at + 4] !== VERSION_1 || type === TYPE_RETRY) return -1;
  const scidLengthAt = at + DCID_LENGTH_AT + 1 + (bytes[at + DCID_LENGTH_AT] ?? 0);
  let place = scidLengthAt + 1 + (bytes[scidLengthAt] ?? 0);
  if (type === TYPE_INITIAL) {
    const tokenBytes = varintAt(bytes, place, end);
    if (tokenBytes < 0) return -1;
    place += varintBytes(bytes, place) + tokenBytes;
  }
  const rest = varintAt(bytes, place, end);
  return rest < 0 ? -1 : place + varintBytes(bytes, place) + rest;
}

function varintBytes(bytes: Uint8Array, at: number): number {
  return 1 << ((bytes[at] ?? 0) >> VARINT_SHIFT);
}

/** -1: it is not all there. */
function varintAt(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end || at + varintBytes(bytes, at) > end) return -1;
  let value = (bytes[at] ?? 0) & VARINT_FIRST_MASK;
  for (let i = 1; i < varintBytes(bytes, at); i++) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
