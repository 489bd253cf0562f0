import { describe, expect, test } from "bun:test";
import { aes128, hkdfSha256, tokenCipher } from "../../../src/control/ciphers.ts";

function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text);
}

test("AES-128 is that of FIPS 197, appendix C.1, both ways, and block after block", () => {
  const cipher = aes128(hex("000102030405060708090a0b0c0d0e0f"));
  for (let i = 0; i < 3; i++) {
    const sealed = cipher.encrypt(hex("00112233445566778899aabbccddeeff"));
    expect(sealed.toHex()).toBe("69c4e0d86a7b0430d8cdb78070b4c55a");
    expect(cipher.decrypt(sealed).toHex()).toBe("00112233445566778899aabbccddeeff");
  }
  expect(() => aes128(new Uint8Array(15))).toThrow(/16 bytes/);
});

test("HKDF is that of RFC 5869, appendix A.3", () => {
  expect(hkdfSha256(new Uint8Array(22).fill(0x0b), new Uint8Array(0), 42).toHex()).toBe(
    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  );
});

describe("the cipher of tokens", () => {
  const cipher = tokenCipher(new Uint8Array(32).fill(1));
  const salt = new Uint8Array(16).fill(2);
  const associated = hex("d101");
  const plain = hex("00112233445566778899");
  const sealed = cipher.seal(salt, associated, plain);

  test("adds 16 bytes and opens again", () => {
    expect(sealed.length).toBe(plain.length + 16);
    expect(cipher.open(salt, associated, sealed)?.toHex()).toBe(plain.toHex());
  });

  test("is AES-128-GCM under a key and a nonce that HMAC-SHA256 makes of the salt (Python's `cryptography` made the vector)", () => {
    expect(new Uint8Array(sealed).toHex()).toBe("b29c0a2fb6048568eaf40f96f2bb99536a738b1fc10735e41964");
  });

  test("makes something else with every salt and every key", () => {
    const others = [
      cipher.seal(salt.with(0, 3), associated, plain),
      tokenCipher(new Uint8Array(32).fill(2)).seal(salt, associated, plain),
    ];
    for (const other of others) {
      expect(other.slice(0, 10)).not.toEqual(sealed.slice(0, 10));
      expect(cipher.open(salt, associated, other)).toBeNull();
    }
  });

  test("opens nothing that was changed, cut or lengthened", () => {
    for (let at = 0; at < sealed.length; at++) {
      const changed = new Uint8Array(sealed);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      expect(cipher.open(salt, associated, changed)).toBeNull();
      expect(cipher.open(salt, associated, sealed.subarray(0, at))).toBeNull();
    }
    expect(cipher.open(salt, associated, new Uint8Array([...sealed, 0]))).toBeNull();
    expect(cipher.open(salt, hex("d201"), sealed)).toBeNull();
  });

  test("has a key of 32 bytes", () => expect(() => tokenCipher(new Uint8Array(16))).toThrow(/32 bytes/));
});
