import { describe, expect, test } from "bun:test";
import { aes128 } from "../../../src/control/ciphers.ts";
import { must } from "../../../src/core/assert.ts";
import { Random } from "../../../src/core/random.ts";
import { QuicLbCodec } from "../../../src/quic/quic-lb.ts";
import { randomBytes } from "../../support/steering.ts";

const KEY = "8f95f09245765f80256934e50c66207f";

interface Vector {
  readonly configId: number;
  readonly serverId: string;
  readonly nonce: string;
  readonly key: string | null;
  readonly id: string;
}

/**
 * draft-ietf-quic-load-balancers-21: appendix B.1 (two), B.2 (four) and the example in section 5.4.2 (one). Two rows are misprinted there and
 * read here as they must be: the second one of B.1 has lost zeros (a nonce of nine digits, an id that begins with 20a), and the last one of B.2
 * is called configuration 3, but its first octet, 0x12, says 0.
 */
const VECTORS: readonly Vector[] = [
  { configId: 0, serverId: "c4605e", nonce: "4504cc4f", key: null, id: "07c4605e4504cc4f" },
  { configId: 1, serverId: "350d28b420", nonce: "03487d970b", key: null, id: "2a350d28b42003487d970b" },
  { configId: 0, serverId: "ed793a", nonce: "ee080dbf", key: KEY, id: "0720b1d07b359d3c" },
  {
    configId: 1,
    serverId: "ed793a51d49b8f5fab65",
    nonce: "ee080dbf48",
    key: KEY,
    id: "2fcc381bc74cb4fbad2823a3d1f8fed2",
  },
  {
    configId: 2,
    serverId: "ed793a51d49b8f5f",
    nonce: "ee080dbf48c0d1e5",
    key: KEY,
    id: "504dd2d05a7b0de9b2b9907afb5ecf8cc3",
  },
  {
    configId: 0,
    serverId: "ed793a51d49b8f5fab",
    nonce: "ee080dbf48c0d1e55d",
    key: KEY,
    id: "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc",
  },
  {
    configId: 0,
    serverId: "31441a",
    nonce: "9c69c275",
    key: "fdf726a9893ec05c0632d3956680baf0",
    id: "0767947d29be054a",
  },
];

function codecOf({ configId, serverId, nonce, key }: Vector): QuicLbCodec {
  const cipher = key === null ? null : aes128(Uint8Array.fromHex(key));
  return new QuicLbCodec({ configId, serverIdBytes: serverId.length / 2, nonceBytes: nonce.length / 2, cipher });
}

describe("the draft's vectors", () => {
  for (const vector of VECTORS) {
    const { serverId, nonce, id } = vector;
    test(`${vector.key === null ? "in clear" : "encrypted"}: server ${serverId}, nonce ${nonce}`, () => {
      const codec = codecOf(vector);
      const written = new Uint8Array(id.length / 2);
      codec.write(written, written.length - 1, Uint8Array.fromHex(serverId), Uint8Array.fromHex(nonce));
      expect(written.toHex()).toBe(id);
      const read = codec.read(written, 0, written.length);
      expect(read?.toHex()).toBe(serverId + nonce);
      expect(codec.isFor(Uint8Array.fromHex(serverId), written, 0, written.length)).toBe(true);
      expect(codec.isFor(Uint8Array.fromHex(serverId).with(0, 1), written, 0, written.length)).toBe(false);
    });
  }
});

test("every length of server id and nonce, with and without a key: what was written is read, from anywhere, and nothing else changes", () => {
  const random = Random.fromEntropy([1]);
  const cipher = aes128(Uint8Array.fromHex(KEY));
  for (let serverIdBytes = 1; serverIdBytes <= 15; serverIdBytes++) {
    for (let nonceBytes = 4; serverIdBytes + nonceBytes <= 19; nonceBytes++) {
      for (const withKey of [cipher, null]) {
        const codec = new QuicLbCodec({ configId: 3, serverIdBytes, nonceBytes, cipher: withKey });
        const [serverId, nonce] = [randomBytes(random, serverIdBytes), randomBytes(random, nonceBytes)];
        const id = randomBytes(random, 20);
        const behind = id.slice(1 + codec.blockBytes);
        codec.write(id, 0xff, serverId, nonce);
        expect(id[0]).toBe(0x7f);
        expect(id.slice(1 + codec.blockBytes)).toEqual(behind);
        const bytes = new Uint8Array(50);
        bytes.set(id, 17);
        expect(codec.read(bytes, 17, 20)?.toHex()).toBe(serverId.toHex() + nonce.toHex());
        expect(bytes.slice(17, 37).toHex()).toBe(id.toHex());
      }
    }
  }
});

test("encrypted blocks say nothing: one bit of the nonce changes about half of the block's", () => {
  const random = Random.fromEntropy([2]);
  for (const [serverIdBytes, nonceBytes] of [
    [3, 8],
    [4, 8],
    [8, 8],
  ] as const) {
    const cipher = aes128(Uint8Array.fromHex(KEY));
    const codec = new QuicLbCodec({ configId: 0, serverIdBytes, nonceBytes, cipher });
    const serverId = randomBytes(random, serverIdBytes);
    let changed = 0;
    const rounds = 300;
    for (let i = 0; i < rounds; i++) {
      const nonce = randomBytes(random, nonceBytes);
      const [one, other] = [new Uint8Array(20), new Uint8Array(20)];
      codec.write(one, 0, serverId, nonce);
      codec.write(other, 0, serverId, nonce.with(nonceBytes - 1, (nonce[nonceBytes - 1] ?? 0) ^ 1));
      for (let at = 1; at <= codec.blockBytes; at++) changed += bitsOf((one[at] ?? 0) ^ (other[at] ?? 0));
    }
    const share = changed / (rounds * 8 * codec.blockBytes);
    expect(Math.abs(share - 0.5)).toBeLessThan(0.02);
  }
});

test("an id of another configuration, or too short, is not read", () => {
  const vector = must(VECTORS[3], "there is a vector of configuration 1");
  const codec = codecOf(vector);
  const id = Uint8Array.fromHex(vector.id);
  expect(codec.read(id, 0, id.length)).not.toBeNull();
  expect(codec.read(id.with(0, 0x4f), 0, id.length)).toBeNull();
  expect(codec.read(id.with(0, 0xef), 0, id.length)).toBeNull();
  expect(codec.read(id, 0, id.length - 1)).toBeNull();
});

describe("what the draft forbids", () => {
  const good = { configId: 0, serverIdBytes: 4, nonceBytes: 4, cipher: null };
  const bad = [
    [{ configId: 7 }, /0 to 6/],
    [{ serverIdBytes: 0 }, /1 byte at least/],
    [{ nonceBytes: 3 }, /a nonce 4/],
    [{ nonceBytes: 16 }, /19 bytes/],
  ] as const;
  for (const [part, message] of bad) {
    test(JSON.stringify(part), () => expect(() => new QuicLbCodec({ ...good, ...part })).toThrow(message));
  }
  test("a server id or a nonce of another length", () => {
    const codec = new QuicLbCodec(good);
    expect(() => codec.write(new Uint8Array(20), 0, new Uint8Array(3), new Uint8Array(4))).toThrow(/as agreed/);
    expect(() => codec.write(new Uint8Array(20), 0, new Uint8Array(4), new Uint8Array(5))).toThrow(/as agreed/);
  });
});

function bitsOf(byte: number): number {
  let bits = 0;
  for (let rest = byte; rest > 0; rest >>>= 1) bits += rest & 1;
  return bits;
}
