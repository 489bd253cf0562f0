import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/core/random.ts";
import { PACKET, type PacketKind, PacketReader } from "../../../src/quic/packet.ts";
import { longHeader } from "../../support/fake-server.ts";

const reader = new PacketReader();

function read(bytes: Uint8Array): PacketKind {
  return reader.read(bytes, 0, bytes.length);
}

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

describe("a short header", () => {
  test("has its destination id behind the first byte", () => {
    expect(read(Uint8Array.from([0x40, 1, 2, 3]))).toBe(PACKET.short);
    expect(reader.dcidAt).toBe(1);
  });

  test("may be one byte long: who it is for is found out later", () => {
    expect(read(Uint8Array.from([0x7f]))).toBe(PACKET.short);
  });

  test("without the fixed bit is none (RFC 9000 17.3)", () => {
    expect(read(Uint8Array.from([0x3f, ...filled(30, 1)]))).toBe(PACKET.malformed);
  });
});

test("nothing is no packet", () => expect(reader.read(filled(8, 0x40), 3, 0)).toBe(PACKET.malformed));

describe("a long header", () => {
  const dcid = filled(8, 0xd1);
  const scid = filled(5, 0x5c);

  for (const [first, kind, name] of [
    [0xc0, PACKET.initial, "Initial"],
    [0xcf, PACKET.initial, "Initial with every protected bit set"],
    [0xd0, PACKET.zeroRtt, "0-RTT"],
    [0xe0, PACKET.otherLong, "Handshake"],
    [0xf0, PACKET.otherLong, "Retry"],
  ] as const) {
    test(`of version 1 is read by its type: ${name}`, () => expect(read(longHeader({ first, dcid, scid }))).toBe(kind));
  }

  test("tells where both ids lie and how long they are", () => {
    expect(read(longHeader({ dcid, scid }))).toBe(PACKET.initial);
    const { dcidAt, dcidLength, scidAt, scidLength, version } = reader;
    expect({ dcidAt, dcidLength, scidAt, scidLength, version }).toEqual({
      ...{ dcidAt: 6, dcidLength: 8, scidAt: 15, scidLength: 5, version: 1 },
    });
  });

  test("is read from anywhere in the bytes, and no further than its own end", () => {
    const bytes = new Uint8Array(3000);
    bytes.set(longHeader({ dcid, scid, size: 40 }), 1000);
    expect(reader.read(bytes, 1000, 40)).toBe(PACKET.initial);
    expect(reader.dcidAt).toBe(1006);
    expect(reader.scidAt).toBe(1015);
    // The same bytes, but the datagram ends inside the source id.
    expect(reader.read(bytes, 1000, 19)).toBe(PACKET.malformed);
    expect(reader.read(bytes, 1000, 20)).toBe(PACKET.initial);
  });

  test("cut anywhere before the end of its ids is none", () => {
    const whole = longHeader({ dcid, scid, size: 20 });
    for (let size = 1; size < 20; size++) expect(read(whole.subarray(0, size)), `${size} bytes`).toBe(PACKET.malformed);
    expect(read(whole)).toBe(PACKET.initial);
  });

  test("may have ids of no length", () => {
    const none = new Uint8Array(0);
    expect(read(longHeader({ dcid: none, scid: none, size: 7 }))).toBe(PACKET.initial);
    expect([reader.dcidLength, reader.scidLength]).toEqual([0, 0]);
  });

  test("of version 1 has ids of at most 20 bytes (RFC 9000 17.2)", () => {
    expect(read(longHeader({ dcid: filled(20, 1), scid: filled(20, 2) }))).toBe(PACKET.initial);
    expect(read(longHeader({ dcid: filled(21, 1) }))).toBe(PACKET.malformed);
    expect(read(longHeader({ scid: filled(21, 1) }))).toBe(PACKET.malformed);
  });

  test("of version 1 without the fixed bit is none", () => {
    expect(read(longHeader({ first: 0x80 }))).toBe(PACKET.malformed);
  });

  test("of version 0 is Version Negotiation, which no client sends", () => {
    expect(read(longHeader({ version: 0 }))).toBe(PACKET.malformed);
  });

  for (const version of [2, 0x6b33_43cf, 0xff00_001d, 0x0a1a_2a3a, 0xffff_ffff]) {
    test(`of version 0x${version.toString(16)} is known by its ids alone (RFC 8999), up to 255 bytes long`, () => {
      const packet = longHeader({ first: 0x80, version, dcid: filled(255, 1), scid: filled(255, 2) });
      expect(read(packet)).toBe(PACKET.unknownVersion);
      const { dcidLength, scidLength } = reader;
      expect({ version: reader.version, dcidLength, scidLength }).toEqual({
        version,
        dcidLength: 255,
        scidLength: 255,
      });
    });
  }
});

test("200,000 random datagrams: ids never reach beyond the datagram's end", () => {
  const random = Random.fromEntropy([20_260_101]);
  const bytes = new Uint8Array(700);
  const seen = new Set<PacketKind>();
  for (let round = 0; round < 200_000; round++) {
    const at = random.nextBelow(100);
    const length = random.nextBelow(80);
    for (let i = at; i < at + length; i++) bytes[i] = random.nextBelow(256);
    // Two of three have a version and lengths that may fit: chance alone would make nearly all malformed.
    if (round % 3 !== 0) bytes.set([0, 0, 0, round % 3 === 1 ? 1 : 9, random.nextBelow(24)], at + 1);
    const kind = reader.read(bytes, at, length);
    seen.add(kind);
    if (kind === PACKET.malformed || kind === PACKET.short) continue;
    const fits =
      reader.dcidAt === at + 6 &&
      reader.scidAt === reader.dcidAt + reader.dcidLength + 1 &&
      reader.scidAt + reader.scidLength <= at + length;
    if (!fits) expect.unreachable(`at ${at}, ${length} bytes, kind ${kind}: ${JSON.stringify(reader)}`);
  }
  expect(seen).toEqual(new Set(Object.values(PACKET)));
});
