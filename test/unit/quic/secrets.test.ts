import { describe, expect, test } from "bun:test";
import { hkdfSha256 } from "../../../src/control/ciphers.ts";
import { deriveSecrets, parseNodeId } from "../../../src/quic/secrets.ts";

const SECRET = { id: 7, bytes: Uint8Array.from({ length: 32 }, (_, i) => i) };
const NODE = Uint8Array.of(0x0a, 0x01);

/** By HKDF written in Python with `hmac` alone: info is "spooky 1 ", the label, a zero byte, and for the last two the node's id. */
const EXPECTED = {
  retryToken: "549693b9a72194f761f0dc20352d0cfbbb69dd6c98f517e59e9bb94ee74ba30e",
  newToken: "b8a06adc3e946d68f80b870d21815653edcf0dc49c3063411fff5d70da819fb5",
  ticket: "e3971f5f05012aca2631b72b23d908dfef1565f90375d1ab892f9535bd31bb0bcc967fd63dc6b637c4580c308c4b1439",
  loadBalancer: "fb18acb5da8ce823c7ba2b0e0c539adf",
  reset: "3ee7950a8c1ef7b1c2f2e160a1eb13afa58a548f614510785ab8cef7a0542416",
};
const EXPECTED_IDS = "31348d0611313d3e060d9131e7cf5b5b5929a52972";

test("everything is what nodes of other versions derive", () => {
  const secrets = deriveSecrets(SECRET, NODE, hkdfSha256);
  for (const [name, hex] of Object.entries(EXPECTED)) {
    expect(secrets[name as keyof typeof EXPECTED].toHex(), name).toBe(hex);
  }
  const view = new DataView(Uint8Array.fromHex(EXPECTED_IDS).buffer);
  expect(secrets.ids).toEqual({
    rotation: 3,
    checkByte: view.getUint8(0),
    mask: view.getUint32(1),
    veil: { xor: view.getUint32(5), first: (view.getUint32(9) | 1) >>> 0, second: (view.getUint32(13) | 1) >>> 0 },
    multiplier: (view.getUint32(17) | 1) >>> 0,
  });
});

describe("of two nodes with one secret", () => {
  const [one, other] = [NODE, Uint8Array.of(0x0a, 0x02)].map((node) => deriveSecrets(SECRET, node, hkdfSha256));

  test("tokens, tickets and what load balancers read are the same", () => {
    for (const name of ["retryToken", "newToken", "ticket", "loadBalancer"] as const) {
      expect(one?.[name]).toEqual(other?.[name] ?? new Uint8Array(0));
    }
  });

  test("reset tokens and ids are not: none can speak for the other, nor takes its ids for its own", () => {
    expect(one?.reset).not.toEqual(other?.reset ?? new Uint8Array(0));
    expect(one?.ids).not.toEqual(other?.ids);
  });
});

test("no key is any other, nor a part of one, nor that of the next secret", () => {
  const next = { id: 8, bytes: SECRET.bytes.with(31, 0xff) };
  const heads = [SECRET, next].flatMap((secret) => {
    const { retryToken, newToken, ticket, loadBalancer, reset } = deriveSecrets(secret, NODE, hkdfSha256);
    return [retryToken, newToken, ticket, loadBalancer, reset].map((bytes) => bytes.slice(0, 16).toHex());
  });
  expect(new Set(heads).size).toBe(10);
});

test("neighbouring secrets of a cluster have different rotations, also where numbers begin anew", () => {
  for (const ids of [
    [6, 7, 8],
    [254, 255, 0],
    [255, 0, 1],
  ]) {
    const rotations = ids.map((id) => deriveSecrets({ ...SECRET, id }, NODE, hkdfSha256).ids.rotation);
    expect(new Set(rotations).size).toBe(3);
  }
});

test("a secret has 32 bytes, a node's id 1 to 8", () => {
  expect(() => deriveSecrets({ id: 1, bytes: new Uint8Array(31) }, NODE, hkdfSha256)).toThrow(/32 bytes/);
  expect(() => deriveSecrets(SECRET, new Uint8Array(0), hkdfSha256)).toThrow(/1 to 8/);
  expect(() => deriveSecrets(SECRET, new Uint8Array(9), hkdfSha256)).toThrow(/1 to 8/);
});

describe("a node's id", () => {
  for (const [text, bytes] of [
    ["01", [1]],
    ["0aFF", [10, 255]],
    ["0102030405060708", [1, 2, 3, 4, 5, 6, 7, 8]],
  ] as const) {
    test(text, () => expect(parseNodeId(text)).toEqual(Uint8Array.from(bytes)));
  }
  for (const text of ["", "1", "0x01", "0g", "01 ", "010203040506070809", "-1", "01\n"]) {
    test(`is not ${JSON.stringify(text)}`, () => expect(parseNodeId(text)).toBeNull());
  }
});
