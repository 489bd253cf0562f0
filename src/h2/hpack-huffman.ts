/**
 * The Huffman code of HPACK and QPACK (RFC 7541 5.2, appendix B). Decoding walks a table of 256 states by half bytes, so it takes
 * two look-ups for each byte whatever the input is.
 */
import { assert } from "../core/assert.ts";

/** Bits of the code of each byte. The code is canonical (shorter first, then by byte), so the lengths are all of it. */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];

/** The end-of-string symbol: a string that holds all of it is malformed. */
const EOS = 256;
const SHORTEST_CODE_BITS = 5;
/** Padding is shorter than a byte. */
const PADDING_BITS_MAX = 7;

const NODES = 256;
const LEAF = 0x1000;
const CODES = canonicalCodes();
const TREE = codeTree();

// What a step holds: the next state in its low byte, the byte it emits in the second, and these.
const EMITS = 0x1_0000;
const FAILS = 0x2_0000;
const STEPS = decodingSteps();
/** States in which a string may end: at a symbol's end, or within up to 7 one bits. */
const MAY_END = finalStates();

/** Bytes that a coded string of this length can decode to, at most. */
export function decodedBytesMax(codedBytes: number): number {
  return Math.floor((codedBytes * 8) / SHORTEST_CODE_BITS);
}

/** Decodes `bytes[at..end)` into `into` from `to` on, which has room. Where the result ends; -1 for a malformed string. */
export function huffmanDecode(bytes: Uint8Array, at: number, end: number, into: Uint8Array, to: number): number {
  let state = 0;
  let q = to;
  for (let p = at; p < end; p++) {
    const byte = bytes[p] ?? 0;
    const high = STEPS[(state << 4) | (byte >> 4)] ?? FAILS;
    if ((high & EMITS) !== 0) into[q++] = high >> 8;
    const low = STEPS[((high & 0xff) << 4) | (byte & 15)] ?? FAILS;
    if ((low & EMITS) !== 0) into[q++] = low >> 8;
    if (((high | low) & FAILS) !== 0) return -1;
    state = low & 0xff;
  }
  return MAY_END[state] === 1 ? q : -1;
}

/** Bytes that `bytes[at..end)` take when coded. */
export function huffmanLength(bytes: Uint8Array, at: number, end: number): number {
  let bits = 0;
  for (let p = at; p < end; p++) bits += CODE_BITS[bytes[p] ?? 0] ?? 0;
  return (bits + 7) >> 3;
}

/** Codes `bytes[at..end)` into `into` from `to` on, which has room for `huffmanLength` bytes. Where the result ends. */
export function huffmanEncode(bytes: Uint8Array, at: number, end: number, into: Uint8Array, to: number): number {
  let q = to;
  // Pending bits, right-aligned: below 8 before each part of a code, and a part has at most 16.
  let pending = 0;
  let count = 0;
  for (let p = at; p < end; p++) {
    const byte = bytes[p] ?? 0;
    let code = CODES[byte] ?? 0;
    let bits = CODE_BITS[byte] ?? 0;
    if (bits > 16) {
      const high = bits - 16;
      pending = (pending << high) | (code >>> 16);
      count += high;
      while (count >= 8) into[q++] = pending >>> (count -= 8);
      pending &= 0xff;
      code &= 0xffff;
      bits = 16;
    }
    pending = (pending << bits) | code;
    count += bits;
    while (count >= 8) into[q++] = pending >>> (count -= 8);
    pending &= 0xff;
  }
  if (count > 0) into[q++] = (pending << (8 - count)) | (0xff >> count);
  return q;
}

function canonicalCodes(): Uint32Array {
  const order = CODE_BITS.map((_, symbol) => symbol).sort((a, b) => bitsOf(a) - bitsOf(b) || a - b);
  const codes = new Uint32Array(CODE_BITS.length);
  let next = 0;
  let bits = SHORTEST_CODE_BITS;
  for (const symbol of order) {
    next <<= bitsOf(symbol) - bits;
    bits = bitsOf(symbol);
    codes[symbol] = next++;
  }
  assert(next === 2 ** bits, "the code uses up every bit pattern");
  return codes;
}

/** Inner nodes, two words each: the nodes behind a 0 and a 1. Leaves are `LEAF + symbol`. */
function codeTree(): Uint16Array {
  const tree = new Uint16Array(2 * NODES);
  let nodes = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = bitsOf(symbol) - 1; bit >= 0; bit--) {
      const edge = 2 * node + (((CODES[symbol] ?? 0) >>> bit) & 1);
      if (bit === 0) tree[edge] = LEAF + symbol;
      else if (tree[edge] === 0) tree[edge] = nodes++;
      node = tree[edge] ?? 0;
    }
  }
  assert(nodes === NODES, "a full tree of 257 leaves has 256 inner nodes");
  return tree;
}

function decodingSteps(): Uint32Array {
  const steps = new Uint32Array(16 * NODES);
  for (let i = 0; i < steps.length; i++) {
    let node = i >> 4;
    let step = 0;
    for (let bit = 3; bit >= 0; bit--) {
      node = TREE[2 * node + ((i >> bit) & 1)] ?? 0;
      if (node < LEAF) continue;
      step |= node === LEAF + EOS ? FAILS : EMITS | ((node - LEAF) << 8);
      node = 0;
    }
    steps[i] = step | node;
  }
  return steps;
}

function finalStates(): Uint8Array {
  const final = new Uint8Array(NODES);
  let node = 0;
  for (let bits = 0; bits <= PADDING_BITS_MAX; bits++) {
    final[node] = 1;
    node = TREE[2 * node + 1] ?? 0;
  }
  return final;
}

function bitsOf(symbol: number): number {
  return CODE_BITS[symbol] ?? 0;
}
