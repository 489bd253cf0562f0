/**
 * The one packet that a client gets who is not let in: an Initial with CONNECTION_CLOSE, protected with keys that anybody can derive from the
 * client's own id (RFC 9001 5.2). Made here and not by quiche, which would first run a whole TLS flight, with a signature, for a
 * client that is to be sent away; nothing native is made and nothing is kept (RFC 9000 5.2.2 allows exactly this).
 */
import { createCipheriv, createHmac } from "node:crypto";
import { assert } from "../../src/core/assert.ts";

/** RFC 9001 5.2, version 1. */
const INITIAL_SALT = Uint8Array.from([
  ...[0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17],
  ...[0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a],
]);
const SECRET_BYTES = 32;
const KEY_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Where the sample for header protection begins, from the packet number on (RFC 9001 5.4.2). */
const SAMPLE_AFTER = 4;

/** Long header, fixed bit, type Initial, a packet number of one byte. */
const FIRST_BYTE = 0xc0;
const VERSION_1 = [0, 0, 0, 1];
const PACKET_NUMBER_BYTES = 1;
/** CONNECTION_CLOSE of the transport (RFC 9000 19.19): the code, no frame to blame, no reason. */
const CONNECTION_CLOSE = 0x1c;
const PAYLOAD_BYTES = 5;
/** Codes are written as a varint of two bytes. */
const CODE_MAX = 0x3fff;
const ID_BYTES_MAX = 20;

/** Of the side that answers, from the destination id of the client's first packet. Exported for the test with RFC 9001's vectors. */
export function serverInitialKeys(clientDcid: Uint8Array): { key: Uint8Array; iv: Uint8Array; hp: Uint8Array } {
  const secret = expand(hmac(INITIAL_SALT, clientDcid), SERVER_IN, SECRET_BYTES);
  return {
    key: expand(secret, QUIC_KEY, KEY_BYTES),
    iv: expand(secret, QUIC_IV, NONCE_BYTES),
    hp: expand(secret, QUIC_HP, KEY_BYTES),
  };
}

/**
 * The packet for a client whose first packet went to `clientDcid` from `clientScid`. It names no id of ours (a source id without
 * bytes), since nothing will listen to one.
 */
export function refusalPacket(clientDcid: Uint8Array, clientScid: Uint8Array, code: number): Uint8Array {
  assert(code <= CODE_MAX, "codes of the transport fit into a varint of two bytes");
  assert(clientScid.length <= ID_BYTES_MAX, "ids of version 1 have at most 20 bytes");
  const { key, iv, hp } = serverInitialKeys(clientDcid);
  const header = Uint8Array.from([
    ...[FIRST_BYTE, ...VERSION_1, clientScid.length, ...clientScid],
    // No source id, no token, the length of what follows, packet number 0.
    ...[0, 0, PACKET_NUMBER_BYTES + PAYLOAD_BYTES + TAG_BYTES, 0],
  ]);
  // Packet number 0 leaves the nonce as the vector is.
  const cipher = createCipheriv("aes-128-gcm", key, iv).setAAD(header);
  const sealed = cipher.update(Uint8Array.from([CONNECTION_CLOSE, 0x40 | (code >> 8), code & 0xff, 0, 0]));
  cipher.final();
  const packet = Buffer.concat([header, sealed, cipher.getAuthTag()]);
  const numberAt = header.length - PACKET_NUMBER_BYTES;
  const sampleAt = numberAt + SAMPLE_AFTER;
  const mask = createCipheriv("aes-128-ecb", hp, null).update(packet.subarray(sampleAt, sampleAt + KEY_BYTES));
  packet[0] = (packet[0] ?? 0) ^ ((mask[0] ?? 0) & 0x0f);
  packet[numberAt] = (packet[numberAt] ?? 0) ^ (mask[1] ?? 0);
  return packet;
}

/** HKDF-Expand-Label (RFC 8446 7.1) for at most one hash's length: one HMAC over a label that is known beforehand. */
function expand(secret: Uint8Array, label: Uint8Array, lengthBytes: number): Uint8Array {
  return hmac(secret, label).subarray(0, lengthBytes);
}

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(data).digest();
}

/** The label with its length, an empty context, and the counter of the first block. */
function labelOf(name: string, lengthBytes: number): Uint8Array {
  const label = Buffer.from(`tls13 ${name}`);
  return Uint8Array.from([0, lengthBytes, label.length, ...label, 0, 1]);
}

const SERVER_IN = labelOf("server in", SECRET_BYTES);
const QUIC_KEY = labelOf("quic key", KEY_BYTES);
const QUIC_IV = labelOf("quic iv", NONCE_BYTES);
const QUIC_HP = labelOf("quic hp", KEY_BYTES);
