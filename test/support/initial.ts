/** Initial packets by hand, from the client's side: anybody can make them, for their keys follow from the client's own id (RFC 9001 5.2). */
import { createCipheriv } from "node:crypto";

const SALT = Buffer.from("38762cf7f55934b34d179ae6a4c80cadccbb7f0a", "hex");
const NUMBER_BYTES = 4;
const TAG_BYTES = 16;

/** What an Initial says. */
export interface InitialParts {
  readonly dcid: Uint8Array;
  readonly scid: Uint8Array;
  readonly token?: Uint8Array;
  readonly number?: number;
  /** Frames, as they are: no padding is added. */
  readonly payload: Uint8Array;
}

/** A protected Initial. Payloads below 16 bytes cannot be sampled and are filled up with padding. */
export function sealInitial({ dcid, scid, token = new Uint8Array(0), number = 0, payload }: InitialParts): Uint8Array {
  const plain = payload.length >= TAG_BYTES ? payload : Buffer.concat([payload, new Uint8Array(TAG_BYTES)]);
  const secret = expand(hkdfExtract(dcid), "client in", 32);
  const [key, iv, hp] = [expand(secret, "quic key", 16), expand(secret, "quic iv", 12), expand(secret, "quic hp", 16)];
  const length = NUMBER_BYTES + plain.length + TAG_BYTES;
  const numberBytes = [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff);
  const header = Uint8Array.from([
    ...[0xc3, 0, 0, 0, 1, dcid.length, ...dcid, scid.length, ...scid],
    ...[0x40 | (token.length >> 8), token.length & 0xff, ...token],
    ...[0x40 | (length >> 8), length & 0xff, ...numberBytes],
  ]);
  const nonce = iv.map((byte, i) => byte ^ (i < 8 ? 0 : (numberBytes[i - 8] ?? 0)));
  const cipher = createCipheriv("aes-128-gcm", key, nonce).setAAD(header);
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  const packet = new Uint8Array(Buffer.concat([header, sealed]));
  const numberAt = header.length - NUMBER_BYTES;
  const mask = createCipheriv("aes-128-ecb", hp, null).update(packet.subarray(numberAt + 4, numberAt + 20));
  packet[0] = (packet[0] ?? 0) ^ ((mask[0] ?? 0) & 0x0f);
  for (let i = 0; i < NUMBER_BYTES; i++) packet[numberAt + i] = (packet[numberAt + i] ?? 0) ^ (mask[1 + i] ?? 0);
  return packet;
}

/** HKDF-Extract (RFC 5869 2.2). */
function hkdfExtract(dcid: Uint8Array): Uint8Array {
  return new Uint8Array(new Bun.CryptoHasher("sha256", SALT).update(dcid).digest());
}

function expand(secret: Uint8Array, name: string, lengthBytes: number): Uint8Array {
  const label = Buffer.from(`tls13 ${name}`);
  const info = Buffer.from([0, lengthBytes, label.length, ...label, 0, 1]);
  return new Uint8Array(new Bun.CryptoHasher("sha256", secret).update(info).digest()).subarray(0, lengthBytes);
}
