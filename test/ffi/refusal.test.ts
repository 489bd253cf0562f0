/** The packet that a refused client gets: against RFC 9001's own numbers, and against a client that has to understand it. */
import { expect, test } from "bun:test";
import { createCipheriv, createDecipheriv } from "node:crypto";
import { refusalPacket, serverInitialKeys } from "../../ffi/quiche/refusal.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (of: Uint8Array): string => Buffer.from(of).toString("hex");

test("the keys are those of RFC 9001, appendix A.1", () => {
  const { key, iv, hp } = serverInitialKeys(bytes("8394c8f03e515708"));
  expect({ key: hex(key), iv: hex(iv), hp: hex(hp) }).toEqual({
    key: "cf3a5331653c364c88f0f379b6067e37",
    iv: "0ac1493ca1905853b0bba03e",
    hp: "c206b8d9b9f0f37644430b490eeaa314",
  });
});

test("it opens with those keys: an Initial to the client's id, with CONNECTION_CLOSE 0x02 and nothing else", () => {
  for (const scid of ["", "c0ffee", "00112233445566778899aabbccddeeff00112233"]) {
    const dcid = bytes("8394c8f03e515708");
    const packet = Uint8Array.from(refusalPacket(dcid, bytes(scid), 0x02));
    const { key, iv, hp } = serverInitialKeys(dcid);
    const numberAt = packet.length - 22;
    const mask = createCipheriv("aes-128-ecb", hp, null).update(packet.subarray(numberAt + 4, numberAt + 20));
    packet[0] = (packet[0] ?? 0) ^ ((mask[0] ?? 0) & 0x0f);
    packet[numberAt] = (packet[numberAt] ?? 0) ^ (mask[1] ?? 0);
    const idLength = (scid.length / 2).toString(16).padStart(2, "0");
    expect(hex(packet.subarray(0, numberAt + 1))).toBe(`c000000001${idLength}${scid}00001600`);
    const opener = createDecipheriv("aes-128-gcm", key, iv).setAAD(packet.subarray(0, numberAt + 1));
    const frames = opener.update(packet.subarray(numberAt + 1, -16));
    opener.setAuthTag(packet.subarray(-16));
    opener.final();
    expect(hex(frames)).toBe("1c40020000");
  }
});

test("it is far smaller than what it answers", () => {
  expect(refusalPacket(new Uint8Array(20), new Uint8Array(20), 0x02).length).toBe(51);
});
