/**
 * The first look at a datagram: version-independent fields only (RFC 8999), without decryption and without allocation. The reader
 * is one object that is filled anew for each datagram.
 */

/** A server's first Initial must fill this (RFC 9000 14.1); so must what is answered with Version Negotiation. */
export const INITIAL_BYTES_MIN = 1200;
/** A client's first destination id has at least 8 bytes (RFC 9000 7.2). */
export const CLIENT_ID_BYTES_MIN = 8;

/** What a datagram begins with. */
export const PACKET = {
  /** Not a QUIC packet that we could read. */
  malformed: 0,
  /** A short header: only a connection knows more. */
  short: 1,
  /** A long header of version 1, type Initial. */
  initial: 2,
  /** A long header of version 1, type 0-RTT. */
  zeroRtt: 3,
  /** A long header of version 1, Handshake or Retry. */
  otherLong: 4,
  /** A long header of a version that we do not speak. */
  unknownVersion: 5,
} as const;

/** One of `PACKET`. */
export type PacketKind = (typeof PACKET)[keyof typeof PACKET];

/** QUIC version 1 (RFC 9000). */
const VERSION_1 = 1;
/** Version Negotiation packets carry this; servers never get them. */
const VERSION_NEGOTIATION = 0;
const LONG_HEADER = 0x80;
const FIXED_BIT = 0x40;
const TYPE_SHIFT = 4;
const TYPE_MASK = 0x03;
const TYPE_INITIAL = 0;
const TYPE_ZERO_RTT = 1;
/** First byte, version and the length of the destination id. */
const LONG_HEADER_BYTES_MIN = 6;
/** A varint's first two bits say how many bytes it has (RFC 9000 16). */
const VARINT_SHIFT = 6;
const VARINT_FIRST_MASK = 0x3f;
/** Version 1 ids have at most 20 bytes (RFC 9000 17.2). */
const ID_BYTES_MAX_V1 = 20;

/** Reads headers. Offsets are into the bytes given to `read`. */
export class PacketReader {
  version = 0;
  dcidAt = 0;
  dcidLength = 0;
  scidAt = 0;
  scidLength = 0;
  /** Of an Initial, once `readToken` has said that there is one. */
  tokenAt = 0;
  tokenLength = 0;

  /** Reads the first packet of the datagram `bytes[at, at + length)`. */
  read(bytes: Uint8Array, at: number, length: number): PacketKind {
    if (length < 1) return PACKET.malformed;
    const first = bytes[at] ?? 0;
    if ((first & LONG_HEADER) === 0) return this.#readShort(first, at);
    return this.#readLong(bytes, first, at, at + length);
  }

  /** Finds the token of the Initial that was read last, of a datagram that ends at `end` (RFC 9000 17.2.2). False: it does not end in there. */
  readToken(bytes: Uint8Array, end: number): boolean {
    const lengthAt = this.scidAt + this.scidLength;
    if (lengthAt >= end) return false;
    const first = bytes[lengthAt] ?? 0;
    const lengthBytes = 1 << (first >> VARINT_SHIFT);
    if (lengthAt + lengthBytes > end) return false;
    let length = first & VARINT_FIRST_MASK;
    // A length of eight bytes may lose its last bits here; no datagram is as long.
    for (let i = 1; i < lengthBytes; i++) length = length * 256 + (bytes[lengthAt + i] ?? 0);
    this.tokenAt = lengthAt + lengthBytes;
    this.tokenLength = length;
    return this.tokenAt + length <= end;
  }

  #readShort(first: number, at: number): PacketKind {
    this.dcidAt = at + 1;
    return (first & FIXED_BIT) === 0 ? PACKET.malformed : PACKET.short;
  }

  #readLong(bytes: Uint8Array, first: number, at: number, end: number): PacketKind {
    if (end - at <= LONG_HEADER_BYTES_MIN) return PACKET.malformed;
    this.version = readUint32(bytes, at + 1);
    this.dcidLength = bytes[at + 5] ?? 0;
    this.dcidAt = at + LONG_HEADER_BYTES_MIN;
    const scidLengthAt = this.dcidAt + this.dcidLength;
    if (scidLengthAt >= end) return PACKET.malformed;
    this.scidLength = bytes[scidLengthAt] ?? 0;
    this.scidAt = scidLengthAt + 1;
    if (this.scidAt + this.scidLength > end) return PACKET.malformed;
    if (this.version === VERSION_NEGOTIATION) return PACKET.malformed;
    if (this.version !== VERSION_1) return PACKET.unknownVersion;
    if (this.dcidLength > ID_BYTES_MAX_V1 || this.scidLength > ID_BYTES_MAX_V1) return PACKET.malformed;
    if ((first & FIXED_BIT) === 0) return PACKET.malformed;
    const type = (first >> TYPE_SHIFT) & TYPE_MASK;
    if (type === TYPE_INITIAL) return PACKET.initial;
    return type === TYPE_ZERO_RTT ? PACKET.zeroRtt : PACKET.otherLong;
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  const low = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
  return high * 0x10000 + low;
}
