/** Datagrams whose packets are for several connections. */
import { describe, expect, test } from "bun:test";
import { isForOneConnection } from "../../../src/quic/coalesced.ts";

const ONE = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
const OTHER = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 9]);
const TYPE = { initial: 0xc0, zeroRtt: 0xd0, handshake: 0xe0, retry: 0xf0 } as const;

interface Parts {
  readonly scid?: Uint8Array;
  readonly token?: Uint8Array;
  readonly payloadBytes?: number;
  /** Of the varint that says how long the rest is. */
  readonly lengthBytes?: 1 | 2 | 4 | 8;
}

function packet(type: keyof typeof TYPE, dcid: Uint8Array, parts: Parts = {}): number[] {
  const { scid = new Uint8Array(3), token = new Uint8Array(0), payloadBytes = 40, lengthBytes = 2 } = parts;
  const tokenPart = type === "initial" ? [token.length, ...token] : [];
  const head = [TYPE[type], 0, 0, 0, 1, dcid.length, ...dcid, scid.length, ...scid, ...tokenPart];
  return [...head, ...varint(payloadBytes, lengthBytes), ...new Array<number>(payloadBytes).fill(0xd5)];
}

function varint(value: number, bytes: number): number[] {
  const out = Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** (bytes - 1 - i)) & 0xff);
  out[0] = (out[0] ?? 0) | (Math.log2(bytes) << 6);
  return out;
}

/** With other datagrams before and behind it. */
function judge(...packets: readonly (readonly number[])[]): boolean {
  const bytes = packets.flat();
  const around = packet("zeroRtt", Uint8Array.from([9, 9, 9, 9, 9, 9, 9, 9]));
  return isForOneConnection(
    Uint8Array.from([...around, ...bytes, ...around]),
    around.length,
    around.length + bytes.length,
  );
}

describe("packets for one connection", () => {
  test.each([
    ["one packet", [packet("initial", ONE)]],
    ["a first flight", [packet("initial", ONE), packet("zeroRtt", ONE)]],
    ["with a token", [packet("initial", ONE, { token: new Uint8Array(50) }), packet("zeroRtt", ONE)]],
    ["a second one", [packet("initial", ONE), packet("handshake", ONE), [0x40, 9, 9, 9]]],
    ["padded with zeros", [packet("initial", ONE), new Array<number>(30).fill(0)]],
    ["a short header", [[0x40, ...OTHER]]],
    ["a length that goes beyond the end", [packet("initial", ONE).slice(0, -1)]],
    ["a cut-off header", [packet("initial", ONE), packet("zeroRtt", OTHER).slice(0, 9)]],
  ])("%s", (_name, packets) => expect(judge(...packets)).toBe(true));
});

describe("packets for several", () => {
  test.each([
    ["0-RTT behind another's Initial", [packet("initial", OTHER), packet("zeroRtt", ONE)]],
    ["an id that is longer", [packet("initial", ONE.subarray(0, 7)), packet("zeroRtt", ONE)]],
    ["an id that is shorter", [packet("initial", ONE), packet("zeroRtt", ONE.subarray(0, 7))]],
    ["the third", [packet("initial", ONE), packet("zeroRtt", ONE), packet("zeroRtt", OTHER)]],
    ["a token before it", [packet("initial", OTHER, { token: new Uint8Array(50) }), packet("zeroRtt", ONE)]],
    ["no ids of the sender", [packet("initial", OTHER, { scid: new Uint8Array(0) }), packet("zeroRtt", ONE)]],
    ...([1, 2, 4, 8] as const).map(
      (lengthBytes) =>
        [
          `a length in ${lengthBytes} bytes`,
          [packet("initial", OTHER, { lengthBytes }), packet("zeroRtt", ONE)],
        ] as const,
    ),
  ])("%s", (_name, packets) => expect(judge(...packets)).toBe(false));
});

test("never reads beyond its end, whatever the bytes", () => {
  for (let length = 0; length <= 60; length++) {
    const bytes = Uint8Array.from([...packet("initial", ONE), ...packet("zeroRtt", OTHER)]).subarray(0, length);
    expect(isForOneConnection(bytes, 0, length)).toBe(true);
  }
});
