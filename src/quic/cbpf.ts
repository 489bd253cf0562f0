/**
 * Classic BPF, as far as we write it: the instructions (linux/bpf_common.h, linux/filter.h), an assembler that knows labels, and the
 * bytes that the kernel takes. All arithmetic of the machine is unsigned and modulo 2^32; loads from the packet are big endian.
 */
import { assert } from "../core/assert.ts";

/** One `struct sock_filter`. */
export interface Instruction {
  /** 16 bits: what to do. */
  readonly code: number;
  /** Instructions to skip when a comparison holds, and when it does not; 0 to 255. */
  readonly jt: number;
  readonly jf: number;
  /** 32 bits. */
  readonly k: number;
}

/** Operation codes. `A` is the accumulator, `X` the index register, `M` the 16 words of scratch memory. */
export const BPF = {
  /** A = the byte, half word or word of the packet at k. Beyond the packet's end the program ends with 0. */
  LD_B_ABS: 0x30,
  LD_H_ABS: 0x28,
  LD_W_ABS: 0x20,
  /** A = the packet's length. */
  LD_LEN: 0x80,
  /** A = k. */
  LD_IMM: 0x00,
  /** A = M[k]; M[k] = A. */
  LD_MEM: 0x60,
  ST: 0x02,
  /** A = A op k. */
  ADD_K: 0x04,
  MUL_K: 0x24,
  AND_K: 0x54,
  RSH_K: 0x74,
  MOD_K: 0x94,
  XOR_K: 0xa4,
  /** A = A op X. */
  XOR_X: 0xac,
  /** Skips k instructions. */
  JA: 0x05,
  /** Skips jt instructions if A == k, A >= k, (A & k) != 0; else jf. */
  JEQ_K: 0x15,
  JGE_K: 0x35,
  JSET_K: 0x45,
  /** X = A; A = X. */
  TAX: 0x07,
  TXA: 0x87,
  /** Ends with A. */
  RET_A: 0x16,
} as const;

/** One of `BPF`. */
export type Opcode = (typeof BPF)[keyof typeof BPF];

/** The kernel takes no longer ones (BPF_MAXINSNS). */
const INSTRUCTIONS_MAX = 4096;
/** Jumps of comparisons have eight bits. */
const SKIP_MAX = 255;
/** Bytes of a `struct sock_filter`: u16 code, u8 jt, u8 jf, u32 k. */
export const INSTRUCTION_BYTES = 8;

interface Draft {
  readonly code: Opcode;
  readonly k: number;
  /** Labels; null is the next instruction. For `JA` only the first counts. */
  readonly then: string | null;
  readonly otherwise: string | null;
}

/** Collects instructions; labels may be used before they are placed, never after: the machine only jumps ahead. */
export class Assembler {
  readonly #drafts: Draft[] = [];
  readonly #labels = new Map<string, number>();

  /** Adds an instruction that goes on to the next one. */
  add(code: Opcode, k: number = 0): this {
    this.#drafts.push({ code, k, then: null, otherwise: null });
    return this;
  }

  /** Adds a comparison. */
  branch(code: Opcode, k: number, then: string | null, otherwise: string | null): this {
    this.#drafts.push({ code, k, then, otherwise });
    return this;
  }

  /** Adds a jump. */
  jump(label: string): this {
    this.#drafts.push({ code: BPF.JA, k: 0, then: label, otherwise: null });
    return this;
  }

  /** The next instruction is the one that jumps to this label go to. */
  place(label: string): this {
    assert(!this.#labels.has(label), "a label is placed once");
    this.#labels.set(label, this.#drafts.length);
    return this;
  }

  assemble(): Instruction[] {
    assert(this.#drafts.length <= INSTRUCTIONS_MAX, "a program is no longer than the kernel takes");
    return this.#drafts.map(({ code, k, then, otherwise }, at) => {
      if (code === BPF.JA) return { code, jt: 0, jf: 0, k: this.#distance(at, then) };
      const [jt, jf] = [this.#distance(at, then), this.#distance(at, otherwise)];
      assert(jt <= SKIP_MAX && jf <= SKIP_MAX, "a comparison does not jump further than 255 instructions");
      return { code, jt, jf, k: k >>> 0 };
    });
  }

  #distance(at: number, label: string | null): number {
    if (label === null) return 0;
    const target = this.#labels.get(label) ?? -1;
    assert(target > at && target < this.#drafts.length, `the label ${label} stands before an instruction further on`);
    return target - at - 1;
  }
}

/** The program as an array of `struct sock_filter`, little endian as all machines we run on. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    const at = index * INSTRUCTION_BYTES;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, jt);
    view.setUint8(at + 3, jf);
    view.setUint32(at + 4, k, true);
  }
  return bytes;
}
