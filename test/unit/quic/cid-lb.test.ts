import { describe, expect, test } from "bun:test";
import { aes128 } from "../../../src/control/ciphers.ts";
import { must } from "../../../src/core/assert.ts";
import { Random } from "../../../src/core/random.ts";
import { type FillRandom } from "../../../src/quic/cid.ts";
import { LbIdCodec, type LbIdKey } from "../../../src/quic/cid-lb.ts";
import { IdTable } from "../../../src/quic/cid-table.ts";
import { readMark } from "../../../src/quic/id-mark.ts";
import { QuicLbCodec } from "../../../src/quic/quic-lb.ts";
import { routeDatagram, slotsOfBank, steeringProgram } from "../../../src/quic/steer.ts";
import { runProgram } from "../../support/cbpf-machine.ts";
import { longDatagram, randomBytes, shortDatagram } from "../../support/steering.ts";

const CIPHER = aes128(Uint8Array.fromHex("8f95f09245765f80256934e50c66207f"));
const CONFIG = { configId: 2, serverIdBytes: 3, nonceBytes: 10, cipher: CIPHER };
const KEY: LbIdKey = {
  slot: 6,
  rotation: 1,
  checkByte: 0x5d,
  mask: 0x0102_0304,
  config: CONFIG,
  serverId: Uint8Array.of(1, 2, 3),
  encodesLength: true,
  veil: { xor: 0x1357_9bdf, first: 0x9e37_79b1, second: 0x85eb_ca6b },
};

function seeded(seed: number): FillRandom {
  const random = Random.fromEntropy([seed]);
  return (bytes) => bytes.set(randomBytes(random, bytes.length));
}

describe("an id for load balancers", () => {
  test("has 20 bytes here: first octet, 13 of server id and nonce, mark, index", () => {
    const codec = new LbIdCodec(KEY, seeded(1));
    const id = codec.mint(5);
    expect(id.length).toBe(20);
    expect(codec.mark).toMatchObject({ idBytes: 20, at: 14 });
    expect(id[0]).toBe((2 << 5) | 19);
    expect(readMark(codec.mark, id, 0)).toBe((1 << 6) | 6);
    expect(new QuicLbCodec(CONFIG).isFor(KEY.serverId, id, 0, 20)).toBe(true);
  });

  test("of the shortest kind has 12", () => {
    const config = { ...CONFIG, serverIdBytes: 1, nonceBytes: 4 };
    const codec = new LbIdCodec({ ...KEY, config, serverId: Uint8Array.of(9) }, seeded(1));
    expect(codec.mint(0).length).toBe(12);
    expect(codec.indexOf(codec.mint(77), 0)).toBe(77);
  });

  test("gives its index back, to its own worker alone", () => {
    const codec = new LbIdCodec(KEY, seeded(2));
    const other = new LbIdCodec({ ...KEY, slot: 7 }, seeded(2));
    for (const index of [0, 1, 255, 65_536, 0x7fff_ffff, 0xffff_ffff]) {
      const id = codec.mint(index);
      expect(codec.indexOf(id, 0)).toBe(index);
      expect(other.indexOf(id, 0)).toBe(-1);
    }
  });

  test("is known by every worker of its node, and by no other node", () => {
    const id = new LbIdCodec(KEY, seeded(3)).mint(99);
    expect(new LbIdCodec({ ...KEY, slot: 33 }, seeded(4)).isOurs(id, 0, 100)).toBe(true);
    expect(new LbIdCodec(KEY, seeded(4)).isOurs(id, 0, 99)).toBe(false);
    expect(new LbIdCodec({ ...KEY, serverId: Uint8Array.of(1, 2, 4) }, seeded(4)).isOurs(id, 0, 100)).toBe(false);
    expect(new LbIdCodec({ ...KEY, rotation: 2 }, seeded(4)).isOurs(id, 0, 100)).toBe(false);
    const otherConfig = { ...KEY, config: { ...CONFIG, configId: 3 } };
    expect(new LbIdCodec(otherConfig, seeded(4)).isOurs(id, 0, 100)).toBe(false);
  });

  test("is one that the table takes", () => {
    const table = new IdTable<string>(new LbIdCodec(KEY, seeded(5)), 100);
    const ids = Array.from({ length: 100 }, (_, i) => must(table.issue(`${i}`), "there is room"));
    expect(ids.map((id) => table.find(id, 0, id.length))).toEqual(ids.map((_, i) => `${i}`));
    expect(table.find(ids[0] ?? new Uint8Array(20), 0, 19)).toBeNull();
    for (const id of ids) table.release(id);
    expect(table.size).toBe(0);
  });

  test("leads to its worker by the kernel's program, in both kinds of header", () => {
    const random = Random.fromEntropy([6]);
    for (let slot = 0; slot < 8; slot++) {
      const codec = new LbIdCodec({ ...KEY, slot }, seeded(slot));
      const [active, draining] = [slotsOfBank(1, 4, 4), slotsOfBank(0, 4, 4)];
      const plan = { mark: codec.mark, multiplier: 3, active, draining, standIns: [] };
      for (let i = 0; i < 100; i++) {
        for (const make of [shortDatagram, longDatagram]) {
          const datagram = make(random, codec.mint(i), 60);
          expect(routeDatagram(plan, datagram, 0, 60)).toBe(slot);
          expect(runProgram(steeringProgram(plan), datagram).value).toBe(slot);
        }
      }
    }
  });
});

describe("nonces", () => {
  test("of one worker do not repeat, also where they go around, and those of two never meet", () => {
    const config = { ...CONFIG, serverIdBytes: 3, nonceBytes: 4 };
    const fill: FillRandom = (bytes) => bytes.fill(0xff);
    const reader = new QuicLbCodec(config);
    const seen = new Set<string>();
    for (const slot of [6, 7]) {
      const codec = new LbIdCodec({ ...KEY, slot, config }, fill);
      for (let i = 0; i < 1000; i++) seen.add(must(reader.read(codec.mint(0), 0, 14), "ours").toHex());
      expect(codec.minted).toBe(1000);
      expect(codec.noncesMax).toBe(2 ** 24);
    }
    expect(seen.size).toBe(2000);
  });

  test("begin anywhere, so that a restarted worker makes others", () => {
    const [one, other] = [7, 8].map((seed) => new LbIdCodec(KEY, seeded(seed)).mint(0).toHex());
    expect(one).not.toBe(other);
  });

  test("in clear are random, and do not show the worker", () => {
    const config = { ...CONFIG, cipher: null };
    const codec = new LbIdCodec({ ...KEY, config }, seeded(9));
    const nonces = Array.from({ length: 1000 }, () => codec.mint(0).slice(4, 14));
    expect(new Set(nonces.map((nonce) => nonce.toHex())).size).toBe(1000);
    expect(new Set(nonces.map((nonce) => nonce[0])).size).toBeGreaterThan(200);
  });
});

test("the first octet says the length only where that is agreed", () => {
  const codec = new LbIdCodec({ ...KEY, encodesLength: false }, seeded(10));
  const firsts = Array.from({ length: 500 }, () => codec.mint(0)[0] ?? 0);
  expect(new Set(firsts.map((first) => first >>> 5))).toEqual(new Set([2]));
  expect(new Set(firsts.map((first) => first & 31)).size).toBe(32);
});

test("server id and nonce that leave no room for the rest are refused", () => {
  const config = { ...CONFIG, serverIdBytes: 6, nonceBytes: 8 };
  expect(() => new LbIdCodec({ ...KEY, config, serverId: new Uint8Array(6) }, seeded(1))).toThrow(/7 of 20/);
  expect(() => new LbIdCodec({ ...KEY, serverId: new Uint8Array(2) }, seeded(1))).toThrow(/as agreed/);
});
