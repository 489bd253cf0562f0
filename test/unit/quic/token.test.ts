import { describe, expect, test } from "bun:test";
import { tokenCipher } from "../../../src/control/ciphers.ts";
import { Random } from "../../../src/core/random.ts";
import {
  type ClientAddress,
  NEW_TOKEN_BYTES,
  RETRY_TOKEN_BYTES_MAX,
  type TokenKey,
  TokenSealer,
} from "../../../src/quic/token.ts";
import { randomBytes } from "../../support/steering.ts";

const NOW = 1_764_201_600_123;
const ORIGINAL = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const RETRY_ID = new Uint8Array(18).fill(9);
const CLIENT: ClientAddress = { words: Uint32Array.of(0, 0, 0xffff, 0xc000_0207), port: 4433 };

function key(id: number, seed = id): TokenKey {
  const cipherOf = (kind: number) => tokenCipher(new Uint8Array(32).fill(seed).with(0, kind));
  return { id, retry: cipherOf(1), newToken: cipherOf(2) };
}

function sealer(keys: readonly TokenKey[] = [key(7)], seed = 1): TokenSealer {
  const random = Random.fromEntropy([seed]);
  return new TokenSealer({
    keys,
    fillRandom: (bytes) => bytes.set(randomBytes(random, bytes.length)),
    retryLifetimeMs: 10_000,
    newTokenLifetimeMs: 86_400_000,
  });
}

describe("a Retry token", () => {
  const tokens = sealer();
  const token = tokens.sealRetry(CLIENT, ORIGINAL, RETRY_ID, NOW);
  const cases: readonly [string, { client?: ClientAddress; id?: Uint8Array; nowMs?: number }, string][] = [
    ["is valid at once", {}, "valid"],
    ["is valid until ten seconds are over", { nowMs: NOW + 10_000 }, "valid"],
    ["is not a moment later", { nowMs: NOW + 10_001 }, "expired"],
    ["may come from a node whose clock is five seconds ahead", { nowMs: NOW - 5000 }, "valid"],
    ["but not more", { nowMs: NOW - 5001 }, "expired"],
    ["is for one port", { client: { ...CLIENT, port: 4434 } }, "other-address"],
    ["is for one address", { client: { ...CLIENT, words: CLIENT.words.with(3, 0xc000_0208) } }, "other-address"],
    ["is for one address of all 128 bits", { client: { ...CLIENT, words: CLIENT.words.with(0, 1) } }, "other-address"],
    ["is for the id of its packet", { id: RETRY_ID.with(17, 1) }, "other-id"],
    ["is for all of that id", { id: RETRY_ID.subarray(0, 17) }, "other-id"],
  ];
  for (const [name, { client = CLIENT, id = RETRY_ID, nowMs = NOW }, verdict] of cases) {
    test(name, () => expect(tokens.openRetry(token, client, id, nowMs).verdict).toBe(verdict as "valid"));
  }

  test("gives the first id of the client back, whole and on its own", () => {
    const opened = tokens.openRetry(token, CLIENT, RETRY_ID, NOW);
    expect(opened).toEqual({ verdict: "valid", originalId: ORIGINAL });
  });

  test("has ids of any length, and is never longer than said", () => {
    for (const [one, other] of [
      [0, 0],
      [8, 18],
      [20, 20],
      [1, 20],
    ] as const) {
      const ids = [new Uint8Array(one).fill(0x11), new Uint8Array(other).fill(0x22)] as const;
      const made = tokens.sealRetry(CLIENT, ...ids, NOW);
      expect(made.length).toBe(60 + one + other);
      expect(tokens.openRetry(made, CLIENT, ids[1], NOW)).toEqual({ verdict: "valid", originalId: ids[0] });
    }
    expect(RETRY_TOKEN_BYTES_MAX).toBe(60 + 40);
    expect(() => tokens.sealRetry(CLIENT, new Uint8Array(21), RETRY_ID, NOW)).toThrow(/20 bytes/);
  });

  test("shows nothing of what is in it", () => {
    const text = token.toHex();
    for (const part of [ORIGINAL, RETRY_ID]) expect(text).not.toContain(part.toHex());
    expect(text).not.toContain("c0000207");
    const again = tokens.sealRetry(CLIENT, ORIGINAL, RETRY_ID, NOW);
    expect(again.toHex().slice(4)).not.toBe(text.slice(4));
  });
});

describe("a NEW_TOKEN token", () => {
  const tokens = sealer();
  const token = tokens.sealNewToken(CLIENT, NOW);

  test("is valid for its address at any port, for as long as configured", () => {
    expect(token.length).toBe(NEW_TOKEN_BYTES);
    expect(tokens.openNewToken(token, { ...CLIENT, port: 1 }, NOW + 86_400_000)).toBe("valid");
    expect(tokens.openNewToken(token, CLIENT, NOW + 86_400_001)).toBe("expired");
    expect(tokens.openNewToken(token, { ...CLIENT, words: CLIENT.words.with(2, 0) }, NOW)).toBe("other-address");
  });

  test("is no Retry token, and the other way round; with the kind byte changed both are forged", () => {
    const retry = tokens.sealRetry(CLIENT, ORIGINAL, RETRY_ID, NOW);
    expect(tokens.openRetry(token, CLIENT, RETRY_ID, NOW)).toEqual({ verdict: "other-kind" });
    expect(tokens.openNewToken(retry, CLIENT, NOW)).toBe("other-kind");
    expect(tokens.openRetry(token.with(0, retry[0] ?? 0), CLIENT, RETRY_ID, NOW)).toEqual({ verdict: "forged" });
    expect(tokens.openNewToken(retry.with(0, token[0] ?? 0), CLIENT, NOW)).toBe("forged");
  });

  test("is no Retry token even where both kinds had one key by mistake", () => {
    const cipher = tokenCipher(new Uint8Array(32));
    const careless = sealer([{ id: 1, retry: cipher, newToken: cipher }]);
    const [one, other] = [careless.sealNewToken(CLIENT, NOW), careless.sealRetry(CLIENT, ORIGINAL, RETRY_ID, NOW)];
    expect(careless.openRetry(one.with(0, other[0] ?? 0), CLIENT, RETRY_ID, NOW)).toEqual({ verdict: "forged" });
    expect(careless.openNewToken(other.with(0, one[0] ?? 0), CLIENT, NOW)).toBe("forged");
  });
});

describe("keys", () => {
  const old = sealer([key(6)], 2);
  const retry = old.sealRetry(CLIENT, ORIGINAL, RETRY_ID, NOW);
  const newToken = old.sealNewToken(CLIENT, NOW);

  test("that were current are taken for as long as they are there", () => {
    const both = sealer([key(7), key(6)], 3);
    expect(both.openRetry(retry, CLIENT, RETRY_ID, NOW).verdict).toBe("valid");
    expect(both.openNewToken(newToken, CLIENT, NOW)).toBe("valid");
    expect(both.sealNewToken(CLIENT, NOW)[1]).toBe(7);
    both.useKeys([key(8), key(7)]);
    expect(both.openRetry(retry, CLIENT, RETRY_ID, NOW).verdict).toBe("forged");
    expect(both.openNewToken(newToken, CLIENT, NOW)).toBe("forged");
    expect(both.sealNewToken(CLIENT, NOW)[1]).toBe(8);
  });

  test("that are not current yet are taken as well, from nodes that have changed already", () => {
    const ahead = sealer([key(7)], 4).sealNewToken(CLIENT, NOW);
    expect(sealer([key(6), key(7)], 5).openNewToken(ahead, CLIENT, NOW)).toBe("valid");
  });

  test("with the same number and other bytes open nothing", () => {
    expect(sealer([key(6, 99)]).openRetry(retry, CLIENT, RETRY_ID, NOW).verdict).toBe("forged");
  });

  test("are there, and have different numbers", () => {
    expect(() => sealer([])).toThrow(/a key to seal/);
    expect(() => sealer([key(1), key(1)])).toThrow(/different numbers/);
  });
});

test("100,000 tokens changed in one bit, cut, lengthened, mixed or made up: all are forged, of another kind, or nothing", () => {
  const random = Random.fromEntropy([62]);
  const tokens = sealer([key(7), key(6)]);
  const retry = tokens.sealRetry(CLIENT, ORIGINAL, RETRY_ID, NOW);
  const newToken = tokens.sealNewToken(CLIENT, NOW);
  const seen = new Map<string, number>();
  for (let round = 0; round < 100_000; round++) {
    const token = spoil(random, [retry, newToken]);
    for (const verdict of [
      tokens.openRetry(token, CLIENT, RETRY_ID, NOW).verdict,
      tokens.openNewToken(token, CLIENT, NOW),
    ]) {
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
    }
  }
  expect([...seen.keys()].toSorted()).toEqual(["forged", "other-kind"]);
});

/** A token with something wrong. */
function spoil(random: Random, [one, other]: readonly [Uint8Array, Uint8Array]): Uint8Array {
  const token = random.nextBelow(2) === 0 ? one : other;
  const at = random.nextBelow(token.length);
  switch (random.nextBelow(5)) {
    case 0:
      return token.slice(0, at);
    case 1:
      return new Uint8Array([...token, ...randomBytes(random, 1 + random.nextBelow(100))]);
    case 2:
      return randomBytes(random, random.nextBelow(150));
    case 3:
      return new Uint8Array([...one.slice(0, 18), ...other.slice(18)]);
    default:
      return token.with(at, (token[at] ?? 0) ^ (1 << random.nextBelow(8)));
  }
}
