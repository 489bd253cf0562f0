import { describe, expect, test } from "bun:test";
import { Assembler, BPF, encodeProgram, INSTRUCTION_BYTES } from "../../../src/quic/cbpf.ts";

describe("the assembler", () => {
  test("turns labels into distances", () => {
    const program = new Assembler()
      .branch(BPF.JEQ_K, 7, "end", null)
      .add(BPF.LD_IMM, 1)
      .jump("end")
      .add(BPF.LD_IMM, 2)
      .place("end")
      .add(BPF.RET_A)
      .assemble();
    expect(program).toEqual([
      { code: 0x15, jt: 3, jf: 0, k: 7 },
      { code: 0x00, jt: 0, jf: 0, k: 1 },
      { code: 0x05, jt: 0, jf: 0, k: 1 },
      { code: 0x00, jt: 0, jf: 0, k: 2 },
      { code: 0x16, jt: 0, jf: 0, k: 0 },
    ]);
  });

  test("writes negative constants as the 32 bits they are", () => {
    expect(new Assembler().add(BPF.XOR_K, -1).assemble()).toEqual([{ code: 0xa4, jt: 0, jf: 0, k: 0xffff_ffff }]);
  });

  test("refuses labels that are nowhere, behind, or placed twice", () => {
    expect(() => new Assembler().jump("nowhere").add(BPF.RET_A).assemble()).toThrow(/nowhere/);
    expect(() => new Assembler().place("back").add(BPF.TAX).jump("back").add(BPF.RET_A).assemble()).toThrow(/back/);
    expect(() => new Assembler().jump("end").place("end").assemble()).toThrow(/end/);
    expect(() => new Assembler().place("twice").place("twice")).toThrow(/once/);
  });

  test("refuses comparisons that jump too far; jumps may", () => {
    const far = (first: (code: Assembler) => Assembler): Assembler => {
      const code = first(new Assembler());
      for (let i = 0; i < 256; i++) code.add(BPF.TAX);
      return code.place("far").add(BPF.RET_A);
    };
    expect(() => far((code) => code.branch(BPF.JEQ_K, 0, "far", null)).assemble()).toThrow(/255/);
    expect(far((code) => code.jump("far")).assemble()[0]).toEqual({ code: BPF.JA, jt: 0, jf: 0, k: 256 });
  });
});

test("a program's bytes are an array of struct sock_filter", () => {
  const bytes = encodeProgram([
    { code: 0x1234, jt: 0x56, jf: 0x78, k: 0x9abc_def0 },
    { code: BPF.RET_A, jt: 0, jf: 0, k: 0 },
  ]);
  expect(bytes.length).toBe(2 * INSTRUCTION_BYTES);
  expect(Array.from(bytes)).toEqual([0x34, 0x12, 0x56, 0x78, 0xf0, 0xde, 0xbc, 0x9a, 0x16, 0, 0, 0, 0, 0, 0, 0]);
});
