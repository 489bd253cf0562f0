/** The machine that runs classic BPF, as linux/filter.h and net/core/filter.c describe it; only what our programs use. */
import { must } from "../../src/core/assert.ts";
import { BPF, type Instruction } from "../../src/quic/cbpf.ts";

/** How a program ended. */
export interface Ended {
  readonly value: number;
  /** A load reached beyond the packet's end, which ends the program with 0. */
  readonly beyond: boolean;
  readonly steps: number;
}

/** Runs a program on a packet. Throws where the kernel would not have taken the program. */
export function runProgram(program: readonly Instruction[], packet: Uint8Array): Ended {
  const memory = new Map<number, number>();
  let [a, x, pc, steps] = [0, 0, 0, 0];
  for (;;) {
    const { code, jt, jf, k } = must(program[pc], `the program has an instruction ${pc}`);
    pc += 1;
    steps += 1;
    const width = WIDTHS.get(code);
    if (width !== undefined) {
      if (k + width > packet.length) return { value: 0, beyond: true, steps };
      a = 0;
      for (let i = 0; i < width; i++) a = a * 256 + (packet[k + i] ?? 0);
      continue;
    }
    if (code === BPF.LD_LEN) a = packet.length;
    else if (code === BPF.LD_IMM) a = k;
    else if (code === BPF.LD_MEM) a = must(memory.get(k), "memory is written before it is read");
    else if (code === BPF.ST) memory.set(k, a);
    else if (code === BPF.TAX) x = a;
    else if (code === BPF.TXA) a = x;
    else if (code === BPF.JA) pc += k;
    else if (code === BPF.JEQ_K) pc += a === k ? jt : jf;
    else if (code === BPF.JGE_K) pc += a >= k ? jt : jf;
    else if (code === BPF.JSET_K) pc += (a & k) !== 0 ? jt : jf;
    else if (code === BPF.RET_A) return { value: a, beyond: false, steps };
    else a = calculate(code, a, x, k);
  }
}

const WIDTHS: ReadonlyMap<number, number> = new Map([
  [BPF.LD_B_ABS, 1],
  [BPF.LD_H_ABS, 2],
  [BPF.LD_W_ABS, 4],
]);

/** In 64 bits and cut down to 32 afterwards, so that it shares no trick with the code under test. */
function calculate(code: number, a: number, x: number, k: number): number {
  const [wide, by] = [BigInt(a), BigInt(k)];
  switch (code) {
    case BPF.ADD_K:
      return Number(BigInt.asUintN(32, wide + by));
    case BPF.MUL_K:
      return Number(BigInt.asUintN(32, wide * by));
    case BPF.AND_K:
      return Number(wide & by);
    case BPF.RSH_K:
      return Number(wide >> by);
    case BPF.MOD_K:
      return Number(wide % by);
    case BPF.XOR_K:
      return Number(wide ^ by);
    case BPF.XOR_X:
      return Number(wide ^ BigInt(x));
    default:
      throw new Error(`no program of ours has the instruction 0x${code.toString(16)}`);
  }
}
